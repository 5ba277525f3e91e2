// program/ - the immutable program of one training step: what every rank's host enqueues, in order.
//
// The shape is CUDA's and NCCL's own. Each rank's host walks one list of instructions. A launch puts
// work on a stream; a stream runs its work in order; work may also wait for earlier work of other
// streams (an event). Collectives and transfers join ranks: the k-th call on a communicator by one
// member of a group belongs with the k-th call of every other member. Memory is allocated and freed
// by the host, in program order, as PyTorch's caching allocator sees it.
//
// Invariants (Validate checks them):
//   1. waits point backwards, at launches of the same rank;
//   2. every member of a group makes the same sequence of collective calls on its communicator,
//      and every send has its receive of the same size;
//   3. a buffer is allocated once before it is freed, and freed at most once.
// What is absent on purpose: seconds, links, accelerators, layers. Shapes are counts (spec/kernel_work.h).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/units.h"
#include "sim/spec/collective.h"
#include "sim/spec/kernel_work.h"

namespace simulate {

using RankId = uint32_t;
using KernelId = uint32_t;
using CollectiveId = uint32_t;
using TransferId = uint32_t;
using CommunicatorId = uint32_t;
using BufferId = uint32_t;
using StreamId = uint8_t;
using NameId = uint32_t;

enum class Phase : uint8_t { kSetup, kForward, kRecompute, kBackward, kOptimizer };
[[nodiscard]] const char* Name(Phase phase);

enum class InstructionKind : uint8_t {
  kKernel,      // launch kernels[object] on `stream`
  kCollective,  // enqueue collectives[object] on `stream`
  kTransfer,    // enqueue transfers[object] on `stream`
  kAllocate,    // buffers[object] comes to life
  kFree,        // buffers[object] is given back; its block is reusable on its own stream at once, elsewhere
                // (record_stream) only when the waits are done
  kHostWait,    // the host blocks until the waits are done (rate limiter, .item(), synchronize)
  kHostWork,    // host time only
};

// Whether it puts work on a stream.
[[nodiscard]] constexpr bool IsLaunch(InstructionKind kind) {
  return kind == InstructionKind::kKernel || kind == InstructionKind::kCollective ||
         kind == InstructionKind::kTransfer;
}

struct Instruction {
  InstructionKind kind = InstructionKind::kHostWork;
  StreamId stream = 0;
  Phase phase = Phase::kForward;
  HostCall host = HostCall::kNone;  // what the host pays before this is enqueued
  uint32_t object = 0;
  uint32_t first_wait = 0;  // into RankProgram::waits
  uint16_t wait_count = 0;
  uint16_t host_count = 1;  // times `host` is paid
  NameId name = 0;
  uint32_t layer = 0;  // index of the layer or unit, for reports
};

// kHost: a thread of a recorded trace, whose operators take time of their own beside the device.
enum class StreamKind : uint8_t { kCompute, kCommunication, kCopy, kHost };
struct Stream {
  std::string name;
  StreamKind kind = StreamKind::kCompute;
};

// Sizes follow nccl-tests: all_reduce and broadcast the buffer, all_gather the gathered output,
// reduce_scatter the whole input, all_to_all the whole buffer of one rank.
struct CollectiveCall {
  CollectiveOp op = CollectiveOp::kAllReduce;
  CommunicatorId communicator = 0;
  Bytes bytes;
  DType dtype = DType::kBf16;
  auto operator<=>(const CollectiveCall&) const = default;
};

// A point-to-point exchange within a group, as in batch_isend_irecv: to the member `send_offset`
// places on (cyclically), from the member `receive_offset` places on. Zero bytes: no such half.
// Done for this rank when both halves are done; a half starts when both of its ends have reached it.
// The k-th send from a to b within a group belongs with b's k-th receive from a. Transfers keep the
// order of their stream only, not that of their communicator.
struct Transfer {
  CommunicatorId communicator = 0;
  int32_t send_offset = 0;
  Bytes send_bytes;
  int32_t receive_offset = 0;
  Bytes receive_bytes;
  auto operator<=>(const Transfer&) const = default;
};

enum class MemoryCategory : uint8_t {
  kParameters,
  kGradients,
  kOptimizerState,
  kMasterWeights,
  kActivations,
  kUnshardedParameters,
  kUnshardedGradients,
  kCommunicationBuffers,
  kLogits,
  kWorkspace,
  kFramework,
};
inline constexpr int kMemoryCategories = 11;
[[nodiscard]] const char* Name(MemoryCategory category);

// Of a setup buffer: which steps know it. DDP's reducer rebuilds its buckets when the second step begins.
enum class Life : uint8_t {
  kAlways,
  kFirstStep,  // until the second step, where its kFree stands for the latest moment that the library lets go of it
  kLaterSteps, // from the beginning of the second step on
};

struct Buffer {
  Bytes bytes;
  MemoryCategory category = MemoryCategory::kActivations;
  StreamId stream = 0;  // the stream whose pool it comes from
  NameId name = 0;
  Life life = Life::kAlways;
};

// A piece of a pipeline's schedule: the instructions from `first` up to `end` are one micro-batch's way through one
// chunk of the model. For reports only; the engine does not look at it.
enum class PieceKind : uint8_t { kForward, kBackward, kBackwardInput, kBackwardWeight };
struct Piece {
  PieceKind kind = PieceKind::kForward;
  int32_t micro_batch = 0;
  int32_t chunk = 0;
  uint32_t first = 0;
  uint32_t end = 0;
};

// What one kind of rank does. Ranks that do the same share one RankProgram.
struct RankProgram {
  std::vector<Instruction> instructions;
  uint32_t step_begin = 0;      // before it: setup (persistent buffers), which takes no time
  std::vector<uint32_t> waits;  // instruction indices
  std::vector<Buffer> buffers;
  Bytes host_memory;            // pinned memory of the host that this rank holds (offload)
  std::vector<Piece> pieces;    // in order; empty without a pipeline

  [[nodiscard]] std::span<const uint32_t> Waits(const Instruction& i) const {
    return {waits.data() + i.first_wait, i.wait_count};
  }
};

// A partition of the ranks (or of some of them) into groups that communicate.
struct Communicator {
  std::string name;                         // data_parallel, tensor_parallel, pipeline, ...
  std::vector<std::vector<RankId>> groups;  // members in ring order
};

// Counts of the whole step over all ranks, for rates in the report.
struct StepTotals {
  Flops model_flops;     // forward and backward, no recomputation
  Flops hardware_flops;  // recomputation included
  double tokens = 0.0;
  double samples = 0.0;
  int64_t parameters = 0;
};

struct Program {
  std::vector<Stream> streams;
  std::vector<KernelWork> kernels;
  std::vector<CollectiveCall> collectives;
  std::vector<Transfer> transfers;
  std::vector<Communicator> communicators;
  std::vector<std::string> names;
  std::vector<RankProgram> programs;
  std::vector<uint32_t> program_of_rank;  // size: world size
  StepTotals totals;
  bool expandable_segments = false;       // how device memory is cached: engine/caching_allocator.h

  [[nodiscard]] uint32_t world_size() const { return static_cast<uint32_t>(program_of_rank.size()); }
};

// Checks the invariants above; throws InternalError naming the first one that is broken.
void Validate(const Program& program);

}  // namespace simulate
