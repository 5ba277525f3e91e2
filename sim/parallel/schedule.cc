#include "sim/parallel/schedule.h"

#include <algorithm>

#include "sim/base/check.h"
#include "sim/parallel/schedule_search.h"

namespace simulate {

int64_t ChunksPerStage(const PipelineShape& shape) {
  switch (shape.kind) {
    case PipelineScheduleKind::kGpipe:
    case PipelineScheduleKind::k1F1B:
    case PipelineScheduleKind::kZeroBubbleH1: return 1;
    case PipelineScheduleKind::kInterleaved1F1B: return shape.virtual_stages;
    case PipelineScheduleKind::kZeroBubbleV:
    case PipelineScheduleKind::kDualPipe: return 2;
  }
  return 1;
}

int64_t VirtualStages(const PipelineShape& shape) {
  const bool copies = shape.kind == PipelineScheduleKind::kDualPipe;
  return shape.stages * (copies ? 1 : ChunksPerStage(shape));
}

int64_t VirtualStage(const PipelineShape& shape, int64_t stage, int64_t chunk) {
  const int64_t p = shape.stages;
  switch (shape.kind) {
    case PipelineScheduleKind::kZeroBubbleV: return chunk == 0 ? stage : 2 * p - 1 - stage;
    case PipelineScheduleKind::kDualPipe: return chunk == 0 ? stage : p - 1 - stage;
    default: return chunk * p + stage;
  }
}

StagePlace PlaceOf(const PipelineShape& shape, int64_t virtual_stage, int64_t micro_batch) {
  const int64_t p = shape.stages;
  switch (shape.kind) {
    case PipelineScheduleKind::kZeroBubbleV:
      return virtual_stage < p ? StagePlace{virtual_stage, 0} : StagePlace{2 * p - 1 - virtual_stage, 1};
    case PipelineScheduleKind::kDualPipe:
      return micro_batch < shape.micro_batches / 2 ? StagePlace{virtual_stage, 0} : StagePlace{p - 1 - virtual_stage, 1};
    default: return {virtual_stage % p, virtual_stage / p};
  }
}

namespace {

StageWork Work(WorkKind kind, int64_t micro_batch, int64_t chunk = 0) {
  return {kind, static_cast<int32_t>(micro_batch), static_cast<int32_t>(chunk)};
}

StageSchedule Gpipe(int64_t m) {
  StageSchedule result;
  for (int64_t i = 0; i < m; ++i) result.push_back(Work(WorkKind::kForward, i));
  for (int64_t i = 0; i < m; ++i) result.push_back(Work(WorkKind::kBackward, i));
  return result;
}

StageSchedule OneForwardOneBackward(const PipelineShape& shape, int64_t stage) {
  StageSchedule result;
  const int64_t m = shape.micro_batches;
  const int64_t warm_up = std::min(m, shape.stages - 1 - stage);
  for (int64_t i = 0; i < warm_up; ++i) result.push_back(Work(WorkKind::kForward, i));
  for (int64_t i = warm_up; i < m; ++i) {
    result.push_back(Work(WorkKind::kForward, i));
    result.push_back(Work(WorkKind::kBackward, i - warm_up));
  }
  for (int64_t i = m - warm_up; i < m; ++i) result.push_back(Work(WorkKind::kBackward, i));
  return result;
}

// 1F1B whose weight gradients lag s micro-batches behind on stage s: every stage holds p micro-batches at most, and
// the pieces left over fill the way down (Qi et al. 2023, figure 2).
StageSchedule ZeroBubbleH1(const PipelineShape& shape, int64_t stage) {
  StageSchedule result;
  const int64_t m = shape.micro_batches;
  const int64_t warm_up = std::min(m, shape.stages - 1 - stage);
  int64_t weights = 0;
  for (int64_t i = 0; i < warm_up; ++i) result.push_back(Work(WorkKind::kForward, i));
  for (int64_t i = 0; i < m; ++i) {
    if (i + warm_up < m) result.push_back(Work(WorkKind::kForward, i + warm_up));
    result.push_back(Work(WorkKind::kBackwardInput, i));
    if (i >= stage) result.push_back(Work(WorkKind::kBackwardWeight, weights++));
  }
  while (weights < m) result.push_back(Work(WorkKind::kBackwardWeight, weights++));
  return result;
}

// Megatron-LM, forward_backward_pipelining_with_interleaving: the k-th forward of a stage is of chunk
// (k mod pv) / p; backwards take the chunks in reverse.
StageSchedule Interleaved(const PipelineShape& shape, int64_t stage) {
  const int64_t p = shape.stages;
  const int64_t v = shape.virtual_stages;
  const int64_t total = shape.micro_batches * v;
  SIM_CHECK(shape.micro_batches % p == 0, shape.micro_batches, " micro-batches are no multiple of ", p, " stages");
  const auto piece = [&](WorkKind kind, int64_t k) {
    const int64_t in_group = k % (p * v);
    const int64_t chunk = in_group / p;
    return Work(kind, k / (p * v) * p + in_group % p, kind == WorkKind::kForward ? chunk : v - 1 - chunk);
  };
  const int64_t warm_up = std::min(total, (p - stage - 1) * 2 + (v - 1) * p);
  StageSchedule result;
  for (int64_t k = 0; k < warm_up; ++k) result.push_back(piece(WorkKind::kForward, k));
  for (int64_t k = warm_up; k < total; ++k) {
    result.push_back(piece(WorkKind::kForward, k));
    result.push_back(piece(WorkKind::kBackward, k - warm_up));
  }
  for (int64_t k = total - warm_up; k < total; ++k) result.push_back(piece(WorkKind::kBackward, k));
  return result;
}

// One stage of DualPipe, after dualpipe.py of the authors: phase 0 is the direction in which this half of the
// stages is nearer to the start.
class DualPipeStage {
 public:
  DualPipeStage(const PipelineShape& shape, int64_t stage)
      : half_(shape.micro_batches / 2), second_half_(stage >= shape.stages / 2) {
    const int64_t p = shape.stages;
    SIM_CHECK(p % 2 == 0 && shape.micro_batches % 2 == 0 && shape.micro_batches >= 2 * p,
              "DualPipe needs an even number of stages and an even number of at least twice as many micro-batches");
    const int64_t place = std::min(stage, p - 1 - stage);
    const int64_t outer = p / 2 - place - 1;
    for (int64_t i = 0; i < 2 * outer; ++i) Forward(0);
    for (int64_t i = 0; i < place + 1; ++i) { Forward(0); Forward(1); }
    for (int64_t i = 0; i < outer; ++i) { BackwardInput(1); Weight(); Forward(1); }
    for (int64_t i = 0; i < half_ - p + place + 1; ++i) { Forward(0); Backward(1); Forward(1); Backward(0); }
    for (int64_t i = 0; i < outer; ++i) { Backward(1); Forward(1); Backward(0); }
    bool split = false;
    for (int64_t i = 0; i < place + 1; ++i) {
      if (i == (place + 1) / 2 && place % 2 == 1) split = true;
      split ? BackwardInput(1) : Backward(1);
      if (i == (place + 1) / 2 && place % 2 == 0) split = true;
      split ? BackwardInput(0) : Backward(0);
    }
    for (int64_t i = 0; i < outer; ++i) { Weight(); BackwardInput(0); }
    while (next_weight_ < delayed_.size()) Weight();
  }
  StageSchedule result;

