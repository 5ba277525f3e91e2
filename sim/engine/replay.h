// The loop: replays a Plan, event by event.
//
//   while there is an event: take all of this instant; handle them; then, once, settle what they changed.
//
// Handling moves streams on: work ends, the next on its stream becomes ready, hosts and streams that
// waited go on, collectives gather their members. Settling gives everything that runs its speed: a kernel
// takes stretch = straggler * slowdown beside collectives * kernels that share the device times as long as
// alone; a collective's transfer takes (slowdown beside kernels, the worst member) / (share of its links)
// times as long. Speeds change only there, so an instant's order of events cannot change a time.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "sim/engine/event_queue.h"
#include "sim/engine/network.h"
#include "sim/engine/plan.h"
#include "sim/engine/timeline.h"

namespace simulate {

// What became of one simulated rank.
struct RankOutcome {
  SimTime host_end;
  SimTime end;
  uint64_t digest = 0;  // of every (stream, position, start, end); the order of adding does not matter
};

class Replay {
 public:
  // `record[rank]`: whether to keep the spans of this simulated rank.
  Replay(const Program& program, const Plan& plan, const Costs& costs, std::vector<uint8_t> record);
  void Run();

  [[nodiscard]] const RankOutcome& outcome(uint32_t rank) const { return outcomes_[rank]; }
  [[nodiscard]] std::vector<Span> TakeSpans(uint32_t rank) { return std::move(spans_[rank]); }
  [[nodiscard]] std::vector<LinkUse> LinkUses() const;
  [[nodiscard]] RunStats stats() const;

 private:
  enum class Status : uint8_t { kIdle, kBlocked, kSleeping, kKernel, kCollective, kTransfer };
  static constexpr uint32_t kNever = 0xFFFFFFFF;
  static constexpr uint32_t kHostBit = 63;

  struct StreamState {
    uint32_t next = 0;      // tasks finished; position of the head
    uint32_t enqueued = 0;  // tasks that the host has put on it
    uint32_t generation = 0;
    uint32_t wake_at = kNever;  // lowest position that someone waits for
    uint64_t waiters = 0;       // streams whose head waits for this one; kHostBit: the host
    double remaining = 0.0;     // ps of work left at full speed
    double stretch = 0.0;       // 0: has no speed yet
    SimTime updated;
    SimTime ready;
    SimTime started;
    uint32_t kernel = 0;
    uint32_t flows[2] = {kNever, kNever};  // running here: a collective, or the halves of a transfer
    uint8_t halves = 0;                    // of a transfer, not yet done
    Status status = Status::kIdle;
  };

  struct RankState {
    uint64_t kernels = 0;  // streams on which a kernel runs
    uint64_t flows = 0;    // streams on which a collective or transfer runs
    int64_t memory_traffic = 0;
    int32_t cores = 0;
    uint32_t pressure = 0;            // number of (cores, memory_traffic)
    float collective_stretch = 1.0F;  // what kernels here do to collectives
    uint32_t segment = 0;
    bool pressure_changed = false;
    bool dirty = false;
  };

  struct Flow {
    const FlowCost* cost = nullptr;  // nullptr: the slot is free
    uint32_t group = kNever;         // a collective of this group, or
    uint32_t channel = kNever;       // a half of this channel between these streams:
    StreamId source_stream = 0;
    StreamId destination_stream = 0;
    uint32_t generation = 0;
    double remaining = 0.0;
    double stretch = 0.0;
    SimTime updated;
    bool transferring = false;
    bool dirty = false;
  };

  // Ends of a channel that are ready, in order; one of the two lists is always empty.
  struct ChannelState {
    struct End {
      StreamId stream = 0;
      uint32_t cost = 0;
    };
    std::vector<End> sends, receives;
  };
  struct GroupState {
    uint32_t next_call = 0;
    bool running = false;
  };
  struct Slowdowns {      // of one kernel under one pressure
    float kernel = 0.0F;  // 0: not asked yet
    float collective = 1.0F;
  };

