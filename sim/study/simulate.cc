#include "sim/study/simulate.h"

#include "sim/parallel/build_program.h"
#include "sim/study/parallel_for.h"

namespace simulate {

Simulation Simulate(const Scenario& scenario, const SimulationOptions& options) {
  Simulation result;
  result.program = BuildProgram(scenario);
  const AcceleratorSpec& accelerator = scenario.hardware.accelerator;
  const Topology topology(scenario.hardware, scenario.gpus);
  const KernelModel kernels(accelerator);
  const HostModel host(accelerator.host, scenario.training.runtime);
  const CollectiveModel collectives(scenario.hardware, topology);
  const Machine machine{topology, kernels, host, collectives, accelerator.memory};

  RunOptions run;
  run.unfold = options.unfold;
  for (const Perturbation& p : scenario.perturb) {
    if (p.rank >= 0) run.slow_ranks.push_back({static_cast<RankId>(p.rank), p.compute});
  }
  result.timeline = Run(result.program, machine, run);
  result.report = BuildReport(scenario, result.program, result.timeline);
  return result;
}

std::vector<Report> SimulateAll(const std::vector<Scenario>& points, const SimulationOptions& options, int threads,
                                const std::function<void(size_t, size_t)>& progress) {
  std::vector<Report> reports(points.size());
  ParallelFor(
      points.size(), threads, [&](size_t i) { reports[i] = Simulate(points[i], options).report; }, progress);
  return reports;
}

}  // namespace simulate
