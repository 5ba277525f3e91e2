// parallel/ - how a model is trained on many ranks: DDP, ZeRO/FSDP, tensor, sequence, pipeline,
// context and expert parallelism, as builders of an immutable Program.
//
// Every builder writes what the framework's host thread does, in its order. Absent on purpose:
// links and seconds.
#pragma once

#include "sim/model/model.h"
#include "sim/program/program.h"
#include "sim/spec/scenario.h"

namespace simulate {

// One rank's coordinates in the layout; the order of ranks is Megatron's: tensor fastest, then
// context, data, pipeline (expert parallelism regroups the data-parallel ranks).
struct Layout {
  int64_t tensor = 1;
  int64_t context = 1;
  int64_t data = 1;
  int64_t pipeline = 1;
  int64_t expert = 1;
  [[nodiscard]] int64_t world_size() const { return tensor * context * data * pipeline; }
};
[[nodiscard]] Layout LayoutOf(const Scenario& scenario);

// REQUIRES: config/ accepted the scenario.
[[nodiscard]] Program BuildProgram(const Scenario& scenario);

// The same for a model that is already built: the slice that one rank of the layout computes.
[[nodiscard]] Program BuildProgram(const Scenario& scenario, const Model& model);

}  // namespace simulate
