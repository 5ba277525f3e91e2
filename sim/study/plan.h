// Time and money of a whole training run, from the step that was simulated.
//
//   steps   = training.tokens / tokens per step          days = steps * step time / goodput
//   goodput = share of the time that makes progress, for checkpoints of length C every T seconds, restarts of length R
//             and a mean time between failures of the cluster M = M_node / nodes (Young 1974, Daly 2006):
//             T / (T + C) / (1 + (T / 2 + C / 2 + R) / M);  T = sqrt(2 C M) when it is not stated
//   dollars = days * 24 h * nodes * price per node and hour;   energy = days * 24 h * nodes * power per node
#pragma once

#include <string>
#include <vector>

#include "sim/report/report.h"
#include "sim/spec/scenario.h"

namespace simulate {

struct RunPlan {
  double steps = 0.0;
  double days = 0.0;
  double goodput = 1.0;
  Seconds checkpoint_interval;      // 0: no failures stated
  double dollars = 0.0;             // 0: no price stated
  double kilowatt_hours = 0.0;      // 0: no power stated
  double dollars_per_billion_tokens = 0.0;
};

// REQUIRES: the report is of a run that fits; training.tokens > 0.
[[nodiscard]] RunPlan PlanRun(const Scenario& scenario, const Report& report);

// Goodput and the interval that it holds for.
[[nodiscard]] std::pair<double, Seconds> Goodput(const ReliabilitySpec& reliability, int64_t nodes);

}  // namespace simulate
