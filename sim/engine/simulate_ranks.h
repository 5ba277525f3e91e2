// Fold, plan, replay, memory: one run against anything that answers Costs. Run (engine.h) calls it with
// a Machine; tests call it with hand-made machines.
#pragma once

#include "sim/engine/costs.h"
#include "sim/engine/engine.h"
#include "sim/engine/timeline.h"
#include "sim/program/program.h"

namespace simulate {

[[nodiscard]] Timeline RunWith(const Costs& costs, const Program& program, const RunOptions& options = {});

}  // namespace simulate
