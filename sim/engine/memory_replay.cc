#include "sim/engine/memory_replay.h"

#include <algorithm>
#include <deque>

#include "sim/base/check.h"
#include "sim/engine/caching_allocator.h"

namespace simulate {

namespace {

constexpr size_t kSamples = 512;
constexpr int kSettlingSteps = 8;             // a pool finds its cuts within four or five steps, or never
constexpr Seconds kWatchdog(0.050);           // expected delay of a poll every kWatchdogThreadSleepMillis = 100

class MemoryReplay {
 public:
  MemoryReplay(const Program& program, const RankProgram& rank, std::span<const Span> spans, Bytes capacity, uint32_t processes)
      : rank_(rank),
        processes_(processes),
        allocator_(capacity, program.expandable_segments),
        blocks_(rank.buffers.size(), CachingAllocator::kNone),
        events_(program.streams.size()),
        pending_(rank.buffers.size(), 0),
        launches_(program.streams.size()),
        end_(rank.instructions.size()) {
    for (const Span& span : spans) {
      end_[span.instruction] = span.end;
      device_end_ = std::max(device_end_, span.end);
      if (rank.instructions[span.instruction].kind == InstructionKind::kCollective) {
        last_collective_ = std::max(last_collective_, span.end);
      }
    }
    rebuilds_ = std::any_of(rank.buffers.begin(), rank.buffers.end(), [](const Buffer& b) { return b.life != Life::kAlways; });
  }

  MemoryUse Run(const HostCosts& host) {
    for (uint32_t at = 0; at < rank_.step_begin; ++at) {
      if (!IsLazy(rank_.instructions[at]) && LifeOf(rank_.instructions[at]) != Life::kLaterSteps) Step(at, SimTime());
    }
    Pass(host, true);
    BetweenSteps();
    if (rebuilds_) {
      Rebuild();
      Pass(host, false);
      BetweenSteps();
    }
    SimTime end = SteadyPass(host);
    for (int step = 0; step < kSettlingSteps && !use_.stalls.empty() && !use_.out_of_memory; ++step) {
      const MemoryUse before = use_;
      BetweenSteps();
      end = SteadyPass(host);
      if (!use_.out_of_memory) continue;
      use_ = before;  // that only a later step's cuts do not fit depends on more than is known here: not called out of memory
      break;
    }
    Thin(end);
    return std::move(use_);
  }

 private:
  struct PendingEvent {
    SimTime done;
    BufferId buffer = 0;
  };

  SimTime SteadyPass(const HostCosts& host) {
    use_.samples.clear();
    use_.stalls.clear();
    const uint32_t before = allocator_.retries();
    const SimTime end = Pass(host, false);
    use_.retries = allocator_.retries() - before;
    return end;
  }

  // Optimizer state does not exist before the first optimizer step.
  [[nodiscard]] bool IsLazy(const Instruction& i) const {
    return i.kind == InstructionKind::kAllocate &&
           rank_.buffers[i.object].category == MemoryCategory::kOptimizerState;
  }

  [[nodiscard]] Life LifeOf(const Instruction& i) const {
    const bool memory = i.kind == InstructionKind::kAllocate || i.kind == InstructionKind::kFree;
    return memory ? rank_.buffers[i.object].life : Life::kAlways;
  }

  // The second step begins: what lived in the first goes, at once or when the step frees it.
  void Rebuild() {
    rebuilt_ = true;
    const Seconds seen = (device_end_ - last_collective_).seconds() + mapping_;
    for (uint32_t at = 0; at < rank_.step_begin && seen >= kWatchdog; ++at) {
      if (LifeOf(rank_.instructions[at]) == Life::kFirstStep) Free(rank_.instructions[at], SimTime());
    }
    for (uint32_t at = 0; at < rank_.step_begin; ++at) {
      if (LifeOf(rank_.instructions[at]) == Life::kLaterSteps) Step(at, SimTime());
    }
  }

