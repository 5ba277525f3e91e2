#include "sim/report/pipeline.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace simulate {
namespace {

// The ranks that rank 0 exchanges activations with, in order of stage.
const std::vector<RankId>* StagesOf(const Program& program) {
  for (const Communicator& communicator : program.communicators) {
    if (communicator.name.rfind("pipeline", 0) != 0) continue;
    for (const auto& group : communicator.groups) {
      if (std::find(group.begin(), group.end(), RankId{0}) != group.end()) return &group;
    }
  }
  return nullptr;
}

// Kernels of the compute stream give a piece its place in time; sends, receives and what is gathered ahead do not.
PlayedStage Play(const Program& program, const RankTimeline& entry, RankId rank) {
  const RankProgram& code = program.programs[program.program_of_rank[rank]];
  PlayedStage stage;
  stage.rank = rank;
  stage.end = entry.end;
  auto span = entry.spans.begin();
  for (const Piece& piece : code.pieces) {
    while (span != entry.spans.end() && span->instruction < piece.first) ++span;
    bool any = false;
    PlayedPiece played{piece.kind, piece.micro_batch, piece.chunk, {}, {}};
    for (; span != entry.spans.end() && span->instruction < piece.end; ++span) {
      const Instruction& instruction = code.instructions[span->instruction];
      if (instruction.kind != InstructionKind::kKernel || instruction.stream != 0) continue;
      played.start = any ? std::min(played.start, span->start) : span->start;
      played.end = any ? std::max(played.end, span->end) : span->end;
      any = true;
    }
    if (any) stage.pieces.push_back(played);
  }
  std::stable_sort(stage.pieces.begin(), stage.pieces.end(),
                   [](const PlayedPiece& a, const PlayedPiece& b) { return a.start < b.start; });
  return stage;
}

double Mean(const PlayedPipeline& pipeline, std::initializer_list<PieceKind> kinds) {
  double sum = 0.0;
  int64_t count = 0;
  for (const PlayedStage& stage : pipeline.stages) {
    for (const PlayedPiece& piece : stage.pieces) {
      if (std::find(kinds.begin(), kinds.end(), piece.kind) == kinds.end()) continue;
      sum += (piece.end - piece.start).seconds().value();
      ++count;
    }
  }
  return count == 0 ? 0.0 : sum / static_cast<double>(count);
}

void SetClosedForm(const PipelineSpec& spec, PlayedPipeline& pipeline) {
  const auto p = static_cast<double>(spec.stages);
  const auto m = static_cast<double>(pipeline.micro_batches);
  const auto v = static_cast<double>(spec.virtual_stages);
  const double f = Mean(pipeline, {PieceKind::kForward}), b = Mean(pipeline, {PieceKind::kBackwardInput}),
               w = Mean(pipeline, {PieceKind::kBackwardWeight});
  const auto share = [&](double idle) { return idle / (idle + m * (f + b + w)); };
  PipelineScheduleKind kind = spec.schedule;
  if (kind == PipelineScheduleKind::k1F1B && spec.virtual_stages > 1) kind = PipelineScheduleKind::kInterleaved1F1B;
  switch (kind) {
    case PipelineScheduleKind::kGpipe:
    case PipelineScheduleKind::k1F1B:
      pipeline.schedule = kind == PipelineScheduleKind::kGpipe ? "GPipe" : "1F1B";
      pipeline.formula = "(p-1)/(m+p-1)";
      pipeline.closed_form = (p - 1.0) / (m + p - 1.0);
      return;
    case PipelineScheduleKind::kInterleaved1F1B:
      pipeline.schedule = "interleaved 1F1B";
      pipeline.formula = "(p-1)/(vm+p-1)";
      pipeline.closed_form = (p - 1.0) / (v * m + p - 1.0);
      return;
    case PipelineScheduleKind::kZeroBubbleH1:
      pipeline.schedule = "ZB-H1";
      pipeline.formula = "(p-1)(F+B-W) of the time";
      pipeline.closed_form = share(std::max(0.0, (p - 1.0) * (f + b - w)));
      return;
    case PipelineScheduleKind::kZeroBubbleV:
      pipeline.schedule = "ZB-V";
      pipeline.formula.assign(1, '0');  // a literal sets off gcc 12's -Wrestrict (PR 105329)
      return;
    case PipelineScheduleKind::kDualPipe: {
      // F, B, W by micro-batch; a rank holds two copies, each with half of them.
      const double whole = Mean(pipeline, {PieceKind::kBackward});
      pipeline.schedule = "DualPipe";
      pipeline.formula = "(p/2-1)(F+2B-W) of the time";
      const double idle = b > 0.0 ? (p / 2.0 - 1.0) * (f + 2.0 * b - w) : (p / 2.0 - 1.0) * (f + whole);
      pipeline.closed_form = b > 0.0 ? share(std::max(0.0, idle)) : idle / (idle + m * (f + whole));
      return;
    }
  }
}

}  // namespace

PlayedPipeline PlayedPipelineOf(const Scenario& scenario, const Program& program, const Timeline& timeline) {
  PlayedPipeline pipeline;
  const std::vector<RankId>* ranks = StagesOf(program);
  if (ranks == nullptr || scenario.parallelism.pipeline.stages < 2) return pipeline;
  for (const RankId rank : *ranks) pipeline.stages.push_back(Play(program, timeline.ranks[timeline.entry_of_rank[rank]], rank));
  pipeline.micro_batches = scenario.training.gradient_accumulation_steps;
  bool first = true;
  for (const PlayedStage& stage : pipeline.stages) {
    for (const PlayedPiece& piece : stage.pieces) {
      pipeline.begin = first ? piece.start : std::min(pipeline.begin, piece.start);
      pipeline.end = first ? piece.end : std::max(pipeline.end, piece.end);
      pipeline.chunks = std::max<int64_t>(pipeline.chunks, piece.chunk + 1);
      first = false;
    }
  }
  const double span = (pipeline.end - pipeline.begin).seconds().value();
  for (PlayedStage& stage : pipeline.stages) {
    double busy = 0.0;
    for (const PlayedPiece& piece : stage.pieces) busy += (piece.end - piece.start).seconds().value();
    stage.bubble = span > 0.0 ? std::max(0.0, 1.0 - busy / span) : 0.0;
    pipeline.bubble += stage.bubble / static_cast<double>(pipeline.stages.size());
  }
  SetClosedForm(scenario.parallelism.pipeline, pipeline);
  return pipeline;
}

}  // namespace simulate
