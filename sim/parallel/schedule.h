// Pipeline schedules as pure functions: for every stage, the ordered list of forwards and backwards.
//
//   GPipe              Huang et al. 2019: all forwards, then all backwards. Bubble (p-1)/(m+p-1).
//   1F1B               Narayanan et al. 2021 (PipeDream-Flush): warm-up of p-1-s forwards, then one forward, one
//                      backward. The same bubble; at most p-s micro-batches in flight on stage s.
//   interleaved 1F1B   the same paper, section 2.2: v chunks per stage, in groups of p micro-batches (m must be a
//                      multiple of p). Bubble (p-1)/(v m) of the ideal time.
//   ZB-H1              Qi et al. 2023, section 2.3: the backward is split into the input's gradient (B) and the
//                      weights' (W); W fills the bubble. Bubble (p-1)(F+B-W), memory as 1F1B.
//   ZB-V               Qi et al. 2024: two chunks per stage, the second in reverse order of stages. No bubble when
//                      F = B = W; memory of 1F1B's first stage on every stage.
//   DualPipe           DeepSeek-AI 2024 (github.com/deepseek-ai/DualPipe): micro-batches enter from both ends; every
//                      stage holds two copies of a stage's weights. Needs m even and m >= 2p, p even.
//
// ZB-V is found by list scheduling with unit times under the paper's memory limit (schedule_search.h), within two
// slots of the ideal up to 8 stages.
// A chunk is a piece of the model on a stage; VirtualStage says which. Absent on purpose: times, transfers.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/spec/parallelism.h"

namespace simulate {

enum class WorkKind : uint8_t {
  kForward,
  kBackward,        // gradients of inputs and weights
  kBackwardInput,   // B: gradient of the input only
  kBackwardWeight,  // W: gradients of the weights, later
};

struct StageWork {
  WorkKind kind = WorkKind::kForward;
  int32_t micro_batch = 0;
  int32_t chunk = 0;
  auto operator<=>(const StageWork&) const = default;
};

using StageSchedule = std::vector<StageWork>;

struct PipelineShape {
  PipelineScheduleKind kind = PipelineScheduleKind::k1F1B;
  int64_t stages = 1;
  int64_t micro_batches = 1;
  int64_t virtual_stages = 1;
};

// Chunks that each stage holds.
[[nodiscard]] int64_t ChunksPerStage(const PipelineShape& shape);
// Place of a stage's chunk in the model, 0 to VirtualStages - 1.
[[nodiscard]] int64_t VirtualStages(const PipelineShape& shape);
[[nodiscard]] int64_t VirtualStage(const PipelineShape& shape, int64_t stage, int64_t chunk);
// Which stage and chunk hold a place for a micro-batch (DualPipe has two copies of every place).
struct StagePlace {
  int64_t stage = 0;
  int64_t chunk = 0;
};
[[nodiscard]] StagePlace PlaceOf(const PipelineShape& shape, int64_t virtual_stage, int64_t micro_batch);

// REQUIRES: the shape is one that the schedule allows (config/ checks it).
[[nodiscard]] std::vector<StageSchedule> MakeSchedule(const PipelineShape& shape);

// Times of one chunk's pieces, in any unit.
struct PieceTimes {
  double forward = 1.0;
  double backward_input = 1.0;
  double backward_weight = 1.0;
};
struct SchedulePlay {
  double makespan = 0.0;
  std::vector<double> idle;              // by stage, within the makespan
  std::vector<int64_t> peak_in_flight;   // by stage: chunks whose activations are held
};
// Plays a schedule with free communication: the closed forms above hold for it. Checks that every
// dependency can be met.
[[nodiscard]] SchedulePlay Play(const PipelineShape& shape, const std::vector<StageSchedule>& schedule,
                                const PieceTimes& times);

}  // namespace simulate
