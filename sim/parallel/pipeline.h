// Pipeline parallelism: the stages of a model, and what the host of one stage does in a step.
#pragma once

#include <vector>

#include "sim/parallel/data_parallel.h"
#include "sim/parallel/schedule.h"

namespace simulate {

[[nodiscard]] PipelineShape PipelineShapeOf(const Scenario& scenario);

// Parts of an activation that each tensor-parallel rank sends one of (Narayanan et al. 2021, section 4.1).
[[nodiscard]] int64_t ScatterParts(const Scenario& scenario);

// Uses of the model by virtual stage: blocks spread evenly (the first stages take what is left over), what comes
// before the first block on the first stage, what comes after the last block on the last. kEnds spreads embedding
// and head, too, as one item each, kLayers the final norm besides; norm and head, one use, stay on the last stage.
// kParameters: the uses in stages of which the one with most weights has as few as possible, the first ones filled first.
[[nodiscard]] std::vector<std::vector<uint32_t>> SplitIntoStages(const Model& model, int64_t virtual_stages,
                                                                 PipelinePartition partition = PipelinePartition::kBlocks);

// All uses of one stage, in model order.
[[nodiscard]] std::vector<uint32_t> UsesOfStage(const std::vector<std::vector<uint32_t>>& split,
                                                const PipelineShape& shape, int64_t stage);

// Writes the whole step of one rank of one stage.
void WritePipelineStep(Environment& environment, DataParallel& data_parallel, const PipelineShape& shape,
                       const std::vector<std::vector<uint32_t>>& split,
                       const std::vector<StageSchedule>& schedule, int64_t stage);

}  // namespace simulate
