// What no single value shows: layouts that do not divide, batches that do not come out, positions beyond the table,
// precisions that the accelerator lacks. Each diagnostic points at both places.
#pragma once

#include "sim/base/diagnostics.h"
#include "sim/config/node.h"
#include "sim/config/read_model.h"
#include "sim/spec/scenario.h"

namespace simulate {

struct ScenarioSource {
  const Node& tree;                 // the scenario's mapping, as read
  const KeyLocations& model_where;
  int64_t global_batch_size = 0;    // 0: not given
};

// REQUIRES: every part of `scenario` was read without error. Fills in gradient_accumulation_steps from the global
// batch size. False after an error.
bool CheckScenario(const ScenarioSource& source, Scenario* scenario, Diagnostics& diagnostics);

}  // namespace simulate
