#include "sim/parallel/data_parallel.h"

#include <algorithm>

#include "sim/base/check.h"
#include "sim/parallel/kernels.h"

namespace simulate {

DataParallel::DataParallel(Environment& environment)
    : env_(environment), wires_(environment.wiring), incoming_(environment.parameters.all().size()) {}

void DataParallel::AllocateGradient(uint32_t use, uint32_t index) {
  const uint32_t parameter = env_.parameters.Id(use, index);
  if (AddedByProduct(parameter)) return;
  Incoming& incoming = incoming_[parameter];
  SIM_CHECK(incoming.latest == kNoBuffer, "gradient of parameter ", parameter, " is allocated twice");
  incoming.latest = writer().Allocate(SizeOf(precision().parameters, env_.parameters.all()[parameter].elements),
                                      gradient_category(), wires_.compute, "gradient");
}

void DataParallel::GradientReady(uint32_t use, uint32_t index) {
  const uint32_t parameter = env_.parameters.Id(use, index);
  const ParameterInfo& info = env_.parameters.all()[parameter];
  Incoming& incoming = incoming_[parameter];
  SIM_CHECK(AddedByProduct(parameter) || incoming.latest != kNoBuffer, "gradient of parameter ", parameter,
            " is ready before it is written");
  if (AddedByProduct(parameter) || incoming.buffer == kNoBuffer) {
    incoming.buffer = incoming.latest;
  } else {  // a tied weight: the autograd engine sums before AccumulateGrad
    Add(wires_.compute, "tied gradient add", info.elements, precision().parameters, precision().parameters,
        HostCall::kInner);
    writer().Free(incoming.latest);
  }
  incoming.latest = kNoBuffer;
  if (++incoming.contributions < info.contributions) return;
  const BufferId complete = incoming.buffer;
  incoming = {};
  Accumulate(parameter, complete);
}

void DataParallel::Add(StreamId stream, const char* name, int64_t elements, DType destination, DType source,
                       HostCall host) {
  writer().Kernel(stream, name, AddWork(elements, destination, source), host);
}

void DataParallel::Copy(StreamId stream, const char* name, int64_t elements, DType destination, DType source,
                        HostCall host, MemoryAccess access) {
  writer().Kernel(stream, name, CopyWork(elements, destination, source, access), host);
}

void DataParallel::Scale(StreamId stream, const char* name, int64_t elements, DType type) {
  writer().Kernel(stream, name, CopyWork(elements, type, type), HostCall::kInner);
}

std::unique_ptr<DataParallel> MakeDataParallel(Environment& environment) {
  const DataParallelSpec& spec = environment.scenario.parallelism.data;
  const Runtime runtime = environment.scenario.training.runtime;
  switch (spec.strategy) {
    case DataStrategy::kDdp:
      return runtime == Runtime::kMegatron ? MakeMegatron(environment) : MakeReplicated(environment);
    case DataStrategy::kFsdp:
      return spec.version == FsdpVersion::kFsdp1 ? MakeFsdp1(environment) : MakeFsdp2(environment);
    case DataStrategy::kZero1:
      return runtime == Runtime::kMegatron ? MakeMegatron(environment) : MakeZero(environment);
    case DataStrategy::kZero2:
    case DataStrategy::kZero3:
      return MakeZero(environment);
  }
  return nullptr;
}

}  // namespace simulate
