#include "sim/parallel/optimizer.h"

#include "sim/parallel/kernels.h"

namespace simulate {

Bytes OptimizerStateBytes(const TrainingSpec& training, int64_t elements) {
  const DType type = training.precision.optimizer;
  switch (training.optimizer) {
    case Optimizer::kAdamW: return 2 * SizeOf(type, elements);
    case Optimizer::kAdam8bit: return Bytes(2 * elements + 2 * 4 * DivCeil(elements, int64_t{256}));
    case Optimizer::kMomentum: return SizeOf(type, elements);
    case Optimizer::kSgd:
    case Optimizer::kAdafactor: return Bytes(0);
  }
  return Bytes(0);
}

void AllocateOptimizerState(StepWriter& writer, const TrainingSpec& training, int64_t elements, StreamId stream) {
  const Bytes bytes = OptimizerStateBytes(training, elements);
  const bool moments = training.optimizer == Optimizer::kAdamW || training.optimizer == Optimizer::kAdam8bit;
  for (int moment = 0; moment < (moments ? 2 : 1); ++moment) {
    writer.Allocate(DivCeil(bytes, moments ? 2 : 1), MemoryCategory::kOptimizerState, stream, "optimizer state");
  }
}

int64_t MultiTensorLaunches(int64_t elements) { return DivCeil(elements, int64_t{320} * 65536); }

namespace {

void MultiTensor(Environment& env, const char* name, DType widest, int64_t elements, Bytes read, Bytes written,
                 HostCall host, MemoryAccess access = MemoryAccess::kMultiTensor) {
  env.writer.Kernel(env.wiring.compute, name, MemoryWork(access, widest, elements, read, written), host);
  env.writer.HostWork(HostCall::kInner, static_cast<int>(MultiTensorLaunches(elements)) - 1);
}

// Reads and writes of the passes of _multi_tensor_adam, in units of one tensor list:
// weight decay, lerp of the first moment, scaling of the second, its addcmul, sqrt, division, epsilon, update.
void ForeachAdam(Environment& env, const OptimizerLoad& load) {
  struct Pass { const char* name; int weights_read, gradients_read, state_read, weights_written, state_written; };
  static constexpr Pass kPasses[] = {
      {"foreach weight decay", 1, 0, 0, 1, 0}, {"foreach lerp", 0, 1, 1, 0, 1},
      {"foreach mul", 0, 0, 1, 0, 1},          {"foreach addcmul", 0, 1, 1, 0, 1},
      {"foreach sqrt", 0, 0, 1, 0, 1},         {"foreach div", 0, 0, 1, 0, 1},
      {"foreach add", 0, 0, 1, 0, 1},          {"foreach addcdiv", 1, 0, 2, 1, 0},
  };
  const DType state = env.precision().optimizer;
  const int64_t n = load.elements;
  const BufferId root = env.writer.Allocate(SizeOf(state, n), MemoryCategory::kWorkspace, env.wiring.compute,
                                            "square root of second moment");
  bool first = true;
  for (const Pass& pass : kPasses) {
    MultiTensor(env, pass.name, Widest(load.weights, state), n,
                SizeOf(load.weights, n) * pass.weights_read + SizeOf(load.gradients, n) * pass.gradients_read +
                    SizeOf(state, n) * pass.state_read,
                SizeOf(load.weights, n) * pass.weights_written + SizeOf(state, n) * pass.state_written,
                first ? HostCall::kOptimizerStep : HostCall::kInner);
    first = false;
  }
  env.writer.Free(root);
}

}  // namespace

void EmitOptimizerStep(Environment& env, const OptimizerLoad& load) {
  const TrainingSpec& training = env.scenario.training;
  const int64_t n = load.elements;
  if (n == 0) return;
  env.writer.SetPhase(Phase::kOptimizer);
  env.writer.HostWork(HostCall::kOptimizerStep, static_cast<int>(load.tensors) - 1);
  const bool adam = training.optimizer == Optimizer::kAdamW;
  if (adam && training.optimizer_kernel == OptimizerKernel::kForeach) {
    ForeachAdam(env, load);
    if (load.copy) {
      MultiTensor(env, "weights to 16 bit", load.weights, n, SizeOf(load.weights, n), SizeOf(*load.copy, n),
                  HostCall::kInner);
    }
    return;
  }
  const Bytes state = OptimizerStateBytes(training, n);
  const Bytes written = SizeOf(load.weights, n) + state + (load.copy ? SizeOf(*load.copy, n) : Bytes(0));
  MultiTensor(env, "optimizer", Widest(load.weights, training.precision.optimizer), n,
              SizeOf(load.weights, n) + SizeOf(load.gradients, n) + state, written, HostCall::kOptimizerStep,
              MemoryAccess::kOptimizer);
}

void EmitGradientClipping(Environment& env, const Channel& channel, int64_t elements, DType gradients) {
  StepWriter& writer = env.writer;
  writer.SetPhase(Phase::kOptimizer);
  MultiTensor(env, "gradient norm", gradients, elements, SizeOf(gradients, elements), Bytes(0), HostCall::kOperator);
  if (channel.size > 1) {
    const CollectiveCall call{.op = CollectiveOp::kAllReduce, .communicator = channel.communicator,
                              .bytes = Bytes(4), .dtype = DType::kFp32};
    writer.Wait(env.wiring.compute, writer.CollectiveFrom(env.wiring.compute, channel.stream, "gradient norm", call));
  }
  MultiTensor(env, "clip gradients", gradients, elements, SizeOf(gradients, elements), SizeOf(gradients, elements),
              HostCall::kOperator);
}

}  // namespace simulate