  // One step in host time; the first one gives birth to what is lazy. Returns the host's end.
  SimTime Pass(const HostCosts& host, bool first) {
    SimTime now;
    for (std::vector<uint32_t>& launches : launches_) launches.clear();  // the device has finished the step before
    bool lazy = first;
    for (uint32_t at = rank_.step_begin; at < rank_.instructions.size(); ++at) {
      const Instruction& i = rank_.instructions[at];
      now += SimTime(host.Of(i));
      if (lazy && i.phase == Phase::kOptimizer) {
        lazy = false;
        AllocateLazy(now);
      }
      if (i.kind == InstructionKind::kHostWait) {
        for (const uint32_t wait : rank_.Waits(i)) now = std::max(now, end_[wait]);
      } else {
        if (IsLaunch(i.kind)) now = std::max(now, RoomAt(i.stream, host.launch_queue));
        const size_t stalls = use_.stalls.size();
        Step(at, now);
        if (use_.stalls.size() > stalls) now = AfterStall(use_.stalls.back(), now);
      }
    }
    if (lazy) AllocateLazy(now);
    return now;
  }

  // When the stream's queue has room for another launch.
  [[nodiscard]] SimTime RoomAt(StreamId stream, int64_t queue) const {
    const auto done = DoneBeforeLaunch(launches_[stream].size(), queue);
    return done ? end_[launches_[stream][*done]] : SimTime();
  }

  [[nodiscard]] SimTime AfterStall(const HostStall& stall, SimTime now) const {
    for (const std::vector<uint32_t>& launches : launches_) {
      if (stall.drains && !launches.empty()) now = std::max(now, end_[launches.back()]);
    }
    return now + SimTime(stall.picoseconds);
  }

  void AllocateLazy(SimTime now) {
    const DeviceMemoryCalls before = allocator_.calls();
    for (uint32_t at = 0; at < rank_.step_begin; ++at) {
      if (IsLazy(rank_.instructions[at])) Allocate(at, now);
    }
    mapping_ = (allocator_.calls() - before).Time(processes_);
  }

  void Step(uint32_t at, SimTime now) {
    const Instruction& i = rank_.instructions[at];
    if (IsLaunch(i.kind)) {
      launches_[i.stream].push_back(at);
    } else if (i.kind == InstructionKind::kAllocate) {
      Allocate(at, now);
    } else if (i.kind == InstructionKind::kFree && (rebuilt_ || LifeOf(i) != Life::kFirstStep)) {
      Free(i, now);
    }
  }

  // Everything is done; what the step left alive of its own goes, what it took of the setup comes back.
  void BetweenSteps() {
    ProcessEvents(SimTime::Max());
    std::vector<uint8_t> of_setup(rank_.buffers.size(), 0);
    for (uint32_t at = 0; at < rank_.step_begin; ++at) {
      const Instruction& i = rank_.instructions[at];
      if (i.kind == InstructionKind::kAllocate) of_setup[i.object] = 1;
    }
    for (BufferId b = 0; b < blocks_.size(); ++b) {
      if (of_setup[b] != 0 || blocks_[b] == CachingAllocator::kNone) continue;
      by_category_[static_cast<size_t>(rank_.buffers[b].category)] -= allocator_.SizeOf(blocks_[b]);
      allocator_.Free(blocks_[b]);
      blocks_[b] = CachingAllocator::kNone;
    }
    for (uint32_t at = 0; at < rank_.step_begin; ++at) {
      const Instruction& i = rank_.instructions[at];
      if (i.kind == InstructionKind::kAllocate && blocks_[i.object] == CachingAllocator::kNone && LifeOf(i) == Life::kAlways) {
        Allocate(at, SimTime());
      }
    }
  }

  void Allocate(uint32_t at, SimTime now) {
    const Instruction& i = rank_.instructions[at];
    const Buffer& buffer = rank_.buffers[i.object];
    if (buffer.bytes == Bytes(0)) return;
    if (buffer.category == MemoryCategory::kFramework) {
      return;
    }
    ProcessEvents(now);
    const DeviceMemoryCalls before = allocator_.calls();
    CachingAllocator::BlockId block = allocator_.Allocate(buffer.bytes, buffer.stream);
    if (block == CachingAllocator::kNone) {
      // The allocator then waits for every pending event, gives back what it can, and tries once more.
      ProcessEvents(SimTime::Max());
      block = allocator_.Retry(buffer.bytes, buffer.stream);
    }
    if (block == CachingAllocator::kNone) {  // once: then there is no limit
      use_.out_of_memory = true;
      use_.requested = buffer.bytes;
      use_.failed_category = buffer.category;
      use_.failed_instruction = at;
      allocator_.LiftLimit();
      block = allocator_.Allocate(buffer.bytes, buffer.stream);
    }
    if (const DeviceMemoryCalls calls = allocator_.calls() - before; calls.maps > 0) {
      use_.stalls.push_back({at, SimTime::FromSeconds(calls.Time(processes_)).picoseconds(), calls.unmaps > 0});
    }
    blocks_[i.object] = block;
    by_category_[static_cast<size_t>(buffer.category)] += allocator_.SizeOf(block);
    if (allocator_.allocated() > use_.peak_allocated) {
      use_.peak_allocated = allocator_.allocated();
      use_.at_peak = by_category_;
    }
    use_.peak_active = std::max(use_.peak_active, allocator_.active());
    use_.peak_reserved = std::max(use_.peak_reserved, allocator_.reserved());
    Sample(now);
  }

