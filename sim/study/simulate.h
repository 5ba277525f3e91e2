// study/ - the whole line from a Scenario to a Report, and what calls it many times:
// sweep, plan, compare, check.
#pragma once

#include "sim/engine/engine.h"
#include "sim/report/report.h"
#include "sim/spec/scenario.h"

namespace simulate {

struct SimulationOptions {
  bool unfold = false;
  bool record_spans = true;   // needed for traces; the breakdown is computed either way
};

struct Simulation {
  Report report;
  Program program;
  Timeline timeline;
};

// Scenario -> Program -> Timeline -> Report.
[[nodiscard]] Simulation Simulate(const Scenario& scenario, const SimulationOptions& options = {});

}  // namespace simulate
