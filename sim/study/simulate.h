// study/ - the whole line from a Scenario to a Report, and what calls it many times:
// sweep, check, compare, plan. Never reaches inside it.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/engine/engine.h"
#include "sim/report/report.h"
#include "sim/spec/scenario.h"

namespace simulate {

struct SimulationOptions {
  bool unfold = false;        // simulate every rank, not one of each kind
  bool exact = false;         // simulate every micro-batch: see predict.h
  bool explain = false;       // Report::path and Report::advice too
  bool memory = true;         // false: times alone
};

struct Simulation {
  Report report;
  Program program;
  Timeline timeline;
};

// The accelerator as this run sees it: a tracer leaves wider gaps between kernels.
[[nodiscard]] AcceleratorSpec AcceleratorOf(const Scenario& scenario);

// The graph that a scenario runs on, its perturbed links included.
[[nodiscard]] Topology TopologyOf(const Scenario& scenario);

// Scenario -> Program -> Timeline -> Report. REQUIRES: config/ accepted the scenario.
[[nodiscard]] Simulation Simulate(const Scenario& scenario, const SimulationOptions& options = {});

// Whether the links that `perturb` names exist, and all accelerators still reach each other. Cheap without such links.
[[nodiscard]] bool CheckLinks(const std::vector<Scenario>& points, Diagnostics& diagnostics);

// The points of a sweep on `threads` threads (0: one per processor), each a whole simulation of its own; results in
// the order of the points whatever the threads did. `progress(done, all)` is called from one thread at a time.
[[nodiscard]] std::vector<Report> SimulateAll(const std::vector<Scenario>& points, const SimulationOptions& options,
                                              int threads, const std::function<void(size_t, size_t)>& progress = {});

// The same for a sweep that may be cut short and gone on with. Callbacks are called from one thread at a time.
struct SweepCallbacks {
  std::function<void(size_t point, const Report&)> finished;
  std::function<bool()> stop;  // asked before each point; once it says true no further point begins
};
// Simulates the points that `reports` (one per point) does not hold yet. False: stopped, some are still missing.
[[nodiscard]] bool SimulateMissing(const std::vector<Scenario>& points, const SimulationOptions& options, int threads,
                                   const SweepCallbacks& callbacks, std::vector<std::optional<Report>>* reports);

}  // namespace simulate
