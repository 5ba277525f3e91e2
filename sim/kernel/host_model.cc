#include "sim/kernel/host_model.h"

namespace simulate {
namespace {

// What is left of an eager call's cost.
//   compiled    TorchInductor's generated Python calls fused kernels and products one by one, each dearer than an eager operator;
//               there are fewer of them, and views, casts and module calls are gone.
//   cuda_graph  the whole step is one launch.
//   megatron    eager PyTorch; its fused kernels are the model's business.
//   neuron      compiled ahead of time; the host starts one graph per step.
double Share(HostCall call, Runtime runtime) {
  if (runtime == Runtime::kEager || runtime == Runtime::kMegatron) return 1.0;
  if (call == HostCall::kIteration) return 1.0;
  if (runtime == Runtime::kCudaGraph || runtime == Runtime::kNeuron) return 0.0;
  switch (call) {
    case HostCall::kCast:
    case HostCall::kView:
    case HostCall::kAutogradView:
    case HostCall::kModule: return 0.0;
    default: return 1.0;
  }
}

HostCall Effective(HostCall call, Runtime runtime) {
  const bool dispatched = call == HostCall::kOperator || call == HostCall::kAutogradNode;
  return runtime == Runtime::kCompiled && dispatched ? HostCall::kCompiled : call;
}

}  // namespace

HostModel::HostModel(const HostCalibration& calibration, Runtime runtime) : calibration_(calibration), runtime_(runtime) {}

Seconds HostModel::Cost(HostCall call) const {
  return calibration_.cost[static_cast<int>(Effective(call, runtime_))] * Share(call, runtime_);
}

Seconds HostModel::launch_latency() const { return calibration_.launch_latency; }

int64_t HostModel::launch_queue() const {
  constexpr int64_t kCudaStream = 1022;
  return runtime_ == Runtime::kCudaGraph || runtime_ == Runtime::kNeuron ? 0 : kCudaStream;
}

}  // namespace simulate
