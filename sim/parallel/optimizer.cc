#include "sim/parallel/optimizer.h"

#include <array>

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

// Reads and writes of one pass over a list of tensors, or over one tensor.
struct Pass { const char* name; int weights_read, gradients_read, state_read, weights_written, state_written; };

// _multi_tensor_adam: weight decay, lerp of the first moment, scaling of the second, its addcmul, sqrt, division, epsilon, update.
constexpr std::array<Pass, 8> kForeachPasses = {{
    {"foreach weight decay", 1, 0, 0, 1, 0}, {"foreach lerp", 0, 1, 1, 0, 1},
    {"foreach mul", 0, 0, 1, 0, 1},          {"foreach addcmul", 0, 1, 1, 0, 1},
    {"foreach sqrt", 0, 0, 1, 0, 1},         {"foreach div", 0, 0, 1, 0, 1},
    {"foreach add", 0, 0, 1, 0, 1},          {"foreach addcdiv", 1, 0, 2, 1, 0},
}};
// _single_tensor_adamw before 2.0: the first moment is scaled, then added to.
constexpr std::array<Pass, 9> kForLoopPasses = {{
    {"weight decay", 1, 0, 0, 1, 0}, {"first moment mul", 0, 0, 1, 0, 1}, {"first moment add", 0, 1, 1, 0, 1},
    {"second moment mul", 0, 0, 1, 0, 1}, {"second moment addcmul", 0, 1, 1, 0, 1}, {"denominator sqrt", 0, 0, 1, 0, 1},
    {"denominator div", 0, 0, 1, 0, 1}, {"denominator add", 0, 0, 1, 0, 1}, {"addcdiv", 1, 0, 2, 1, 0},
}};

Bytes Read(const Pass& pass, const OptimizerLoad& load, DType state, int64_t n) {
  return SizeOf(load.weights, n) * pass.weights_read + SizeOf(load.gradients, n) * pass.gradients_read + SizeOf(state, n) * pass.state_read;
}
Bytes Written(const Pass& pass, const OptimizerLoad& load, DType state, int64_t n) {
  return SizeOf(load.weights, n) * pass.weights_written + SizeOf(state, n) * pass.state_written;
}

void ForeachAdam(Environment& env, const OptimizerLoad& load) {
  const DType state = env.precision().optimizer;
  const int64_t n = load.elements;
  const BufferId root = env.writer.Allocate(SizeOf(state, n), MemoryCategory::kWorkspace, env.wiring.compute,
                                            "square root of second moment");
  HostCall host = HostCall::kOptimizerStep;
  for (const Pass& pass : kForeachPasses) {
    MultiTensor(env, pass.name, Widest(load.weights, state), n, Read(pass, load, state, n), Written(pass, load, state, n), host);
    host = HostCall::kInner;
  }
  env.writer.Free(root);
}

// The root is divided into a tensor of its own, and both are gone before the next tensor's turn.
void ForLoopAdam(Environment& env, const OptimizerLoad& load) {
  const DType state = env.precision().optimizer;
  const StreamId compute = env.wiring.compute;
  for (int64_t tensor = 0; tensor < load.tensors; ++tensor) {
    const int64_t n = load.elements * (tensor + 1) / load.tensors - load.elements * tensor / load.tensors;
    if (n == 0) continue;
    const BufferId root = env.writer.Allocate(SizeOf(state, n), MemoryCategory::kWorkspace, compute, "square root of second moment");
    const BufferId quotient = env.writer.Allocate(SizeOf(state, n), MemoryCategory::kWorkspace, compute, "denominator");
    for (const Pass& pass : kForLoopPasses) {
      env.writer.Kernel(compute, pass.name,
                        MemoryWork(MemoryAccess::kElementwise, Widest(load.weights, state), n, Read(pass, load, state, n),
                                   Written(pass, load, state, n)),
                        HostCall::kOperator);
    }
    env.writer.Free(root);
    env.writer.Free(quotient);
  }
}

}  // namespace

void EmitOptimizerStep(Environment& env, const OptimizerLoad& load) {
  const TrainingSpec& training = env.scenario.training;
  const int64_t n = load.elements;
  if (n == 0) return;
  env.writer.SetPhase(Phase::kOptimizer);
  env.writer.HostWork(HostCall::kOptimizerStep, static_cast<int>(load.tensors) - 1);
  const bool adam = training.optimizer == Optimizer::kAdamW;
  if (adam && training.optimizer_kernel != OptimizerKernel::kFused) {
    training.optimizer_kernel == OptimizerKernel::kForeach ? ForeachAdam(env, load) : ForLoopAdam(env, load);
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

void EmitZeroGradients(Environment& env, DType type, int64_t elements) {
  if (elements == 0) return;
  env.writer.Kernel(env.wiring.compute, "zero gradients",
                    MemoryWork(MemoryAccess::kMultiTensor, type, elements, Bytes(0), SizeOf(type, elements)), HostCall::kInner);
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
