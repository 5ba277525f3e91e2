#include "sim/parallel/offload.h"

namespace simulate {

namespace {

// torch's default optimizer on the host does every step of Adam in a pass of its own. Ren et al., table 4: 1.39 s against
// CPU-Adam's 0.22 for 1e9 weights, 2.75/0.51, 5.71/1.03, 11.93/2.41, 14.76/2.57; 5.6 times as long in the mean.
constexpr int64_t kUnfusedTenths = 56;

TaskRef HostCopy(Environment& env, StreamId current, StreamId copy, const char* name, Bytes bytes) {
  if (bytes == Bytes(0)) return {};
  KernelWork work;
  work.kind = KernelKind::kHostCopy;
  work.read = bytes;
  env.writer.WaitStream(copy, current);
  return env.writer.Kernel(copy, name, work, HostCall::kOperator);
}

}  // namespace

TaskRef CopyToHost(Environment& env, StreamId current, const char* name, Bytes bytes) {
  return HostCopy(env, current, env.wiring.copy_out, name, bytes);
}

TaskRef CopyFromHost(Environment& env, StreamId current, const char* name, Bytes bytes) {
  return HostCopy(env, current, env.wiring.copy_in, name, bytes);
}

void EmitHostOptimizerStep(Environment& env, const OptimizerLoad& load) {
  StepWriter& writer = env.writer;
  const StreamId copy = env.wiring.copy_out;
  writer.SetPhase(Phase::kOptimizer);
  writer.WaitStream(copy, env.wiring.compute);
  writer.HostWait(writer.Record(copy));
  const Bytes state = OptimizerStateBytes(env.scenario.training, load.elements);
  KernelWork work;
  work.kind = KernelKind::kHostOptimizer;
  work.read = SizeOf(load.weights, load.elements) + SizeOf(load.gradients, load.elements) + state;
  work.written = SizeOf(load.weights, load.elements) + state + (load.copy ? SizeOf(*load.copy, load.elements) : Bytes(0));
  const DataStrategy strategy = env.scenario.parallelism.data.strategy;
  if (strategy != DataStrategy::kFsdp) {  // unscale_and_clip_grads: grad.mul_ there, whether or not anything is clipped
    work.read += SizeOf(load.gradients, load.elements);
    work.written += SizeOf(load.gradients, load.elements);
  }
  if (strategy == DataStrategy::kZero3) work.read += SizeOf(load.weights, load.elements);  // the 16-bit copy is made in a pass of its own
  if (env.scenario.training.optimizer_kernel != OptimizerKernel::kFused && strategy == DataStrategy::kFsdp) {
    work.read = Bytes(work.read.value() * kUnfusedTenths / 10);
    work.written = Bytes(work.written.value() * kUnfusedTenths / 10);
  }
  writer.HostWait({writer.Kernel(copy, "optimizer on the host", work, HostCall::kOptimizerStep)});
}

void HoldOptimizerOnHost(Environment& env, int64_t elements, DType weights, DType gradients) {
  env.writer.HoldOnHost(SizeOf(weights, elements) + SizeOf(gradients, elements) +
                        OptimizerStateBytes(env.scenario.training, elements));
}

}  // namespace simulate
