// A report without simulating every micro-batch of a long step.
//
// Once the pipeline is full and the host has its lead, every further micro-batch (every further round of the stages)
// does the same again, so a step's time is affine in their number m: T(m) = T(m1) + (m - m1) (T(m2) - T(m1)) / (m2 - m1)
// for m1 of twice the stages p or more; 1F1B alone is (m + p - 1) (f + b). Longer steps are simulated at m1 = 2p and
// m2 = 3p (without a pipeline at 4 and 5, for the host's lead) and continued; every part of the breakdown likewise, so
// that they still sum to the step. Peak memory is reached while the pipeline is full and is m2's (to 1 %). Where a full
// device stalls the host (MemoryUse::retries), which follows no line, the line is that of steps without stalls, and
// m2's are added once. FLOPs and tokens are proportional to m.
//
// A test holds this to the whole simulation. `--exact`, --trace and stragglers that come and go simulate everything.
#pragma once

#include "sim/report/report.h"
#include "sim/study/simulate.h"

namespace simulate {

// The two numbers of micro-batches to simulate; both equal to the scenario's own when all of them are.
struct Continuation {
  int64_t first = 0;
  int64_t second = 0;
  int64_t all = 0;
  [[nodiscard]] bool exact() const { return second == all; }
};
[[nodiscard]] Continuation ContinuationOf(const Scenario& scenario);

[[nodiscard]] Report Predict(const Scenario& scenario, const SimulationOptions& options = {});

}  // namespace simulate
