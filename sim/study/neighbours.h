// The settings next to a scenario's that need less (or use more) memory: what to try when a run does not fit.
#pragma once

#include <string>
#include <vector>

#include "sim/report/report.h"
#include "sim/spec/scenario.h"

namespace simulate {

struct Neighbour {
  std::string change;      // "training.activation_checkpointing=full", ready for --set
  Scenario scenario;
};

// One change each, from the mildest: expandable segments, half the micro-batch with twice the accumulation, checkpointing, finer sharding,
// offload to the host (if the node's file says what it can do).
// Only changes that config/ would accept.
[[nodiscard]] std::vector<Neighbour> Neighbours(const Scenario& scenario);

// Two different changes at a time, in the same order.
[[nodiscard]] std::vector<Neighbour> Pairs(const std::vector<Neighbour>& neighbours);

}  // namespace simulate
