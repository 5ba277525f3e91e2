#include "sim/parallel/schedule_search.h"

#include <algorithm>
#include <limits>

#include "sim/base/check.h"

namespace simulate {

namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// When each piece of each micro-batch is done, by virtual stage: what dependencies ask for.
class Progress {
 public:
  explicit Progress(const PipelineShape& shape)
      : shape_(shape), places_(VirtualStages(shape)),
        forward_(static_cast<size_t>(places_ * shape.micro_batches), kNever), backward_(forward_) {}

  // The moment from which on this piece may run; kNever if something that it needs has not been placed yet.
  [[nodiscard]] double ReadyAt(int64_t stage, const StageWork& work) const {
    const int64_t place = VirtualStage(shape_, stage, work.chunk);
    switch (work.kind) {
      case WorkKind::kForward: return place == 0 ? 0.0 : forward_[At(place - 1, work.micro_batch)];
      case WorkKind::kBackward:
      case WorkKind::kBackwardInput: {
        const double own = forward_[At(place, work.micro_batch)];
        return place + 1 == places_ ? own : std::max(own, backward_[At(place + 1, work.micro_batch)]);
      }
      case WorkKind::kBackwardWeight: return backward_[At(place, work.micro_batch)];
    }
    return kNever;
  }

  void Done(int64_t stage, const StageWork& work, double when) {
    const int64_t place = VirtualStage(shape_, stage, work.chunk);
    if (work.kind == WorkKind::kForward) forward_[At(place, work.micro_batch)] = when;
    if (work.kind == WorkKind::kBackward || work.kind == WorkKind::kBackwardInput) {
      backward_[At(place, work.micro_batch)] = when;
    }
  }

 private:
  [[nodiscard]] size_t At(int64_t place, int64_t micro_batch) const {
    return static_cast<size_t>(place * shape_.micro_batches + micro_batch);
  }
  PipelineShape shape_;
  int64_t places_;
  std::vector<double> forward_;
  std::vector<double> backward_;
};

double TimeOf(WorkKind kind, const PieceTimes& times) {
  switch (kind) {
    case WorkKind::kForward: return times.forward;
    case WorkKind::kBackward: return times.backward_input + times.backward_weight;
    case WorkKind::kBackwardInput: return times.backward_input;
    case WorkKind::kBackwardWeight: return times.backward_weight;
  }
  return 0.0;
}

}  // namespace

SchedulePlay Play(const PipelineShape& shape, const std::vector<StageSchedule>& schedule, const PieceTimes& times) {
  const auto stages = static_cast<size_t>(shape.stages);
  Progress progress(shape);
  std::vector<size_t> next(stages, 0);
  std::vector<double> now(stages, 0.0);
  std::vector<int64_t> held(stages, 0);
  SchedulePlay result{.makespan = 0.0, .idle = std::vector<double>(stages, 0.0),
                      .peak_in_flight = std::vector<int64_t>(stages, 0)};
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t s = 0; s < stages; ++s) {
      while (next[s] < schedule[s].size()) {
        const StageWork& work = schedule[s][next[s]];
        const double ready = progress.ReadyAt(static_cast<int64_t>(s), work);
        if (ready == kNever) break;
        const double time = TimeOf(work.kind, times);
        now[s] = std::max(now[s], ready) + time;
        result.idle[s] -= time;
        progress.Done(static_cast<int64_t>(s), work, now[s]);
        if (work.kind == WorkKind::kForward) ++held[s];
        if (work.kind == WorkKind::kBackward || work.kind == WorkKind::kBackwardWeight) --held[s];
        result.peak_in_flight[s] = std::max(result.peak_in_flight[s], held[s]);
        ++next[s];
        moved = true;
      }
    }
  }
  for (size_t s = 0; s < stages; ++s) {
    SIM_CHECK(next[s] == schedule[s].size(), "stage ", s, " waits for ever at piece ", next[s]);
    result.makespan = std::max(result.makespan, now[s]);
  }
  for (double& idle : result.idle) idle += result.makespan;
  return result;
}