  void Free(const Instruction& i, SimTime now) {
    const Buffer& buffer = rank_.buffers[i.object];
    const CachingAllocator::BlockId block = blocks_[i.object];
    if (block == CachingAllocator::kNone) return;  // empty, or outside of the allocator
    by_category_[static_cast<size_t>(buffer.category)] -= allocator_.SizeOf(block);
    uint64_t used_by = 0;
    for (const uint32_t wait : rank_.Waits(i)) used_by |= uint64_t{1} << rank_.instructions[wait].stream;
    used_by &= ~(uint64_t{1} << buffer.stream);
    for (uint32_t s = 0; s < events_.size(); ++s) {
      if ((used_by >> s & 1) == 0 || launches_[s].empty()) continue;
      events_[s].push_back({end_[launches_[s].back()], i.object});
      ++pending_[i.object];
    }
    allocator_.Free(block, pending_[i.object] > 0);
    if (pending_[i.object] == 0) blocks_[i.object] = CachingAllocator::kNone;
    Sample(now);
  }

  // cudaEventQuery on each stream's oldest events, until one is not done.
  void ProcessEvents(SimTime now) {
    for (std::deque<PendingEvent>& events : events_) {
      for (; !events.empty() && events.front().done <= now; events.pop_front()) {
        const BufferId buffer = events.front().buffer;
        if (--pending_[buffer] > 0) continue;
        allocator_.Release(blocks_[buffer]);
        blocks_[buffer] = CachingAllocator::kNone;
      }
    }
  }

  void Sample(SimTime now) { use_.samples.push_back({now, allocator_.allocated(), allocator_.reserved()}); }

  // Keeps the highest sample of each of kSamples equal intervals, and the first and the last.
  void Thin(SimTime end) {
    if (use_.samples.size() <= kSamples) return;
    const int64_t width = end.picoseconds() / static_cast<int64_t>(kSamples) + 1;
    std::vector<MemorySample> kept;
    for (size_t s = 0; s < use_.samples.size(); ++s) {
      const MemorySample& sample = use_.samples[s];
      const bool same = !kept.empty() && s + 1 < use_.samples.size() &&
                        kept.back().time.picoseconds() / width == sample.time.picoseconds() / width;
      if (!same || kept.size() == 1) {
        kept.push_back(sample);
      } else if (sample.allocated > kept.back().allocated) {
        kept.back() = sample;
      }
    }
    use_.samples = std::move(kept);
  }

  const RankProgram& rank_;
  uint32_t processes_;
  CachingAllocator allocator_;
  std::vector<CachingAllocator::BlockId> blocks_;  // by buffer
  std::vector<std::deque<PendingEvent>> events_;   // by stream, in order
  std::vector<uint8_t> pending_;                   // events that a buffer waits for
  std::vector<std::vector<uint32_t>> launches_;    // of this step, by stream
  std::vector<SimTime> end_;                       // by instruction
  SimTime device_end_, last_collective_;
  Seconds mapping_;                                // of fresh segments that the optimizer's first call needed
  bool rebuilds_ = false, rebuilt_ = false;        // buffers of one step only; the second step has begun
  MemoryByCategory by_category_{};
  MemoryUse use_;
};

}  // namespace

MemoryUse ReplayMemory(const Program& program, const RankProgram& rank, const HostCosts& host,
                       std::span<const Span> spans, Bytes capacity, uint32_t processes) {
  Bytes framework;
  for (const Buffer& buffer : rank.buffers) {
    if (buffer.category == MemoryCategory::kFramework) framework += buffer.bytes;
  }
  MemoryUse use = MemoryReplay(program, rank, spans, capacity - framework, processes).Run(host);
  use.framework = framework;
  return use;
}

}  // namespace simulate
