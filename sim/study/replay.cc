#include "sim/study/replay.h"

#include "absl/strings/str_cat.h"
#include "sim/config/read_cluster.h"
#include "sim/kernel/host_side.h"
#include "sim/study/power_load.h"

namespace simulate {

bool CheckReplayHardware(const HardwareSpec& hardware, int64_t ranks, Diagnostics& diagnostics) {
  const int64_t per_node = std::max<int64_t>(1, hardware.node.accelerators);
  const bool drawn = hardware.fabric.topology == FabricTopology::kExplicit;
  ClusterProblem problem = CheckClusterSize(hardware, ranks);
  if (problem.message.empty() && !drawn && ranks > per_node && ranks % per_node != 0 && per_node <= 16) {
    problem = {"accelerators must fill whole nodes", absl::StrCat(ranks, " do not fill nodes of ", per_node), ""};
  }
  if (problem.message.empty()) return true;
  Diagnostic& d = diagnostics.Error(absl::StrCat("the trace has ", ranks, " ranks, and on `", hardware.name, "` ", problem.message, ": ", problem.label));
  if (!problem.help.empty()) d.help.push_back(problem.help);
  return false;
}

namespace {

Scenario ScenarioOf(const TraceProgram& trace, const HardwareSpec& hardware) {
  Scenario scenario;
  scenario.title = trace.name;
  scenario.hardware = hardware;
  scenario.gpus = trace.program.world_size();
  const TraceContext& c = trace.context;
  scenario.parallelism.tensor = c.tensor;
  scenario.parallelism.pipeline.stages = c.pipeline;
  scenario.parallelism.context = c.context;
  scenario.parallelism.expert = c.expert;
  scenario.training.runtime = c.runtime;
  scenario.training.precision.compute = c.compute;
  scenario.training.precision.fp8_matmuls = c.fp8_matmuls;
  scenario.training.traced_kernels = c.traced_kernels;
  scenario.training.gradient_accumulation_steps = c.micro_batches;
  return scenario;
}

}  // namespace

ReplayedTrace ReplayTrace(TraceProgram trace, const HardwareSpec& hardware, bool unfold) {
  ReplayedTrace result;
  result.scenario = ScenarioOf(trace, hardware);
  const AcceleratorSpec accelerator = AcceleratorOf(result.scenario);
  const int64_t ranks = trace.program.world_size();
  const Topology topology(hardware, ranks);
  const KernelModel kernels = KernelsInStep(trace.program, accelerator, ranks, HostSideOf(hardware.node));
  const HostModel host(trace.own ? accelerator.host : HostCalibration{}, trace.context.runtime);
  const CollectiveModel collectives(hardware, topology);
  const Machine machine{topology, kernels, host, collectives, accelerator.memory};
  Simulation& simulation = result.simulation;
  simulation.program = std::move(trace.program);
  simulation.timeline = Run(simulation.program, machine, {.unfold = unfold});
  simulation.report = BuildReport(result.scenario, simulation.program, simulation.timeline);
  return result;
}

TraceContext TraceContextOf(const Scenario& scenario) {
  TraceContext c;
  c.hardware = scenario.hardware.name;
  c.runtime = scenario.training.runtime;
  c.compute = scenario.training.precision.compute;
  c.fp8_matmuls = scenario.training.precision.fp8_matmuls;
  c.traced_kernels = scenario.training.traced_kernels;
  c.tensor = scenario.parallelism.tensor;
  c.pipeline = scenario.parallelism.pipeline.stages;
  c.context = scenario.parallelism.context;
  c.expert = scenario.parallelism.expert;
  c.micro_batches = scenario.training.gradient_accumulation_steps;
  return c;
}

TraceExport TraceExportOf(const Scenario& scenario, const Simulation& simulation, const std::string& generator) {
  TraceExport what{simulation.program, simulation.timeline, DescribeProgram(simulation.program, TraceContextOf(scenario)), generator, {}};
  const HostModel host(scenario.hardware.accelerator.host, scenario.training.runtime);
  for (int call = 0; call < kHostCalls; ++call) {
    what.host_call_ps[static_cast<size_t>(call)] = SimTime::FromSeconds(host.Cost(static_cast<HostCall>(call))).picoseconds();
  }
  return what;
}

}  // namespace simulate
