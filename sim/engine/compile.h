// A RankProgram rearranged for replay: one list of tasks per stream, waits as positions on streams, and
// the host's walk as segments.
//
// A stream runs in order, so "task t is done" is "its stream has finished more than t's position". The
// host only ever stops at a kHostWait, so between two of them (a segment) every task is enqueued at the
// segment's beginning plus a fixed offset, and no event is needed per instruction.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sim/base/sim_time.h"
#include "sim/engine/costs.h"
#include "sim/engine/device_memory_calls.h"
#include "sim/program/program.h"

namespace simulate {

// Host time of each call, and from the enqueueing until an idle device can start.
struct HostCosts {
  std::array<int64_t, 32> call{};  // ps, by HostCall
  int64_t launch_latency = 0;      // ps
  int64_t launch_queue = 0;        // launches that one stream holds before the host waits; 0: any number
  [[nodiscard]] int64_t Of(const Instruction& i) const {
    return call[static_cast<size_t>(i.host)] * i.host_count;
  }
};
[[nodiscard]] HostCosts HostCostsOf(const Costs& costs);

// A stream's launch queue: which of its launches the host waits for before it launches the next, `launched` being behind it. Asked
// for 64 launches at a time, so that a queue of 1022 holds 958 to 1022.
[[nodiscard]] std::optional<uint32_t> DoneBeforeLaunch(size_t launched, int64_t queue);

struct StreamWait {
  uint32_t position = 0;  // done when the stream has finished more than this many tasks
  StreamId stream = 0;
};

struct Task {
  int64_t offset = 0;  // ps after its segment began: enqueued (launch latency not included)
  uint32_t segment = 0;
  uint32_t first_wait = 0;  // into CompiledProgram::waits
  uint32_t object = 0;      // as in Instruction
  uint32_t call = 0;        // kCollective: how many calls on this communicator came before
  uint32_t launch = 0;      // index among the program's launches
  uint16_t wait_count = 0;
  InstructionKind kind = InstructionKind::kKernel;
};

struct Segment {
  int64_t length = 0;       // ps of host time until its wait
  uint32_t first_wait = 0;  // what the host then waits for
  uint32_t wait_count = 0;
};

// Where a collective call sits.
struct CallSite {
  CollectiveId collective = 0;
  uint32_t position = 0;
  StreamId stream = 0;
};

struct CompiledProgram {
  std::vector<Task> tasks;             // stream after stream
  std::vector<uint32_t> stream_begin;  // size streams + 1
  std::vector<StreamWait> waits;
  std::vector<Segment> segments;   // at least one; the last has no waits
  std::vector<uint32_t> enqueued;  // [segment * streams + stream]: tasks when the segment has been walked
  std::vector<std::vector<CallSite>> calls;  // by communicator
  std::vector<uint32_t> launches;            // instruction of each launch

  [[nodiscard]] uint32_t TaskCount() const { return static_cast<uint32_t>(tasks.size()); }
};

// `stalls`: in order of instruction. One that drains waits for what was launched, transfers between two ranks apart: their
// other end may be stalled, too.
[[nodiscard]] CompiledProgram Compile(const Program& program, const RankProgram& rank, const HostCosts& host,
                                      std::span<const HostStall> stalls = {});

}  // namespace simulate