 private:
  // Phase 0 of the second half of the stages is the other direction: chunk 1, whose micro-batches come after.
  [[nodiscard]] int64_t Chunk(int64_t phase) const { return second_half_ ? 1 - phase : phase; }
  void Emit(WorkKind kind, int64_t phase, int64_t& count) {
    const int64_t chunk = Chunk(phase);
    result.push_back(Work(kind, count++ + chunk * half_, chunk));
  }
  void Forward(int64_t phase) { Emit(WorkKind::kForward, phase, forwards_[phase]); }
  void Backward(int64_t phase) { Emit(WorkKind::kBackward, phase, backwards_[phase]); }
  void BackwardInput(int64_t phase) {
    Emit(WorkKind::kBackwardInput, phase, backwards_[phase]);
    delayed_.push_back(result.back());
  }
  void Weight() {
    StageWork work = delayed_[next_weight_++];
    work.kind = WorkKind::kBackwardWeight;
    result.push_back(work);
  }

  int64_t half_;
  bool second_half_;
  int64_t forwards_[2] = {0, 0};
  int64_t backwards_[2] = {0, 0};
  StageSchedule delayed_;
  size_t next_weight_ = 0;
};

}  // namespace

std::vector<StageSchedule> MakeSchedule(const PipelineShape& shape) {
  if (shape.kind == PipelineScheduleKind::kZeroBubbleV) return SearchSchedule(shape);
  std::vector<StageSchedule> result;
  for (int64_t stage = 0; stage < shape.stages; ++stage) {
    switch (shape.kind) {
      case PipelineScheduleKind::kGpipe: result.push_back(Gpipe(shape.micro_batches)); break;
      case PipelineScheduleKind::kInterleaved1F1B: result.push_back(Interleaved(shape, stage)); break;
      case PipelineScheduleKind::kZeroBubbleH1: result.push_back(ZeroBubbleH1(shape, stage)); break;
      case PipelineScheduleKind::kDualPipe: result.push_back(DualPipeStage(shape, stage).result); break;
      default: result.push_back(OneForwardOneBackward(shape, stage)); break;
    }
  }
  return result;
}

}  // namespace simulate
