// Who talks to whom: the groups of ranks that a layout makes. The order of ranks is Megatron's:
// tensor fastest, then context, data, pipeline (build_program.h).
#pragma once

#include <vector>

#include "sim/parallel/build_program.h"

namespace simulate {

struct RankCoordinates {
  int64_t tensor = 0;
  int64_t context = 0;
  int64_t data = 0;
  int64_t pipeline = 0;
};
[[nodiscard]] RankCoordinates CoordinatesOf(const Layout& layout, RankId rank);
[[nodiscard]] RankId RankOf(const Layout& layout, const RankCoordinates& at);

using Groups = std::vector<std::vector<RankId>>;

[[nodiscard]] Groups TensorGroups(const Layout& layout);
[[nodiscard]] Groups ContextGroups(const Layout& layout);
// Ranks that hold the same parameters: data and context together, context fastest.
[[nodiscard]] Groups DataGroups(const Layout& layout);
[[nodiscard]] Groups PipelineGroups(const Layout& layout);
// The expert dimension regroups the data-parallel ranks: `expert` neighbours share one set of experts,
// equal places of different sets hold the same experts.
[[nodiscard]] Groups ExpertGroups(const Layout& layout);
[[nodiscard]] Groups ExpertDataGroups(const Layout& layout);
// First and last pipeline stage of the same column: tied embeddings.
[[nodiscard]] Groups EmbeddingGroups(const Layout& layout);

// Splits every group into consecutive runs of `size` (the shard groups of hybrid sharding), and the
// groups of equal places in those runs (its replicas). REQUIRES: size divides every group.
[[nodiscard]] Groups Consecutive(const Groups& groups, int64_t size);
[[nodiscard]] Groups Strided(const Groups& groups, int64_t size);

}  // namespace simulate
