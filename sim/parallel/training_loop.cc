#include "sim/parallel/training_loop.h"

#include "sim/parallel/layer_runner.h"

namespace simulate {

void WriteTrainingStep(Environment& env, DataParallel& data_parallel) {
  StepWriter& writer = env.writer;
  LayerRunner runner(env, data_parallel);
  writer.SetPhase(Phase::kSetup);
  data_parallel.AllocateState();
  writer.BeginStep();
  writer.SetPhase(Phase::kForward);
  writer.HostWork(HostCall::kIteration);
  const int64_t micro_steps = env.scenario.training.gradient_accumulation_steps;
  for (int64_t step = 0; step < micro_steps; ++step) {
    data_parallel.SetMicroStep(step, micro_steps);
    writer.SetPhase(Phase::kForward);
    data_parallel.BeginForward();
    for (const uint32_t use : env.uses) runner.Forward(step, use);
    data_parallel.EndForward();
    runner.EndForward(step);
    writer.SetPhase(Phase::kBackward);
    data_parallel.BeginBackward();
    for (auto use = env.uses.rbegin(); use != env.uses.rend(); ++use) runner.Backward(step, *use);
    data_parallel.EndBackward();
  }
  data_parallel.Step();
}

}  // namespace simulate
