// Pipeline parallelism: what the host of one stage does in a step.
#pragma once

#include <vector>

#include "sim/parallel/data_parallel.h"
#include "sim/parallel/schedule.h"

namespace simulate {

[[nodiscard]] PipelineShape PipelineShapeOf(const Scenario& scenario);

// Parts of an activation that each tensor-parallel rank sends one of (Narayanan et al. 2021, section 4.1).
[[nodiscard]] int64_t ScatterParts(const Scenario& scenario);

// Writes the whole step of one rank of one stage.
void WritePipelineStep(Environment& environment, DataParallel& data_parallel, const PipelineShape& shape,
                       const std::vector<std::vector<uint32_t>>& split,
                       const std::vector<StageSchedule>& schedule, int64_t stage);

}  // namespace simulate
