#include "sim/parallel/layout.h"

#include <catch2/catch.hpp>
#include <set>

#include "tests/parallel/fixture.h"

using namespace simulate;

TEST_CASE("tensor is the fastest dimension, pipeline the slowest") {
  const Layout layout{.tensor = 2, .context = 1, .data = 2, .pipeline = 2, .expert = 1};
  CHECK(TensorGroups(layout) == Groups{{0, 1}, {2, 3}, {4, 5}, {6, 7}});
  CHECK(DataGroups(layout) == Groups{{0, 2}, {1, 3}, {4, 6}, {5, 7}});
  CHECK(PipelineGroups(layout) == Groups{{0, 4}, {1, 5}, {2, 6}, {3, 7}});
}

TEST_CASE("coordinates and ranks are each other's inverse, and groups partition the ranks") {
  const Layout layout{.tensor = 2, .context = 3, .data = 4, .pipeline = 5, .expert = 2};
  for (RankId rank = 0; rank < layout.world_size(); ++rank) CHECK(RankOf(layout, CoordinatesOf(layout, rank)) == rank);
  for (const Groups& groups : {TensorGroups(layout), ContextGroups(layout), DataGroups(layout), PipelineGroups(layout),
                               ExpertGroups(layout), ExpertDataGroups(layout)}) {
    std::set<RankId> seen;
    for (const auto& group : groups) seen.insert(group.begin(), group.end());
    CHECK(static_cast<int64_t>(seen.size()) == layout.world_size());
  }
}

TEST_CASE("shards are neighbours, replicas sit at equal places") {
  CHECK(Consecutive({{0, 1, 2, 3}}, 2) == Groups{{0, 1}, {2, 3}});
  CHECK(Strided({{0, 1, 2, 3}}, 2) == Groups{{0, 2}, {1, 3}});
}

TEST_CASE("the data-parallel size is what the other dimensions leave") {
  Scenario s = TinyGpt(16);
  s.parallelism.tensor = 2;
  s.parallelism.pipeline.stages = 4;
  CHECK(LayoutOf(s).data == 2);
}
