#include "sim/study/simulate.h"

#include <algorithm>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "sim/kernel/host_side.h"
#include "sim/parallel/build_program.h"
#include "sim/report/advise.h"
#include "sim/study/parallel_for.h"
#include "sim/study/predict.h"
#include "sim/study/power_load.h"

namespace simulate {

namespace {

// `from -> to`, as links are printed.
std::pair<std::string, std::string> EndsOf(const std::string& link) {
  const size_t arrow = link.find("->");
  if (arrow == std::string::npos) return {link, ""};
  const auto trim = [](std::string s) {
    s.erase(0, s.find_first_not_of(' '));
    s.erase(s.find_last_not_of(' ') + 1);
    return s;
  };
  return {trim(link.substr(0, arrow)), trim(link.substr(arrow + 2))};
}

std::vector<LinkChange> LinkChanges(const std::vector<Perturbation>& perturbations) {
  std::vector<LinkChange> changes;
  for (const Perturbation& p : perturbations) {
    if (p.link.empty()) continue;
    const auto [from, to] = EndsOf(p.link);
    changes.push_back({from, to, p.bandwidth});
  }
  return changes;
}

// Whether all accelerators still reach each other, said at the first failed link.
void CheckReach(const Scenario& point, const std::vector<LinkChange>& changes, Diagnostics& diagnostics) {
  const auto failed = std::find_if(point.perturb.begin(), point.perturb.end(),
                                   [](const Perturbation& p) { return !p.link.empty() && p.bandwidth == 0.0; });
  if (failed == point.perturb.end()) return;
  const Topology changed(point.hardware, point.gpus, changes);
  std::vector<LinkId> route;
  for (uint32_t a = 1; a < changed.accelerator_count(); ++a) {
    route.clear();
    if (changed.AppendRoute(changed.vertex_of(0), changed.vertex_of(a), &route)) continue;
    Diagnostic& d = diagnostics.Error("failed links cut the cluster in two", failed->where);
    d.label = absl::StrCat("no way is left from ", changed.VertexName(changed.vertex_of(0)), " to ",
                           changed.VertexName(changed.vertex_of(a)));
    d.help.emplace_back("leave one way, or a share of the bandwidth: `bandwidth: 0.1`");
    return;
  }
}

// The critical path, with the kinds of the links that its collectives are limited by.
std::vector<PathShare> PathOf(const Simulation& simulation, const Topology& topology) {
  if (simulation.report.out_of_memory) return {};
  std::vector<PathShare> shares = FindCriticalPath(simulation.program, simulation.timeline).shares;
  for (PathShare& share : shares) {
    if (share.link < topology.links().size()) share.over = topology.link_kinds()[topology.links()[share.link].kind];
  }
  return shares;
}

}  // namespace

AcceleratorSpec AcceleratorOf(const Scenario& scenario) {
  AcceleratorSpec accelerator = scenario.hardware.accelerator;
  if (scenario.training.traced_kernels) accelerator.calibration.launch_gap += accelerator.calibration.traced_gap;
  return accelerator;
}

bool CheckLinks(const std::vector<Scenario>& points, Diagnostics& diagnostics) {
  const int64_t before = diagnostics.errors();
  for (const Scenario& point : points) {
    const std::vector<LinkChange> changes = LinkChanges(point.perturb);
    if (changes.empty()) continue;
    const Topology healthy(point.hardware, point.gpus);
    bool known = true;
    for (const Perturbation& p : point.perturb) {
      if (p.link.empty()) continue;
      const auto [from, to] = EndsOf(p.link);
      if (healthy.HasLink(from, to)) continue;
      known = false;
      Diagnostic& d = diagnostics.Error(absl::StrCat("there is no such link to perturb"), p.where);
      d.label = absl::StrCat("`", point.hardware.name, "` of ", point.gpus, " accelerators has no link `", p.link, "`");
      d.help.push_back(absl::StrCat("links are named as `", healthy.LinkName(0), "`; `simulate topology` prints them"));
    }
    if (known) CheckReach(point, changes, diagnostics);
  }
  diagnostics.Deduplicate();
  return diagnostics.errors() == before;
}

Topology TopologyOf(const Scenario& scenario) {
  return Topology(scenario.hardware, scenario.gpus, LinkChanges(scenario.perturb));
}

Simulation Simulate(const Scenario& scenario, const SimulationOptions& options) {
  Simulation result;
  result.program = BuildProgram(scenario);
  const AcceleratorSpec accelerator = AcceleratorOf(scenario);
  const std::vector<LinkChange> changes = LinkChanges(scenario.perturb);
  const Topology topology(scenario.hardware, scenario.gpus, changes);
  const KernelModel kernels = KernelsInStep(result.program, accelerator, scenario.gpus, HostSideOf(scenario.hardware.node));
  const HostModel host(accelerator.host, scenario.training.runtime);
  const CollectiveModel collectives(scenario.hardware, topology);
  const Machine machine{topology, kernels, host, collectives, accelerator.memory};

  RunOptions run;
  run.unfold = options.unfold;
  run.memory = options.memory;
  run.asymmetric = !changes.empty();
  run.messages = scenario.fidelity == Fidelity::kMessages;
  for (const Perturbation& p : scenario.perturb) {
    if (p.rank >= 0) run.slow_ranks.push_back({static_cast<RankId>(p.rank), p.compute});
  }
  result.timeline = Run(result.program, machine, run);
  result.report = BuildReport(scenario, result.program, result.timeline);
  if (options.explain) {
    result.report.path = PathOf(result, topology);
    result.report.advice = Advise(scenario, result.report);
  }
  return result;
}

std::vector<Report> SimulateAll(const std::vector<Scenario>& points, const SimulationOptions& options, int threads,
                                const std::function<void(size_t, size_t)>& progress) {
  std::vector<Report> reports(points.size());
  ParallelFor(
      points.size(), threads, [&](size_t i) { reports[i] = Predict(points[i], options); }, progress);
  return reports;
}

bool SimulateMissing(const std::vector<Scenario>& points, const SimulationOptions& options, int threads,
                     const SweepCallbacks& callbacks, std::vector<std::optional<Report>>* reports) {
  std::vector<size_t> missing;
  for (size_t i = 0; i < points.size(); ++i) {
    if (!(*reports)[i]) missing.push_back(i);
  }
  std::mutex mutex;
  ParallelFor(missing.size(), threads, [&](size_t k) {
    const size_t i = missing[k];
    {
      const std::lock_guard lock(mutex);
      if (callbacks.stop && callbacks.stop()) return;
    }
    Report report = Predict(points[i], options);
    const std::lock_guard lock(mutex);
    if (callbacks.finished) callbacks.finished(i, report);
    (*reports)[i] = std::move(report);
  });
  return std::all_of(reports->begin(), reports->end(), [](const auto& r) { return r.has_value(); });
}

}  // namespace simulate
