// One rank's memory over the step: its allocations and frees in host order, at host times, through the
// caching allocator.
//
// record_stream is PyTorch's: freeing a block that other streams use records an event on each of those
// streams, behind all that is enqueued there; the block is reusable once a later allocation, at its host
// time, finds these events done. So the peak depends on how far the host runs ahead of the device.
// Buffers of the category kFramework lie outside of the allocator and lessen what it may reserve.
//
// When nothing fits any more, the run is out of memory; the replay goes on without a limit, so that the
// peaks say what the run would need.
#pragma once

#include <span>

#include "sim/engine/compile.h"
#include "sim/engine/timeline.h"
#include "sim/program/program.h"

namespace simulate {

// `spans`: of every launch of this rank, in order of instruction.
[[nodiscard]] MemoryUse ReplayMemory(const Program& program, const RankProgram& rank, const HostCosts& host,
                                     std::span<const Span> spans, Bytes capacity);

}  // namespace simulate
