// One rank's memory over the step: its allocations and frees in host order, at host times, through the
// caching allocator.
//
// record_stream is PyTorch's: freeing a block that other streams use records an event on each of those
// streams, behind all that is enqueued there; the block is reusable once a later allocation, at its host
// time, finds these events done. So the peak depends on how far the host runs ahead of the device.
//
// The step is replayed twice, because reserved memory has a history: optimizer state (setup buffers of
// kOptimizerState) comes to life in the first step's optimizer call, in what the activations left behind,
// and the second step then needs segments of its own. On a trace of GPT-1.3B (batch 8, one H100) this
// gives 47.13 GB reserved, 46.06 GB without the first step; measured 47.79. Replaying the allocator
// traces of six measured runs through it gives their reserved memory within 0.4 to 3 %.
//
// DDP's reducer begins with one bucket for everything and rebuilds its buckets when the second step begins
// (Life::kFirstStep, kLaterSteps). The first bucket is given up then, but NCCL's work still refers to it
// (ProcessGroupNCCL, stashed_for_allocator_safety_): its watchdog, which looks every 100 ms, has to have seen the
// all_reduce done before the process group's next call, else the bucket lives until the call after, the first gradient
// all_reduce of the second step (its kFree). So a race decides whether the second step holds one more copy of the
// gradients. Time passes for the watchdog while the optimizer runs, and while its first call maps memory for its
// state (device_memory_calls.h; segments of 20 MiB mostly): of nine measured DDP runs the two whose state needs 15 GB of
// fresh segments show no second copy, and six of the seven that need 0 to 4 GB do. Half a period is the expected delay.
//
// Such a rank is replayed a third time, and while segments are still mapped up to eight more: peaks are those of all
// steps (max_memory_allocated without a reset), samples those of the steady step.
//
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

// `spans`: of every launch of this rank, in order of instruction. `processes`: ranks on its host (device_memory_calls.h).
[[nodiscard]] MemoryUse ReplayMemory(const Program& program, const RankProgram& rank, const HostCosts& host,
                                     std::span<const Span> spans, Bytes capacity, uint32_t processes);

}  // namespace simulate
