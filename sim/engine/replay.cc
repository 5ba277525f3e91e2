#include "sim/engine/replay.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "sim/base/check.h"

namespace simulate {

namespace {

uint64_t Hash(uint64_t a, uint64_t b, uint64_t c) {
  uint64_t z = a * 0x9E3779B97F4A7C15ULL ^ (b + 0x632BE59BD9B4E019ULL) * 0xD6E8FEB86659FD93ULL ^ c;
  z = (z ^ (z >> 32)) * 0xD6E8FEB86659FD93ULL;
  return z ^ (z >> 32);
}

// Rounded to the nearest picosecond, half up.
SimTime After(SimTime now, double picoseconds) {
  return now + SimTime(static_cast<int64_t>(picoseconds + 0.5));
}

}  // namespace

Replay::Replay(const Program& program, const Plan& plan, const Costs& costs, std::vector<uint8_t> record)
    : program_(program),
      plan_(plan),
      costs_(costs),
      network_(plan.capacity),
      streams_(plan.ranks.size() * plan.streams),
      ranks_(plan.ranks.size()),
      groups_(plan.groups.size()),
      arrivals_(plan.arrivals, 0),
      channels_(plan.channels.size()),
      outcomes_(plan.ranks.size()),
      spans_(plan.ranks.size()),
      record_(std::move(record)),
      flow_runs_(plan.flows.size(), 0) {
  SIM_CHECK(plan.streams < kHostBit, "too many streams");
  pressures_.push_back({});
  pressure_ids_.emplace(std::pair<int32_t, int64_t>{0, 0}, 0);
  slowdowns_.emplace_back();
  for (size_t s = 0; s < program.streams.size(); ++s) {
    const StreamKind kind = program.streams[s].kind;
    if (kind == StreamKind::kCopy || kind == StreamKind::kHost) copy_streams_ |= uint64_t{1} << s;
  }
  recorded_ = std::any_of(program.kernels.begin(), program.kernels.end(),
                          [](const KernelWork& work) { return work.recorded.value() > 0.0; });
  uint32_t segments = 0;
  for (uint32_t r = 0; r < plan.ranks.size(); ++r) {
    first_segment_.push_back(segments);
    segments += static_cast<uint32_t>(ProgramOf(r).segments.size());
    if (record_[r] != 0) spans_[r].resize(ProgramOf(r).launches.size());
  }
  segment_start_.resize(segments, 0);
}

void Replay::Run() {
  for (uint32_t r = 0; r < ranks_.size(); ++r) WalkHost(r);
  Settle();
  while (!events_.empty()) {
    const EventQueue::Batch batch = events_.Pop();
    now_ = batch.time;
    Handle(batch);
    if (events_.empty() || events_.next_time() != now_) Settle();
  }
  for (uint32_t r = 0; r < ranks_.size(); ++r) {
    const CompiledProgram& program = ProgramOf(r);
    for (uint32_t s = 0; s < plan_.streams; ++s) {
      if (At(r, static_cast<StreamId>(s)).next != program.stream_begin[s + 1] - program.stream_begin[s])
        ReportStuck();
    }
    if (ranks_[r].segment + 1 != program.segments.size()) ReportStuck();
    outcomes_[r].end = std::max(outcomes_[r].end, outcomes_[r].host_end);
  }
}

void Replay::Handle(const EventQueue::Batch& batch) {
  for (const Event& event : batch.events) {
    switch (batch.kind) {
      case EventKind::kKernelEnd:
        if (At(event.subject, static_cast<StreamId>(event.stream)).generation != event.generation) break;
        ++handled_;
        Complete(event.subject, static_cast<StreamId>(event.stream));
        break;
      case EventKind::kFlowPhase:
        if (flows_[event.subject].generation != event.generation) break;
        ++handled_;
        NextPhase(event.subject);
        break;
      case EventKind::kWake:
        ++handled_;
        Advance(event.subject, static_cast<StreamId>(event.stream));
        break;
    }
  }
}

void Replay::Settle() {
  for (size_t r = 0; r < dirty_ranks_.size(); ++r) SettleRank(dirty_ranks_[r]);
  dirty_ranks_.clear();
  for (const uint32_t flow : network_.Update()) MarkFlow(flow);
  for (size_t f = 0; f < dirty_flows_.size(); ++f) SettleFlow(dirty_flows_[f]);
  dirty_flows_.clear();
}

// ------------------------------------------------------------------ hosts

// The host enqueues as far as it gets: until a wait for work that is not done.
void Replay::WalkHost(uint32_t rank) {
  const CompiledProgram& program = ProgramOf(rank);
  RankState& state = ranks_[rank];
  int64_t* start = segment_start_.data() + first_segment_[rank];
  while (state.segment + 1 < program.segments.size()) {
    const Segment& segment = program.segments[state.segment];
    if (!WaitsDone(rank, segment.first_wait, segment.wait_count, kHostBit)) break;
    start[state.segment + 1] = std::max(start[state.segment] + segment.length, now_.picoseconds());
    ++state.segment;
  }
  if (state.segment + 1 == program.segments.size()) {
    outcomes_[rank].host_end = SimTime(start[state.segment] + program.segments[state.segment].length);
  }
  for (uint32_t s = 0; s < plan_.streams; ++s) {
    StreamState& stream = At(rank, static_cast<StreamId>(s));
    stream.enqueued = program.enqueued[state.segment * plan_.streams + s];
    if (stream.status == Status::kIdle && stream.next < stream.enqueued)
      Advance(rank, static_cast<StreamId>(s));
  }
}

// Whether all of these are done; if not, `waiter` will be called again when the first that is not, is.
bool Replay::WaitsDone(uint32_t rank, uint32_t first, uint32_t count, uint32_t waiter) {
  const CompiledProgram& program = ProgramOf(rank);
  for (uint32_t w = first; w < first + count; ++w) {
    const StreamWait& wait = program.waits[w];
    StreamState& on = At(rank, wait.stream);
    if (on.next > wait.position) continue;
    on.waiters |= uint64_t{1} << waiter;
    on.wake_at = std::min(on.wake_at, wait.position);
    return false;
  }
  return true;
}

// ------------------------------------------------------------------ streams

// Begins the head of a stream that runs nothing, if it may begin.
void Replay::Advance(uint32_t rank, StreamId stream) {
  StreamState& state = At(rank, stream);
  if (state.next >= state.enqueued) {
    state.status = Status::kIdle;
    return;
  }
  const Task& task = Head(rank, stream);
  if (!WaitsDone(rank, task.first_wait, task.wait_count, stream)) {
    state.status = Status::kBlocked;
    return;
  }
  const SimTime launched = Enqueued(rank, task) + SimTime(plan_.host.launch_latency);
  if (launched > now_) {
    state.status = Status::kSleeping;
    events_.Push(launched, EventKind::kWake, {.subject = rank, .stream = stream});
    return;
  }
  Begin(rank, stream, task);
}

void Replay::Begin(uint32_t rank, StreamId stream, const Task& task) {
  StreamState& state = At(rank, stream);
  state.ready = state.started = state.updated = now_;
  switch (task.kind) {
    case InstructionKind::kCollective:
      state.status = Status::kCollective;
      Arrive(rank, task);
      return;
    case InstructionKind::kTransfer:
      state.status = Status::kTransfer;
      ReachTransfer(rank, stream, task);
      return;
    default:
      state.status = Status::kKernel;
      state.kernel = task.object;
      state.stretch = 0.0;
      state.remaining = static_cast<double>(plan_.kernel_time[task.object]);
      ranks_[rank].kernels |= uint64_t{1} << stream;
      MarkRank(rank);
  }
}

void Replay::Complete(uint32_t rank, StreamId stream) {
  StreamState& state = At(rank, stream);
  const Task& task = Head(rank, stream);
  if (state.status == Status::kKernel) {
    ranks_[rank].kernels &= ~(uint64_t{1} << stream);
    if (ranks_[rank].kernels != 0 || ranks_[rank].flows != 0) MarkRank(rank);
  }
  ++tasks_;
  Record(rank, stream, task);
  ++state.next;
  ++state.generation;
  state.status = Status::kIdle;
  if (state.waiters != 0 && state.next > state.wake_at) {
    uint64_t waiters = state.waiters;
    state.waiters = 0;
    state.wake_at = kNever;
    for (; waiters != 0; waiters &= waiters - 1) {
      const auto waiter = static_cast<uint32_t>(std::countr_zero(waiters));
      if (waiter == kHostBit) {
        WalkHost(rank);
      } else {
        Advance(rank, static_cast<StreamId>(waiter));
      }
    }
  }
  if (state.status == Status::kIdle) Advance(rank, stream);
}

void Replay::Record(uint32_t rank, StreamId stream, const Task& task) {
  const StreamState& state = At(rank, stream);
  RankOutcome& outcome = outcomes_[rank];
  outcome.end = now_;
  outcome.digest += Hash(
      state.next, (static_cast<uint64_t>(stream) << 56) ^ static_cast<uint64_t>(state.started.picoseconds()),
      static_cast<uint64_t>(now_.picoseconds()));
  if (record_[rank] == 0) return;
  Span& span = spans_[rank][task.launch];
  span = {.instruction = ProgramOf(rank).launches[task.launch],
          .enqueued = Enqueued(rank, task),
          .ready = state.ready,
          .start = state.started,
          .end = now_};
  switch (task.kind) {
    case InstructionKind::kCollective: {
      const uint32_t c = program_.collectives[task.object].communicator;
      const PlanGroup& group = plan_.groups[plan_.group_of[c * plan_.ranks.size() + rank]];
      const FlowCost& cost = plan_.flows[group.first_cost + plan_.slot_of_collective[task.object]];
      span.alone = SimTime(cost.latency + cost.transfer);
      break;
    }
    case InstructionKind::kTransfer: {
      const TransferPlan& transfer = plan_.transfers[rank * program_.transfers.size() + task.object];
      const uint32_t cost = transfer.send_cost != kNoIndex ? transfer.send_cost : transfer.receive_cost;
      span.alone = SimTime(plan_.flows[cost].latency + plan_.flows[cost].transfer);
      break;
    }
    default:
      span.alone =
          After(SimTime(), static_cast<double>(plan_.kernel_time[task.object]) * plan_.ranks[rank].stretch);
  }
}

// ------------------------------------------------------------------ speeds of kernels

void Replay::MarkRank(uint32_t rank) {
  if (ranks_[rank].dirty) return;
  ranks_[rank].dirty = true;
  dirty_ranks_.push_back(rank);
}

const Replay::Slowdowns& Replay::SlowdownsOf(uint32_t pressure, uint32_t kernel) {
  std::vector<Slowdowns>& row = slowdowns_[pressure];
  if (row.empty()) row.resize(program_.kernels.size());
  Slowdowns& known = row[kernel];
  if (known.kernel == 0.0F) {
    if (pressure == 0) {
      known = {1.0F, 1.0F};
    } else {
      const Slowdown answer = costs_.Beside(program_.kernels[kernel], pressures_[pressure]);
      SIM_CHECK(answer.kernel >= 1.0 && answer.collective >= 1.0, "a slowdown below 1");
      known = {static_cast<float>(answer.kernel), static_cast<float>(answer.collective)};
    }
  }
  return known;
}

// Streams whose kernels take nothing from each other: copies, the host's, and what was recorded beside the others already.
uint64_t Replay::SharingNothing(uint32_t rank) const {
  uint64_t apart = copy_streams_;
  if (!recorded_) return apart;
  for (uint64_t running = ranks_[rank].kernels; running != 0; running &= running - 1) {
    const auto s = static_cast<size_t>(std::countr_zero(running));
    if (program_.kernels[streams_[rank * plan_.streams + s].kernel].recorded.value() > 0.0) apart |= uint64_t{1} << s;
  }
  return apart;
}

void Replay::SettleRank(uint32_t rank) {
  RankState& state = ranks_[rank];
  state.dirty = false;
  if (state.pressure_changed) UpdatePressure(state);
  const uint64_t apart = SharingNothing(rank);
  const int sharing = std::popcount(state.kernels & ~apart);
  float collective_stretch = 1.0F;
  for (uint64_t running = state.kernels; running != 0; running &= running - 1) {
    const auto s = static_cast<StreamId>(std::countr_zero(running));
    StreamState& stream = At(rank, s);
    const bool copies = (apart >> s & 1) != 0;
    const Slowdowns& slow = SlowdownsOf(state.pressure, stream.kernel);
    if (!copies) collective_stretch = std::max(collective_stretch, slow.collective);
    const double stretch = plan_.ranks[rank].stretch * static_cast<double>(slow.kernel) *
                           (copies ? 1.0 : static_cast<double>(sharing));
    if (stretch == stream.stretch) continue;
    if (stream.stretch > 0.0) {
      const auto elapsed = static_cast<double>((now_ - stream.updated).picoseconds());
      stream.remaining = std::max(0.0, stream.remaining - elapsed / stream.stretch);
      ++stream.generation;
    }
    stream.updated = now_;
    stream.stretch = stretch;
    events_.Push(After(now_, stream.remaining * stretch), EventKind::kKernelEnd,
                 {.subject = rank, .generation = stream.generation, .stream = s});
  }
  if (collective_stretch == state.collective_stretch) return;
  state.collective_stretch = collective_stretch;
  for (uint64_t running = state.flows; running != 0; running &= running - 1) {
    for (const uint32_t flow : At(rank, static_cast<StreamId>(std::countr_zero(running))).flows) {
      if (flow != kNever) MarkFlow(flow);
    }
  }
}

// ------------------------------------------------------------------ when nothing moves

std::string Replay::Describe(uint32_t rank, StreamId stream) const {
  const CompiledProgram& program = ProgramOf(rank);
  const StreamState& state = streams_[rank * plan_.streams + stream];
  std::string text =
      absl::StrCat("rank ", plan_.ranks[rank].rank, ", stream ", program_.streams[stream].name, ": ");
  const uint32_t count = program.stream_begin[stream + 1] - program.stream_begin[stream];
  if (state.next >= count) return absl::StrCat(text, "is done");
  const Task& task = Head(rank, stream);
  const uint32_t at = program.launches[task.launch];
  const Instruction& i = program_.programs[plan_.ranks[rank].program].instructions[at];
  absl::StrAppend(&text, "`", program_.names[i.name], "` (instruction ", at, ") ");
  if (state.next >= state.enqueued) return absl::StrCat(text, "is not enqueued: the host waits");
  if (state.status == Status::kCollective) {
    const Communicator& c = program_.communicators[program_.collectives[task.object].communicator];
    return absl::StrCat(text, "waits for the other members of ", c.name);
  }
  if (state.status == Status::kTransfer) {
    const Communicator& c = program_.communicators[program_.transfers[task.object].communicator];
    return absl::StrCat(text, "waits for its peer in ", c.name);
  }
  return absl::StrCat(text, "waits for another stream");
}

void Replay::ReportStuck() const {
  constexpr int kShown = 8;
  std::string text = "the program is stuck:";
  int shown = 0;
  for (uint32_t r = 0; r < ranks_.size() && shown < kShown; ++r) {
    const CompiledProgram& program = ProgramOf(r);
    for (uint32_t s = 0; s < plan_.streams && shown < kShown; ++s) {
      const uint32_t count = program.stream_begin[s + 1] - program.stream_begin[s];
      if (streams_[r * plan_.streams + s].next >= count) continue;
      absl::StrAppend(&text, "\n  ", Describe(r, static_cast<StreamId>(s)));
      ++shown;
    }
  }
  throw InternalError(text);
}

std::vector<LinkUse> Replay::LinkUses() const {
  std::vector<double> bytes(plan_.capacity.size(), 0.0);
  for (size_t f = 0; f < plan_.flows.size(); ++f) {
    for (const Demand& demand : plan_.DemandsOf(plan_.flows[f])) {
      bytes[demand.resource] +=
          static_cast<double>(flow_runs_[f]) * demand.amount * plan_.flows[f].bytes_scale;
    }
  }
  std::vector<LinkUse> uses;
  for (uint32_t link = 0; link < plan_.resource_of_link.size(); ++link) {
    const uint32_t resource = plan_.resource_of_link[link];
    if (resource == kNoIndex || bytes[resource] == 0.0) continue;
    uses.push_back({link, bytes[resource], network_.peak_utilisation(resource)});
  }
  return uses;
}

RunStats Replay::stats() const {
  return {.events = handled_,
          .tasks = tasks_,
          .share_updates = network_.updates(),
          .simulated_ranks = static_cast<uint32_t>(ranks_.size())};
}

}  // namespace simulate
