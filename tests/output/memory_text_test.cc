#include "sim/output/memory_text.h"

#include <catch2/catch.hpp>

namespace simulate {
namespace {

MemoryUse Use(std::vector<std::pair<int64_t, int64_t>> samples) {
  MemoryUse use;
  for (const auto& [time, gigabytes] : samples)
    use.samples.push_back({SimTime(time), Bytes(gigabytes * 1'000'000'000), Bytes(gigabytes * 1'000'000'000)});
  return use;
}

}  // namespace

TEST_CASE("the timeline shows the most that was allocated in each of its columns") {
  // Eight columns over 80 ps: 7 GB in the first, 14 in the fourth (its 7 does not count), what was before where nothing happened;
  // the last sample belongs to the last column. Levels of 14 GB: 7 is 3.5 of 7, rounded up to the fifth of eight signs.
  const MemoryUse use = Use({{0, 7}, {30, 7}, {35, 14}, {50, 0}, {80, 7}});
  CHECK(RenderMemoryTimeline(use, 8, false) == "allocated over a steady step, up to 14.00 GB (in the host's time):\n===##__=\n");
  CHECK(RenderMemoryTimeline(use, 8, true) == "allocated over a steady step, up to 14.00 GB (in the host's time):\n▅▅▅██▁▁▅\n");
}

TEST_CASE("there is no timeline of one sample or in no columns") {
  CHECK(RenderMemoryTimeline(Use({{0, 7}}), 8, false).empty());
  CHECK(RenderMemoryTimeline(Use({{0, 7}, {8, 1}}), 0, false).empty());
}

TEST_CASE("kinds of ranks are listed where there are several") {
  Timeline timeline;
  timeline.ranks.resize(1);
  CHECK(RenderRankMemory(timeline, false).empty());
  timeline.ranks.resize(2);
  timeline.ranks[1].rank = 4;
  timeline.ranks[1].weight = 3;
  timeline.ranks[1].memory.out_of_memory = true;
  const std::string table = RenderRankMemory(timeline, false);
  CHECK(table.find("rank 0") != std::string::npos);
  const size_t second = table.find("rank 4");
  REQUIRE(second != std::string::npos);
  CHECK(table.find("no", second) != std::string::npos);
}

}  // namespace simulate
