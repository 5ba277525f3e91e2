#include "sim/parallel/layout.h"

#include "sim/base/check.h"

namespace simulate {

Layout LayoutOf(const Scenario& scenario) {
  const ParallelismSpec& p = scenario.parallelism;
  Layout layout{.tensor = p.tensor, .context = p.context, .data = 1, .pipeline = p.pipeline.stages,
                .expert = p.expert};
  const int64_t model = layout.tensor * layout.context * layout.pipeline;
  SIM_CHECK(model > 0 && scenario.gpus % model == 0, "a layout of ", model, " does not divide ", scenario.gpus);
  layout.data = scenario.gpus / model;
  return layout;
}

RankCoordinates CoordinatesOf(const Layout& layout, RankId rank) {
  RankCoordinates at;
  int64_t rest = rank;
  at.tensor = rest % layout.tensor;
  rest /= layout.tensor;
  at.context = rest % layout.context;
  rest /= layout.context;
  at.data = rest % layout.data;
  at.pipeline = rest / layout.data;
  return at;
}

RankId RankOf(const Layout& layout, const RankCoordinates& at) {
  return static_cast<RankId>(
      ((at.pipeline * layout.data + at.data) * layout.context + at.context) * layout.tensor + at.tensor);
}

namespace {

// Groups all ranks by `key`, members in order of rank.
template <typename Key>
Groups GroupBy(const Layout& layout, int64_t count, Key key) {
  Groups groups(static_cast<size_t>(count));
  for (RankId rank = 0; rank < layout.world_size(); ++rank) {
    groups[static_cast<size_t>(key(CoordinatesOf(layout, rank)))].push_back(rank);
  }
  return groups;
}

}  // namespace

Groups TensorGroups(const Layout& l) {
  return GroupBy(l, l.context * l.data * l.pipeline, [&](const RankCoordinates& at) {
    return (at.pipeline * l.data + at.data) * l.context + at.context;
  });
}

Groups ContextGroups(const Layout& l) {
  return GroupBy(l, l.tensor * l.data * l.pipeline, [&](const RankCoordinates& at) {
    return (at.pipeline * l.data + at.data) * l.tensor + at.tensor;
  });
}

Groups DataGroups(const Layout& l) {
  return GroupBy(l, l.tensor * l.pipeline,
                 [&](const RankCoordinates& at) { return at.pipeline * l.tensor + at.tensor; });
}

Groups PipelineGroups(const Layout& l) {
  return GroupBy(l, l.tensor * l.context * l.data, [&](const RankCoordinates& at) {
    return (at.data * l.context + at.context) * l.tensor + at.tensor;
  });
}

Groups ExpertGroups(const Layout& l) { return Consecutive(DataGroups(l), l.expert); }
Groups ExpertDataGroups(const Layout& l) { return Strided(DataGroups(l), l.expert); }

Groups EmbeddingGroups(const Layout& l) {
  Groups groups = PipelineGroups(l);
  for (auto& group : groups) group = {group.front(), group.back()};
  return groups;
}

Groups Consecutive(const Groups& groups, int64_t size) {
  Groups result;
  for (const auto& group : groups) {
    const auto n = static_cast<int64_t>(group.size());
    SIM_CHECK(size > 0 && n % size == 0, "groups of ", n, " cannot be split into runs of ", size);
    for (int64_t first = 0; first < n; first += size) {
      result.emplace_back(group.begin() + first, group.begin() + first + size);
    }
  }
  return result;
}

Groups Strided(const Groups& groups, int64_t size) {
  Groups result;
  for (const auto& group : groups) {
    const auto n = static_cast<int64_t>(group.size());
    SIM_CHECK(size > 0 && n % size == 0, "groups of ", n, " cannot be split into runs of ", size);
    for (int64_t place = 0; place < size; ++place) {
      auto& strided = result.emplace_back();
      for (int64_t i = place; i < n; i += size) strided.push_back(group[static_cast<size_t>(i)]);
    }
  }
  return result;
}

}  // namespace simulate
