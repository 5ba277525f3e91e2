#include "sim/parallel/schedule.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

using namespace simulate;

namespace {

PipelineShape Shape(PipelineScheduleKind kind, int64_t p, int64_t m, int64_t v = 1) {
  return {.kind = kind, .stages = p, .micro_batches = m, .virtual_stages = v};
}

constexpr PipelineScheduleKind kAllKinds[] = {
    PipelineScheduleKind::kGpipe,        PipelineScheduleKind::k1F1B,        PipelineScheduleKind::kInterleaved1F1B,
    PipelineScheduleKind::kZeroBubbleH1, PipelineScheduleKind::kZeroBubbleV, PipelineScheduleKind::kDualPipe};

}  // namespace

TEST_CASE("every schedule does every piece once and can be played") {
  for (const auto kind : kAllKinds) {
    for (const int64_t p : {2, 4, 8}) {
      for (const int64_t m : {2 * p, 4 * p}) {
        const PipelineShape shape = Shape(kind, p, m, 2);
        const auto schedule = MakeSchedule(shape);
        REQUIRE(static_cast<int64_t>(schedule.size()) == p);
        for (const auto& stage : schedule) {
          std::set<StageWork> seen(stage.begin(), stage.end());
          CHECK(seen.size() == stage.size());
          const auto count = [&](WorkKind k) {
            return std::ranges::count_if(stage, [k](const StageWork& w) { return w.kind == k; });
          };
          // DualPipe's two chunks are copies: each sees half of the micro-batches.
          const int64_t chunks = kind == PipelineScheduleKind::kDualPipe ? 1 : ChunksPerStage(shape);
          CHECK(count(WorkKind::kForward) == m * chunks);
          CHECK(count(WorkKind::kBackward) + count(WorkKind::kBackwardInput) == m * chunks);
          CHECK(count(WorkKind::kBackwardInput) == count(WorkKind::kBackwardWeight));
        }
        CHECK(Play(shape, schedule, {}).makespan >= 3.0 * static_cast<double>(m));
      }
    }
  }
}

TEST_CASE("bubbles of GPipe and 1F1B are (p-1)/(m+p-1)") {
  // With equal stages and free communication a stage works m(F+B+W) and the first micro-batch needs
  // (p-1)(F+B+W) to travel down and up.
  for (const auto kind : {PipelineScheduleKind::kGpipe, PipelineScheduleKind::k1F1B}) {
    for (const int64_t p : {1, 2, 4, 8}) {
      for (const int64_t m : {1, 3, 8, 32}) {
        const PipelineShape shape = Shape(kind, p, m);
        const SchedulePlay play = Play(shape, MakeSchedule(shape), {.forward = 1.0, .backward_input = 1.0, .backward_weight = 1.0});
        CHECK(play.makespan == Approx(3.0 * static_cast<double>(m + p - 1)));
        CHECK(play.idle[0] / play.makespan == Approx(static_cast<double>(p - 1) / static_cast<double>(m + p - 1)).margin(1e-12));
      }
    }
  }
}

TEST_CASE("interleaving divides the bubble by the number of chunks") {
  // (p-1)(F+B) / v on top of the ideal m(F+B), with chunk times F/v and B/v: here chunks take 1 + 2.
  for (const int64_t p : {2, 4, 8}) {
    for (const int64_t v : {2, 3, 4}) {
      const int64_t m = 2 * p;
      const PipelineShape shape = Shape(PipelineScheduleKind::kInterleaved1F1B, p, m, v);
      const SchedulePlay play = Play(shape, MakeSchedule(shape), {});
      const double ideal = 3.0 * static_cast<double>(m * v);
      CHECK((play.makespan - ideal) / ideal == Approx(static_cast<double>(p - 1) / static_cast<double>(v * m)));
    }
  }
}

TEST_CASE("activations in flight") {
  const int64_t p = 4;
  const int64_t m = 16;
  SECTION("GPipe holds every micro-batch") {
    const PipelineShape shape = Shape(PipelineScheduleKind::kGpipe, p, m);
    CHECK(Play(shape, MakeSchedule(shape), {}).peak_in_flight == std::vector<int64_t>{16, 16, 16, 16});
  }
  SECTION("1F1B holds p - s") {
    const PipelineShape shape = Shape(PipelineScheduleKind::k1F1B, p, m);
    CHECK(Play(shape, MakeSchedule(shape), {}).peak_in_flight == std::vector<int64_t>{4, 3, 2, 1});
  }
  SECTION("ZB-H1: no stage holds more than 1F1B's first, p") {
    const PipelineShape shape = Shape(PipelineScheduleKind::kZeroBubbleH1, p, m);
    for (const int64_t held : Play(shape, MakeSchedule(shape), {}).peak_in_flight) CHECK(held <= 4);
  }
  SECTION("interleaved: 2(p-s-1) + (v-1)p + 1 chunks of 1/v of a stage") {
    const PipelineShape shape = Shape(PipelineScheduleKind::kInterleaved1F1B, p, m, 2);
    CHECK(Play(shape, MakeSchedule(shape), {}).peak_in_flight == std::vector<int64_t>{11, 9, 7, 5});
  }
  SECTION("ZB-V: 2p half chunks at most") {
    const PipelineShape shape = Shape(PipelineScheduleKind::kZeroBubbleV, p, m);
    for (const int64_t held : Play(shape, MakeSchedule(shape), {}).peak_in_flight) CHECK(held <= 8);
  }
  SECTION("DualPipe: p + 1 on every stage") {
    const PipelineShape shape = Shape(PipelineScheduleKind::kDualPipe, p, m);
    CHECK(Play(shape, MakeSchedule(shape), {}).peak_in_flight == std::vector<int64_t>{5, 5, 5, 5});
  }
}

TEST_CASE("zero-bubble schedules") {
  SECTION("ZB-H1's bubble is (p-1)(F+B-W): a third of 1F1B's when all are equal") {
    for (const int64_t p : {2, 4, 8}) {
      const int64_t m = 4 * p;
      const PipelineShape shape = Shape(PipelineScheduleKind::kZeroBubbleH1, p, m);
      CHECK(Play(shape, MakeSchedule(shape), {}).makespan == Approx(3.0 * static_cast<double>(m) + static_cast<double>(p - 1)));
    }
  }
  SECTION("ZB-V: no more than two slots beyond the p-1 that the last stage waits for its first piece") {
    for (const int64_t p : {2, 4, 8}) {
      const int64_t m = 4 * p;
      const PipelineShape shape = Shape(PipelineScheduleKind::kZeroBubbleV, p, m);
      CHECK(Play(shape, MakeSchedule(shape), {}).makespan <= 6.0 * static_cast<double>(m) + static_cast<double>(p - 1) + 2.0);
    }
  }
}

TEST_CASE("1F1B on the second of four stages") {
  const auto schedule = MakeSchedule(Shape(PipelineScheduleKind::k1F1B, 4, 4));
  const auto F = WorkKind::kForward;
  const auto B = WorkKind::kBackward;
  CHECK(schedule[1] == StageSchedule{{F, 0, 0}, {F, 1, 0}, {F, 2, 0}, {B, 0, 0}, {F, 3, 0}, {B, 1, 0}, {B, 2, 0}, {B, 3, 0}});
}
