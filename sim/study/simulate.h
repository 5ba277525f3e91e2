// study/ - the whole line from a Scenario to a Report, and what calls it many times:
// sweep, check, compare, plan. Never reaches inside it.
#pragma once

#include <functional>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/engine/engine.h"
#include "sim/report/report.h"
#include "sim/spec/scenario.h"

namespace simulate {

struct SimulationOptions {
  bool unfold = false;        // simulate every rank, not one of each kind
  bool exact = false;         // simulate every micro-batch: see predict.h
};

struct Simulation {
  Report report;
  Program program;
  Timeline timeline;
};

// Scenario -> Program -> Timeline -> Report. REQUIRES: config/ accepted the scenario.
[[nodiscard]] Simulation Simulate(const Scenario& scenario, const SimulationOptions& options = {});

// Whether the links that `perturb` names exist, and all accelerators still reach each other. Cheap without such links.
[[nodiscard]] bool CheckLinks(const std::vector<Scenario>& points, Diagnostics& diagnostics);

// The points of a sweep on `threads` threads (0: one per processor), each a whole simulation of its own; results in
// the order of the points whatever the threads did. `progress(done, all)` is called from one thread at a time.
[[nodiscard]] std::vector<Report> SimulateAll(const std::vector<Scenario>& points, const SimulationOptions& options,
                                              int threads, const std::function<void(size_t, size_t)>& progress = {});

}  // namespace simulate