namespace {

// One stage of the search: what it still has to do.
struct SearchStage {
  std::vector<int64_t> forwards;        // next micro-batch, by chunk
  std::vector<int64_t> backwards;
  std::vector<StageWork> delayed;       // weight gradients, oldest first
  int64_t held = 0;                     // chunks whose activations it holds
};

// The most chunks a stage may hold: as much as 1F1B's first stage, p micro-batches; ZB-V's chunks are halves.
int64_t MemoryLimit(const PipelineShape& shape) { return ChunksPerStage(shape) * shape.stages; }

// Which of several possible pieces goes first.
struct Preference {
  bool late_backward_first = true;  // of two backwards the one of the later chunk
  bool late_forward_first = true;
  int64_t room = 1;                 // places that the first chunk's forwards leave for the second's
};

std::vector<StageSchedule> ListSchedule(const PipelineShape& shape, const Preference& preference) {
  const auto stages = static_cast<size_t>(shape.stages);
  const auto chunks = static_cast<size_t>(ChunksPerStage(shape));
  Progress progress(shape);
  std::vector<SearchStage> state(stages, {std::vector<int64_t>(chunks, 0), std::vector<int64_t>(chunks, 0), {}, 0});
  std::vector<StageSchedule> result(stages);
  const size_t pieces = 3 * chunks * static_cast<size_t>(shape.micro_batches);

  // What stage s starts in the slot that begins at `now`; false: nothing is possible.
  const auto pick = [&](size_t s, double now, StageWork& chosen) {
    SearchStage& stage = state[s];
    const auto possible = [&](WorkKind kind, size_t chunk, int64_t micro_batch) {
      if (micro_batch >= shape.micro_batches) return false;
      chosen = {kind, static_cast<int32_t>(micro_batch), static_cast<int32_t>(chunk)};
      return progress.ReadyAt(static_cast<int64_t>(s), chosen) <= now;
    };
    for (size_t i = 0; i < chunks; ++i) {
      const size_t c = preference.late_backward_first ? chunks - 1 - i : i;
      if (possible(WorkKind::kBackwardInput, c, stage.backwards[c])) return true;
    }
    for (size_t i = 0; i < chunks; ++i) {
      const size_t c = preference.late_forward_first ? chunks - 1 - i : i;
      const int64_t reserved = c + 1 == chunks ? 0 : preference.room;
      if (stage.held + reserved >= MemoryLimit(shape)) continue;
      if (possible(WorkKind::kForward, c, stage.forwards[c])) return true;
    }
    if (stage.delayed.empty()) return false;
    chosen = stage.delayed.front();
    return true;
  };

  size_t done = 0;
  for (double now = 0.0; done < stages * pieces; now += 1.0) {
    SIM_CHECK(now < static_cast<double>(pieces * (stages + 2) * 2), "the schedule search is stuck");
    std::vector<std::pair<size_t, StageWork>> started;
    for (size_t s = 0; s < stages; ++s) {
      if (StageWork chosen; pick(s, now, chosen)) started.emplace_back(s, chosen);
    }
    for (const auto& [s, work] : started) {
      SearchStage& stage = state[s];
      const auto chunk = static_cast<size_t>(work.chunk);
      if (work.kind == WorkKind::kForward) { ++stage.forwards[chunk]; ++stage.held; }
      if (work.kind == WorkKind::kBackwardInput) {
        ++stage.backwards[chunk];
        stage.delayed.push_back({WorkKind::kBackwardWeight, work.micro_batch, work.chunk});
      }
      if (work.kind == WorkKind::kBackwardWeight) { stage.delayed.erase(stage.delayed.begin()); --stage.held; }
      progress.Done(static_cast<int64_t>(s), work, now + 1.0);
      result[s].push_back(work);
      ++done;
    }
  }
  return result;
}

}  // namespace

std::vector<StageSchedule> SearchSchedule(const PipelineShape& shape) {
  std::vector<StageSchedule> best;
  double shortest = kNever;
  const bool chunks = ChunksPerStage(shape) > 1;
  for (const bool backward : {true, false}) {
    for (const bool forward : {true, false}) {
      for (int64_t room = 1; room <= shape.stages; ++room) {
        if (!chunks && (!backward || !forward || room > 1)) continue;
        auto schedule = ListSchedule(shape, {.late_backward_first = backward, .late_forward_first = forward, .room = room});
        const double makespan = Play(shape, schedule, {}).makespan;
        if (makespan >= shortest) continue;
        shortest = makespan;
        best = std::move(schedule);
      }
    }
  }
  return best;
}

}  // namespace simulate
