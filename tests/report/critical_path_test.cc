#include <catch2/catch.hpp>

#include "sim/program/builder.h"
#include "sim/report/critical_path.h"

namespace simulate {
namespace {

Span At(uint32_t instruction, int64_t enqueued, int64_t ready, int64_t start, int64_t end) {
  return {instruction, SimTime(enqueued), SimTime(ready), SimTime(start), SimTime(end), SimTime(end - start)};
}

// compute: a (0..10), b needs the gather (30..40); wire: the gather (10..30), enqueued early.
//
//   compute |aaaaaaaaaa                    bbbbbbbbbb|
//   wire    |          gggggggggggggggggggg          |
TEST_CASE("the path goes through what the next work waited for, and covers the step") {
  ProgramBuilder builder;
  const StreamId compute = builder.AddStream("compute", StreamKind::kCompute);
  const StreamId wire = builder.AddStream("wire", StreamKind::kCommunication);
  const CommunicatorId world = builder.AddCommunicator("data_parallel", {{0, 1}});
  RankProgramBuilder rank(builder);
  rank.BeginStep();
  const TaskRef a = rank.Kernel(compute, "a", {}, HostCall::kOperator);
  const TaskRef gather = rank.Collective(wire, "gather", {CollectiveOp::kAllGather, world, Bytes(64), DType::kBf16}, {&a, 1});
  rank.Kernel(compute, "b", {}, HostCall::kOperator, {&gather, 1});
  const uint32_t code = builder.AddRankProgram(std::move(rank).Build());
  builder.AssignRanks({code, code});
  const Program program = std::move(builder).Build();

  Timeline timeline;
  RankTimeline entry;
  entry.weight = 2;
  entry.spans = {At(0, 0, 0, 0, 10), At(1, 1, 10, 10, 30), At(2, 2, 30, 30, 40)};
  entry.end = timeline.end = SimTime(40);
  timeline.ranks = {entry};
  timeline.entry_of_rank = {0, 0};

  const CriticalPath path = FindCriticalPath(program, timeline);
  REQUIRE(path.steps.size() == 3);
  CHECK(path.steps[1].instruction == 1);
  REQUIRE(path.shares.size() == 3);
  CHECK(path.shares[0].kind == "all_gather");
  CHECK(path.shares[0].share == Approx(0.5));
  CHECK(path.shares[0].gain_of_ten_percent.value() == Approx(2e-12));
  SimTime sum;
  for (const PathStep& step : path.steps) sum += step.end - step.begin;
  CHECK(sum == timeline.end);

  SECTION("a host that enqueues late is on the path") {
    timeline.ranks[0].spans[2] = At(2, 35, 35, 35, 45);
    timeline.ranks[0].end = timeline.end = SimTime(45);
    const CriticalPath late = FindCriticalPath(program, timeline);
    REQUIRE(late.shares.size() == 2);
    CHECK(late.shares[0].kind == "host");
    CHECK(late.shares[0].seconds.value() == Approx(35e-12));
    CHECK(late.shares[1].kind == "b");
  }
  SECTION("a rank that comes late to a collective takes the path with it") {
    timeline.ranks[0].weight = 1;
    timeline.ranks[0].spans = {At(0, 0, 0, 0, 10), At(1, 1, 10, 25, 45), At(2, 2, 45, 45, 55)};
    timeline.ranks[0].end = timeline.end = SimTime(55);
    RankTimeline slow;
    slow.rank = 1;
    slow.spans = {At(0, 0, 0, 0, 25), At(1, 1, 25, 25, 45), At(2, 2, 45, 45, 54)};
    slow.end = SimTime(54);
    timeline.ranks.push_back(slow);
    timeline.entry_of_rank = {0, 1};
    const CriticalPath path2 = FindCriticalPath(program, timeline);
    REQUIRE(path2.steps.size() == 3);
    CHECK(path2.steps[0].entry == 1);
    CHECK(path2.steps[0].end == SimTime(25));
    CHECK(path2.shares[0].kind == "a");
  }
}

TEST_CASE("nothing ran, no path") { CHECK(FindCriticalPath(Program{}, Timeline{}).steps.empty()); }

}  // namespace
}  // namespace simulate
