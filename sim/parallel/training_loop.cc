#include "sim/parallel/training_loop.h"


namespace simulate {

namespace {

// A group for every dimension, one of all ranks where that is another, and one with a stage's neighbours.
Bytes CommunicatorMemory(const Layout& layout, const LibrarySpec& library) {
  Bytes memory;
  int64_t groups = 0;
  for (const int64_t ranks : {layout.data, layout.tensor, layout.pipeline, layout.context, layout.expert}) {
    if (ranks < 2) continue;
    ++groups;
    memory += ranks == 2 ? library.pair_memory : library.communicator_memory;
  }
  if (groups > 1) memory += library.communicator_memory;
  if (layout.pipeline > 1) memory += library.pair_memory;
  return memory;
}

void AllocateLibraryWorkspaces(Environment& env) {
  // at::cuda::getChosenWorkspaceSize (ATen/cuda/CublasHandlePool.cpp): 32 MiB from compute capability 9.0 on (the
  // first generation that multiplies fp8), else 2 x 4096 KiB + 8 x 16 KiB; one for the thread that runs the forward
  // and one for autograd's.
  const bool hopper = env.scenario.hardware.accelerator.peak_fp8.value() > 0.0;
  const Bytes workspace = hopper ? MiB(32) : Bytes((2 * 4096 + 8 * 16) << 10);
  for (int thread = 0; thread < 2; ++thread) {
    env.writer.Allocate(workspace, MemoryCategory::kWorkspace, env.wiring.compute, "cuBLAS workspace");
  }
  // Transformer Engine has workspaces of its own (cpp_extensions/gemm.py: 32 MiB, before Hopper 4): one, and for grouped products
  // one for each of the four streams that they are spread over.
  if (env.scenario.training.transformer_engine) {
    const int products = env.scenario.model.experts.num_local_experts > 0 ? 5 : 1;
    env.writer.Allocate(products * (hopper ? MiB(32) : MiB(4)), MemoryCategory::kWorkspace, env.wiring.compute, "Transformer Engine workspace");
  }
  const HardwareSpec& hardware = env.scenario.hardware;
  env.writer.Allocate(hardware.accelerator.context + CommunicatorMemory(env.layout, hardware.collective_library),
                      MemoryCategory::kFramework, env.wiring.compute, "context and communicators");
}

}  // namespace

void BeginStep(Environment& env, DataParallel& data_parallel, LayerRunner& runner) {
  env.writer.SetPhase(Phase::kSetup);
  if (env.scenario.training.runtime != Runtime::kNeuron) AllocateLibraryWorkspaces(env);
  data_parallel.AllocateState();
  runner.AllocateState();
  env.writer.BeginStep();
  env.writer.SetPhase(Phase::kForward);
  env.writer.HostWork(HostCall::kIteration);
}

void WriteTrainingStep(Environment& env, DataParallel& data_parallel) {
  StepWriter& writer = env.writer;
  LayerRunner runner(env, data_parallel);
  BeginStep(env, data_parallel, runner);
  const int64_t micro_steps = env.scenario.training.gradient_accumulation_steps;
  for (int64_t step = 0; step < micro_steps; ++step) {
    data_parallel.SetMicroStep(step, micro_steps);
    writer.SetPhase(Phase::kForward);
    data_parallel.BeginForward();
    for (const uint32_t use : env.uses) runner.Forward(step, use);
    data_parallel.EndForward();
    runner.EndForward(step);
    if (env.scenario.training.host_waits >= HostWaits::kPasses) writer.Synchronize();
    writer.SetPhase(Phase::kBackward);
    data_parallel.BeginBackward();
    for (auto use = env.uses.rbegin(); use != env.uses.rend(); ++use) runner.Backward(step, *use);
    data_parallel.EndBackward();
    if (env.scenario.training.host_waits >= HostWaits::kPasses) writer.Synchronize();
  }
  data_parallel.FinishGradients();
  data_parallel.Step();
  runner.FreeKeptOutputs();
}

}  // namespace simulate