  // replay.cc: hosts, streams, kernels
  void WalkHost(uint32_t rank);
  bool WaitsDone(uint32_t rank, uint32_t first, uint32_t count, uint32_t waiter);
  void Advance(uint32_t rank, StreamId stream);
  void Begin(uint32_t rank, StreamId stream, const Task& task);
  void Complete(uint32_t rank, StreamId stream);
  void Record(uint32_t rank, StreamId stream, const Task& task);
  void MarkRank(uint32_t rank);
  [[nodiscard]] uint64_t SharingNothing(uint32_t rank) const;
  void SettleRank(uint32_t rank);
  const Slowdowns& SlowdownsOf(uint32_t pressure, uint32_t kernel);
  void Handle(const EventQueue::Batch& batch);
  void Settle();
  [[noreturn]] void ReportStuck() const;
  [[nodiscard]] std::string Describe(uint32_t rank, StreamId stream) const;

  // replay_flows.cc: collectives and transfers
  void Arrive(uint32_t rank, const Task& task);
  void StartIfGathered(uint32_t group);
  void ReachTransfer(uint32_t rank, StreamId stream, const Task& task);
  void MatchChannel(uint32_t channel);
  uint32_t StartFlow(const FlowCost& cost);
  void FreeFlow(uint32_t flow);
  void Occupy(uint32_t rank, StreamId stream, uint32_t flow, const FlowCost& cost);
  void Release(uint32_t rank, StreamId stream, uint32_t flow, const FlowCost& cost);
  void NextPhase(uint32_t flow);
  void EndCollective(uint32_t flow);
  void EndTransferHalf(uint32_t flow);
  void HalfDone(uint32_t rank, StreamId stream);
  void MarkFlow(uint32_t flow);
  void SettleFlow(uint32_t flow);
  void UpdatePressure(RankState& state);

  StreamState& At(uint32_t rank, StreamId stream) { return streams_[rank * plan_.streams + stream]; }
  [[nodiscard]] const CompiledProgram& ProgramOf(uint32_t rank) const {
    return plan_.programs[plan_.ranks[rank].program];
  }
  [[nodiscard]] const Task& Head(uint32_t rank, StreamId stream) const {
    const CompiledProgram& program = ProgramOf(rank);
    return program.tasks[program.stream_begin[stream] + streams_[rank * plan_.streams + stream].next];
  }
  [[nodiscard]] SimTime Enqueued(uint32_t rank, const Task& task) const {
    return SimTime(segment_start_[first_segment_[rank] + task.segment] + task.offset);
  }

  const Program& program_;
  const Plan& plan_;
  const Costs& costs_;
  SimTime now_;
  EventQueue events_;
  Network network_;
  std::vector<StreamState> streams_;  // [rank * streams + stream]
  std::vector<RankState> ranks_;
  std::vector<int64_t> segment_start_;   // host time, ps
  std::vector<uint32_t> first_segment_;  // of each rank
  std::vector<Flow> flows_;
  std::vector<uint32_t> free_flows_;
  std::vector<GroupState> groups_;
  std::vector<uint32_t> arrivals_;
  std::vector<ChannelState> channels_;
  std::vector<uint32_t> dirty_ranks_, dirty_flows_;
  absl::flat_hash_map<std::pair<int32_t, int64_t>, uint32_t> pressure_ids_;  // look-up only
  std::vector<CollectivePressure> pressures_;
  std::vector<std::vector<Slowdowns>> slowdowns_;  // [pressure][kernel]
  uint64_t copy_streams_ = 0;                      // their kernels run on copy engines or on the host and share nothing
  bool recorded_ = false;                          // some kernels are as long as they were recorded to be
  std::vector<RankOutcome> outcomes_;
  std::vector<std::vector<Span>> spans_;
  std::vector<uint8_t> record_;
  std::vector<uint64_t> flow_runs_;  // by flow cost: times it ran
  uint64_t handled_ = 0;
  uint64_t tasks_ = 0;
};

}  // namespace simulate
