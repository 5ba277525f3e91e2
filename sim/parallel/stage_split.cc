#include "sim/parallel/stage_split.h"

#include <algorithm>

#include "sim/base/check.h"

namespace simulate {
namespace {

// Where each stage ends if none may hold more than `most`, filled from the first on; later stages are left an item each.
std::vector<uint32_t> FillStages(const std::vector<int64_t>& weights, int64_t stages, int64_t most) {
  const auto items = static_cast<int64_t>(weights.size());
  std::vector<uint32_t> ends;
  int64_t item = 0;
  for (int64_t stage = 0; stage < stages; ++stage) {
    int64_t held = weights[static_cast<size_t>(item++)];
    while (item < items - (stages - stage - 1) && held + weights[static_cast<size_t>(item)] <= most) {
      held += weights[static_cast<size_t>(item++)];
    }
    ends.push_back(static_cast<uint32_t>(item));
  }
  return ends;
}

// deepspeed/runtime/utils.py, partition_balanced: the smallest possible largest stage, by bisection.
std::vector<std::vector<uint32_t>> SplitByParameters(const Model& model, int64_t stages) {
  SIM_CHECK(static_cast<int64_t>(model.uses.size()) >= stages, model.uses.size(), " items cannot fill ", stages, " stages");
  std::vector<int64_t> weights;
  int64_t below = 0, most = 0;
  for (const LayerUse& use : model.uses) {
    weights.push_back(model.layers[use.layer].parameter_count());
    below = std::max(below, weights.back() - 1);
    most += weights.back();
  }
  while (most - below > 1) {
    const int64_t middle = below + (most - below) / 2;
    (FillStages(weights, stages, middle).back() == weights.size() ? most : below) = middle;
  }
  std::vector<std::vector<uint32_t>> split;
  uint32_t use = 0;
  for (const uint32_t end : FillStages(weights, stages, most)) {
    split.emplace_back();
    for (; use < end; ++use) split.back().push_back(use);
  }
  return split;
}

// How many items each virtual stage takes.
std::vector<int64_t> ItemsByStage(int64_t items, int64_t virtual_stages, const PipelineSpec& how) {
  std::vector<int64_t> result(static_cast<size_t>(virtual_stages), -1);
  int64_t open = virtual_stages;
  for (int64_t stage = 0; stage < virtual_stages; ++stage) {
    const int64_t place = stage % how.stages;
    const bool first = place == 0 && how.first_stage_layers >= 0;
    if (!first && !(place + 1 == how.stages && how.last_stage_layers >= 0)) continue;
    const int64_t own = (first ? how.first_stage_layers : how.last_stage_layers) / how.virtual_stages;
    result[static_cast<size_t>(stage)] = own;
    items -= own;
    --open;
  }
  int64_t extra = open == 0 ? 0 : items % open;
  for (int64_t& own : result) {
    if (own < 0) own = items / open + (extra-- > 0 ? 1 : 0);
  }
  return result;
}

// What is dealt out, as the use that it ends with.
std::vector<uint32_t> ItemsOf(const Model& model, PipelinePartition partition) {
  const auto last = static_cast<uint32_t>(model.uses.size() - 1);
  const auto counts = [&](uint32_t use) {
    switch (partition) {
      case PipelinePartition::kBlocks: return model.uses[use].block;
      case PipelinePartition::kEmbedding: return use == 0 || model.uses[use].block;
      case PipelinePartition::kHead: return use == last || model.uses[use].block;
      default: return true;
    }
  };
  std::vector<uint32_t> items;
  for (uint32_t use = 0; use <= last; ++use) {
    if (counts(use)) items.push_back(use);
  }
  if (partition == PipelinePartition::kLayers) items.push_back(last);  // final norm and head
  return items;
}

}  // namespace

std::vector<std::vector<uint32_t>> SplitIntoStages(const Model& model, int64_t virtual_stages, const PipelineSpec& how) {
  if (how.partition == PipelinePartition::kParameters) return SplitByParameters(model, virtual_stages);
  const std::vector<uint32_t> items = ItemsOf(model, how.partition);
  const std::vector<int64_t> counts = ItemsByStage(static_cast<int64_t>(items.size()), virtual_stages, how);
  const auto all = static_cast<uint32_t>(model.uses.size());
  std::vector<std::vector<uint32_t>> split(static_cast<size_t>(virtual_stages));
  uint32_t use = 0;
  size_t placed = 0;
  for (size_t stage = 0; stage < split.size(); ++stage) {
    placed += static_cast<size_t>(counts[stage]);
    const uint32_t before = placed == 0 ? items.front() : items[placed - 1] + 1;
    const uint32_t end = stage + 1 == split.size() ? all : std::min(before, all - 1);
    for (; use < end; ++use) split[stage].push_back(use);
    SIM_CHECK(!split[stage].empty(), "nothing is left for stage ", stage, " of ", virtual_stages);
  }
  return split;
}

std::vector<uint32_t> UsesOfStage(const std::vector<std::vector<uint32_t>>& split, const PipelineShape& shape,
                                  int64_t stage) {
  std::vector<uint32_t> uses;
  for (int64_t chunk = 0; chunk < ChunksPerStage(shape); ++chunk) {
    const auto& part = split[static_cast<size_t>(VirtualStage(shape, stage, chunk))];
    uses.insert(uses.end(), part.begin(), part.end());
  }
  std::ranges::sort(uses);
  return uses;
}

}  // namespace simulate
