#include "sim/parallel/parameter_coordinator.h"

#include <algorithm>
#include <utility>

#include "sim/parallel/kernels.h"
#include "sim/parallel/offload.h"

namespace simulate {

namespace {

constexpr int64_t kPrefetchElements = 50'000'000;  // stage3_prefetch_bucket_size
constexpr size_t kFetchesAhead = 3;
constexpr int64_t kWarm = 13;                      // tenths

}  // namespace

void HostLoop(StepWriter& writer, HostCall call, int64_t calls) {
  const int64_t count = calls * 10 / kWarm;
  if (count > 0) writer.HostWork(call, static_cast<int>(count));
}

ParameterCoordinator::ParameterCoordinator(Environment& environment, std::vector<ModuleCall> trace)
    : env_(environment),
      synchronous_(environment.scenario.parallelism.data.zero3_implementation == Zero3Implementation::kSynchronous),
      trace_(std::move(trace)), traced_(!trace_.empty()), states_(environment.parameters.all().size()) {}

const Channel& ParameterCoordinator::Copies(uint32_t parameter) const {
  return env_.wiring.Copies(env_.parameters.all()[parameter].expert);
}

int64_t ParameterCoordinator::Partition(uint32_t parameter) const {
  return DivCeil(Elements(parameter), Copies(parameter).size);
}

Bytes ParameterCoordinator::Padded(uint32_t parameter) const {
  return SizeOf(env_.precision().parameters, Partition(parameter) * Copies(parameter).size);
}

void ParameterCoordinator::BeginPass() {
  step_ = queue_ = queue_parameter_ = 0;
}

void ParameterCoordinator::Enter(const ModuleCall& call) {
  if (call.parameters.empty()) return;
  traced_ = traced_ && step_ < trace_.size() && trace_[step_].use == call.use && trace_[step_].op == call.op;
  env_.writer.HostWork(HostCall::kModule);
  ++step_;
  if (synchronous_) {
    EnterSynchronous(call);
  } else {
    EnterAsynchronous(call);
  }
}

void ParameterCoordinator::EnterAsynchronous(const ModuleCall& call) {
  StepWriter& writer = env_.writer;
  Gather(call.parameters);
  for (const uint32_t parameter : call.parameters) {
    if (states_[parameter].gather >= 0) {
      if (fetches_.size() == kFetchesAhead) {
        writer.HostWait(fetches_.front());
        fetches_.pop_front();
      }
      Land(parameter);
      fetches_.push_back({states_[parameter].ready});
    }
    writer.Wait(env_.wiring.compute, states_[parameter].ready);
  }
  if (!traced_) return;
  if (queue_ < step_) {
    queue_ = step_;
    queue_parameter_ = 0;
  }
  Prefetch();
}

void ParameterCoordinator::Prefetch() {
  const int64_t room = std::min(env_.scenario.parallelism.data.max_live_parameters - available_, kPrefetchElements);
  std::vector<uint32_t> wanted;
  for (int64_t elements = 0; elements < room && queue_ < trace_.size();) {
    const std::vector<uint32_t>& next = trace_[queue_].parameters;
    wanted.push_back(next[queue_parameter_]);
    elements += Elements(wanted.back());
    if (++queue_parameter_ < next.size()) continue;
    ++queue_;
    queue_parameter_ = 0;
  }
  Gather(wanted);
}

void ParameterCoordinator::EnterSynchronous(const ModuleCall& call) {
  bool under_way = false;
  for (const uint32_t parameter : call.parameters) {
    if (!Gathered(parameter)) GatherOne(parameter);
    under_way = under_way || states_[parameter].gather >= 0;
  }
  if (under_way) {
    env_.writer.Synchronize();
    for (State& state : states_) state.gather = -1;
    gathers_.clear();
  }
  for (const uint32_t parameter : call.parameters) env_.writer.Wait(env_.wiring.compute, states_[parameter].ready);
  if (traced_) PrefetchSynchronous();
}

void ParameterCoordinator::PrefetchSynchronous() {
  if (!gathers_.empty() || available_ >= env_.scenario.parallelism.data.max_live_parameters) return;
  int64_t elements = 0;
  for (size_t call = step_; call < trace_.size(); ++call) {
    for (const uint32_t parameter : trace_[call].parameters) {
      if (Gathered(parameter)) continue;
      GatherOne(parameter);
      elements += Elements(parameter);
      if (elements >= kPrefetchElements) return;
    }
  }
}

// all_gather_coalesced.
void ParameterCoordinator::Gather(const std::vector<uint32_t>& parameters) {
  for (const bool expert : {false, true}) {  // whose copies are other ranks
    std::vector<uint32_t> missing;
    for (const uint32_t parameter : parameters) {
      if (env_.parameters.all()[parameter].expert != expert || Gathered(parameter)) continue;
      if (std::ranges::find(missing, parameter) == missing.end()) missing.push_back(parameter);
    }
    if (!missing.empty()) GatherTogether(missing);
  }
}

void ParameterCoordinator::GatherTogether(const std::vector<uint32_t>& parameters) {
  StepWriter& writer = env_.writer;
  const Wiring& wires = env_.wiring;
  const Channel& channel = Copies(parameters.front());
  Bytes padded;
  Bytes local;
  for (const uint32_t parameter : parameters) {
    padded += Padded(parameter);
    local += SizeOf(env_.precision().parameters, Partition(parameter));
    available_ += Elements(parameter);
    states_[parameter].gather = static_cast<int>(gathers_.size());
  }
  Gathering& gathering = gathers_.emplace_back();
  gathering.parameters = parameters;
  const BufferId buffer = writer.Allocate(padded, MemoryCategory::kUnshardedParameters, wires.unshard, "gathered parameters");
  if (parameters.size() == 1) {
    states_[parameters.front()].buffer = buffer;
  } else {
    gathering.flat = buffer;
    HostLoop(writer, HostCall::kView, channel.size);  // the parts of all ranks
    writer.Kernel(wires.unshard, "partitions to flat buffer",
                  CopyWork(local.value() / SizeOf(env_.precision().parameters, 1).value(), env_.precision().parameters, env_.precision().parameters), HostCall::kOperator);
  }
  BufferId partition = kNoBuffer;
  if (OffloadsParameters(env_)) {  // a plain .to(device): the host waits
    partition = writer.Allocate(local, MemoryCategory::kCommunicationBuffers, wires.unshard, "partition from the host");
    const TaskRef copied = CopyFromHost(env_, wires.unshard, "partition from the host", local);
    writer.HostWait({copied});
    writer.Wait(wires.unshard, copied);
  }
  gathering.ready = AllGather(channel, padded);
  for (const uint32_t parameter : parameters) states_[parameter].ready = gathering.ready;
  if (partition != kNoBuffer) writer.Free(partition, {gathering.ready});
}

TaskRef ParameterCoordinator::AllGather(const Channel& channel, Bytes bytes) {
  const CollectiveCall call{.op = CollectiveOp::kAllGather, .communicator = channel.communicator, .bytes = bytes,
                            .dtype = env_.precision().parameters};
  return env_.writer.CollectiveFrom(env_.wiring.unshard, channel.stream, "all_gather", call);
}

// AllGatherCoalescedHandle.wait: what travelled together is copied apart.
void ParameterCoordinator::Land(uint32_t parameter) {
  StepWriter& writer = env_.writer;
  Gathering& gathering = gathers_[static_cast<size_t>(std::exchange(states_[parameter].gather, -1))];
  if (gathering.flat == kNoBuffer) return;
  const StreamId stream = env_.wiring.unshard;
  const DType type = env_.precision().parameters;
  writer.Wait(stream, gathering.ready);
  for (const uint32_t each : gathering.parameters) {
    State& state = states_[each];
    state.gather = -1;
    state.buffer = writer.Allocate(SizeOf(type, Elements(each)), MemoryCategory::kUnshardedParameters, stream, "gathered parameters");
    HostLoop(writer, HostCall::kView, 2 * Copies(each).size);  // narrow, record_stream
    state.ready = writer.Kernel(stream, "parameter from flat buffer", CopyWork(Elements(each), type, type), HostCall::kOperator);
  }
  writer.Free(std::exchange(gathering.flat, kNoBuffer));
}

// _allgather_param of the first version, with torch's all_gather into a list.
void ParameterCoordinator::GatherOne(uint32_t parameter) {
  StepWriter& writer = env_.writer;
  const Channel& channel = Copies(parameter);
  const StreamId stream = env_.wiring.unshard;
  const DType type = env_.precision().parameters;
  const Bytes padded = Padded(parameter);
  State& state = states_[parameter];
  available_ += Elements(parameter);
  state.buffer = writer.Allocate(padded, MemoryCategory::kUnshardedParameters, stream, "gathered parameters");
  writer.Kernel(stream, "zero gathered parameters", MemoryWork(MemoryAccess::kElementwise, type, Elements(parameter), Bytes(0), padded), HostCall::kOperator);
  writer.Synchronize();
  HostLoop(writer, HostCall::kView, channel.size);
  if (OffloadsParameters(env_)) {
    writer.Wait(stream, CopyFromHost(env_, stream, "partition from the host", SizeOf(type, Partition(parameter))));
  }
  const BufferId flat = writer.Allocate(padded, MemoryCategory::kCommunicationBuffers, channel.stream, "flat parameters of all ranks");
  AllGather(channel, padded);
  state.ready = writer.Kernel(channel.stream, "parts of all ranks", CopyWork(Elements(parameter), type, type), HostCall::kInner);
  HostLoop(writer, HostCall::kInner, channel.size - 1);
  writer.Free(flat);
  state.gather = static_cast<int>(gathers_.size());
  gathers_.push_back({.parameters = {parameter}, .ready = state.ready});
}

bool ParameterCoordinator::NeededSoon(uint32_t parameter) const {
  int64_t passed = 0;
  for (size_t call = step_; call < trace_.size(); ++call) {
    if (passed > env_.scenario.parallelism.data.max_reuse_distance) return false;
    if (std::ranges::find(trace_[call].parameters, parameter) != trace_[call].parameters.end()) return true;
    passed += trace_[call].elements;
  }
  return false;
}

void ParameterCoordinator::Leave(const ModuleCall& call) {
  if (call.parameters.empty()) return;
  env_.writer.HostWork(HostCall::kModule);
  for (const uint32_t parameter : call.parameters) {
    if (!traced_ || !NeededSoon(parameter)) Release(parameter);
  }
}

void ParameterCoordinator::Release(uint32_t parameter) {
  State& state = states_[parameter];
  if (state.buffer == kNoBuffer || state.gather >= 0) return;
  available_ -= Elements(parameter);
  env_.writer.Free(std::exchange(state.buffer, kNoBuffer), env_.writer.Record(env_.wiring.compute));
}

void ParameterCoordinator::ReleaseAll() {
  for (uint32_t parameter = 0; parameter < states_.size(); ++parameter) {
    if (states_[parameter].gather >= 0) Land(parameter);
    Release(parameter);
  }
  gathers_.clear();
}

}  // namespace simulate
