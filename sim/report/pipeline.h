// A pipeline as it ran: for every stage when each micro-batch was where, and how much of the time it stood still.
//
//   bubble of a stage = time within the pipeline's span in which none of its pieces runs / that span
//
// The span is from the first piece's start to the last piece's end, over all stages: the optimizer and the last
// gradient reduction lie behind it. A piece lasts from the start of its first kernel to the end of its last, waits
// for tensor-parallel collectives included; what delays a piece's first kernel is bubble.
//
// Beside it the closed form with equal stages and free communication (p stages, m micro-batches, v chunks a stage,
// F, B, W: mean times of forward, backward for inputs and for weights, as measured here):
//   GPipe, 1F1B      (p-1) / (m+p-1)                           Huang et al. 2019; Narayanan et al. 2021, section 2.2
//   interleaved      (p-1) / v of m, so (p-1) / (v m + p-1)    the same, section 2.2.2
//   ZB-H1            (p-1)(F+B-W), of it and m (F+B+W)         Qi et al. 2023, table 1
//   ZB-V             0
//   DualPipe         (p/2-1)(F+2B-W), of it and m (F+B+W)      DeepSeek-AI 2024: (PP/2-1)(F&B + B - 3W) with B + W for B
#pragma once

#include <string>
#include <vector>

#include "sim/base/units.h"
#include "sim/engine/timeline.h"
#include "sim/program/program.h"
#include "sim/spec/scenario.h"

namespace simulate {

struct PlayedPiece {
  PieceKind kind = PieceKind::kForward;
  int32_t micro_batch = 0;
  int32_t chunk = 0;
  SimTime start;
  SimTime end;
};

struct PlayedStage {
  RankId rank = 0;
  std::vector<PlayedPiece> pieces;  // in order of time
  SimTime end;                      // of the rank's step
  double bubble = 0.0;
};

struct PlayedPipeline {
  std::vector<PlayedStage> stages;
  SimTime begin;
  SimTime end;                      // of the last piece
  double bubble = 0.0;              // mean of the stages
  double closed_form = 0.0;
  std::string formula;              // "(p-1)/(m+p-1)"
  std::string schedule;             // "1F1B"
  int64_t micro_batches = 0;
  int64_t chunks = 1;
};

// The pipeline that the first rank belongs to. No stages: the program has no pipeline.
[[nodiscard]] PlayedPipeline PlayedPipelineOf(const Scenario& scenario, const Program& program, const Timeline& timeline);

}  // namespace simulate
