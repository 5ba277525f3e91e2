// Which layers a pipeline's chunks hold. A chunk may hold the embedding alone, or the final norm, head and loss.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/model/model.h"
#include "sim/parallel/schedule.h"
#include "sim/spec/parallelism.h"

namespace simulate {

// Uses of the model by virtual stage: the items that `how.partition` counts spread evenly (the first stages take what is left
// over), everything else beside its neighbours: what comes before the first item on the first stage, what comes after the last
// one on the last. Norm and head are one use and stay together on the last stage. kParameters: the uses in stages of which the
// one with most weights has as few as possible, the first ones filled first. Where `how` says how many blocks the outer stages
// hold, each of their chunks takes its part, and the others are spread over the rest.
[[nodiscard]] std::vector<std::vector<uint32_t>> SplitIntoStages(const Model& model, int64_t virtual_stages,
                                                                 const PipelineSpec& how = {});

// All uses of one stage, in model order.
[[nodiscard]] std::vector<uint32_t> UsesOfStage(const std::vector<std::vector<uint32_t>>& split,
                                                const PipelineShape& shape, int64_t stage);

}  // namespace simulate
