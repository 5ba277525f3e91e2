#include "sim/report/pipeline.h"

#include <catch2/catch.hpp>

#include "sim/program/builder.h"

namespace simulate {
namespace {

// Ranks 0 and 1 are the stages; every piece is one kernel of (kind, micro-batch, begin, end).
struct TwoStages {
  Program program;
  Timeline timeline;
};

TwoStages Play(const std::vector<std::vector<std::tuple<PieceKind, int, int64_t, int64_t>>>& stages) {
  ProgramBuilder builder;
  const StreamId compute = builder.AddStream("compute", StreamKind::kCompute);
  (void)builder.AddCommunicator("pipeline forward", {{0, 1}});
  std::vector<uint32_t> assignment;
  TwoStages result;
  for (const auto& pieces : stages) {
    RankProgramBuilder rank(builder);
    rank.BeginStep();
    RankTimeline entry;
    entry.rank = static_cast<RankId>(assignment.size());
    for (const auto& [kind, micro_batch, begin, end] : pieces) {
      rank.BeginPiece(kind, micro_batch, 0);
      rank.Kernel(compute, "work", {}, HostCall::kOperator);
      rank.EndPiece();
      Span span;
      span.instruction = static_cast<uint32_t>(entry.spans.size());
      span.start = SimTime(begin);
      span.end = SimTime(end);
      entry.spans.push_back(span);
      entry.end = std::max(entry.end, span.end);
    }
    assignment.push_back(builder.AddRankProgram(std::move(rank).Build()));
    result.timeline.ranks.push_back(entry);
    result.timeline.entry_of_rank.push_back(entry.rank);
  }
  builder.AssignRanks(assignment);
  result.program = std::move(builder).Build();
  return result;
}

Scenario Of(PipelineScheduleKind kind, int64_t micro_batches, int64_t virtual_stages = 1) {
  Scenario scenario;
  scenario.parallelism.pipeline.stages = 2;
  scenario.parallelism.pipeline.schedule = kind;
  scenario.parallelism.pipeline.virtual_stages = virtual_stages;
  scenario.training.gradient_accumulation_steps = micro_batches;
  return scenario;
}

constexpr auto kF = PieceKind::kForward;
constexpr auto kB = PieceKind::kBackward;
constexpr auto kI = PieceKind::kBackwardInput;
constexpr auto kW = PieceKind::kBackwardWeight;

// Stage 0 does 2 (F + B) = 60 of 90, stage 1 the same: a bubble of 1/3 = (p-1)/(m+p-1).
const TwoStages kGpipe = Play({{{kF, 0, 0, 10}, {kF, 1, 10, 20}, {kB, 0, 50, 70}, {kB, 1, 70, 90}},
                               {{kF, 0, 10, 20}, {kF, 1, 20, 30}, {kB, 0, 30, 50}, {kB, 1, 50, 70}}});

TEST_CASE("equal stages and free communication have the bubble of the closed form") {
  const PlayedPipeline played = PlayedPipelineOf(Of(PipelineScheduleKind::kGpipe, 2), kGpipe.program, kGpipe.timeline);
  REQUIRE(played.stages.size() == 2);
  CHECK(played.stages[0].bubble == Approx(1.0 / 3.0));
  CHECK(played.stages[1].bubble == Approx(1.0 / 3.0));
  CHECK(played.bubble == Approx(played.closed_form));
  CHECK(played.schedule == "GPipe");
  CHECK(played.formula == "(p-1)/(m+p-1)");
  CHECK(played.begin == SimTime(0));
  CHECK(played.end == SimTime(90));
  CHECK(played.stages[1].pieces[2].start == SimTime(30));
  CHECK(played.stages[1].pieces[2].micro_batch == 0);
  CHECK(played.stages[1].pieces[2].kind == PieceKind::kBackward);
}

TEST_CASE("closed forms of the other schedules") {
  const auto form = [](const Scenario& scenario, const TwoStages& two) {
    return PlayedPipelineOf(scenario, two.program, two.timeline).closed_form;
  };
  CHECK(form(Of(PipelineScheduleKind::k1F1B, 7), kGpipe) == Approx(1.0 / 8.0));
  // Two chunks a stage under 1F1B are the interleaved schedule: (p-1)/(v m + p-1).
  CHECK(form(Of(PipelineScheduleKind::k1F1B, 7, 2), kGpipe) == Approx(1.0 / 15.0));
  CHECK(form(Of(PipelineScheduleKind::kZeroBubbleV, 2), kGpipe) == 0.0);
  // F = 10, B = 12, W = 8, p = 2, m = 1: idle (p-1)(F+B-W) = 14 beside 30 of work.
  const TwoStages split = Play({{{kF, 0, 0, 10}, {kI, 0, 32, 44}, {kW, 0, 44, 52}}, {{kF, 0, 10, 20}, {kI, 0, 20, 32}, {kW, 0, 32, 40}}});
  CHECK(form(Of(PipelineScheduleKind::kZeroBubbleH1, 1), split) == Approx(14.0 / 44.0));
  // DualPipe: (p/2-1) is 0 for two stages.
  CHECK(form(Of(PipelineScheduleKind::kDualPipe, 1), split) == 0.0);
}

TEST_CASE("one stage is no pipeline") {
  Scenario scenario = Of(PipelineScheduleKind::k1F1B, 2);
  scenario.parallelism.pipeline.stages = 1;
  CHECK(PlayedPipelineOf(scenario, kGpipe.program, kGpipe.timeline).stages.empty());
}

}  // namespace
}  // namespace simulate
