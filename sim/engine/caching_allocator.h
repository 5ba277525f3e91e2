// Device memory under the rules of PyTorch's caching allocator
// (c10/cuda/CUDACachingAllocator.cpp, PyTorch 2.x), by default or with expandable_segments.
//
// Requests are rounded up to 512 B. Those of at most 1 MiB come from a small pool whose segments are
// 2 MiB; larger ones from a large pool: segments of 20 MiB for requests below 10 MiB, else the request
// rounded up to 2 MiB. Every stream has pools of its own. A free block is chosen best fit (smallest,
// then lowest address) and split if the rest is at least 512 B (small pool) or more than 1 MiB (large
// pool). Freed blocks merge with free neighbours of their segment. When the device is full, segments
// that are wholly free are given back and the request is tried again.
//
// Expandable segments (PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True): each pool is one range of addresses, to which memory is
// mapped 20 MiB at a time (small pool: 2 MiB), at its end or where a free block borders on unmapped addresses, and only as much
// as is missing. Best fit counts a block that can grow by the size it can grow to. When the device is full, every free
// block's whole pages are unmapped, wherever they lie. Measured on one H100 (PyTorch 2.11, FSDP of MPT models as one of 8 ranks),
// peak reserved per peak allocated by default and so, simulated in brackets: 13B 1.16 (1.13) and 1.12 (1.10), 1.3B 1.11
// (1.10) and 1.04 (1.04), 760M 1.07 (1.07) and 1.06 (1.01).
//
// Absent: max_split_size, garbage collection, private pools of CUDA graphs.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/base/units.h"
#include "sim/engine/device_memory_calls.h"

namespace simulate {

class CachingAllocator {
 public:
  using BlockId = uint32_t;
  static constexpr BlockId kNone = 0xFFFFFFFF;

  explicit CachingAllocator(Bytes capacity, bool expandable_segments = false)
      : capacity_(capacity.value()), expandable_(expandable_segments) {}

  // kNone: no free block and no room for a segment. REQUIRES: bytes > 0.
  [[nodiscard]] BlockId Allocate(Bytes bytes, uint32_t stream);
  // The second try: gives every wholly free segment back to the device first.
  [[nodiscard]] BlockId Retry(Bytes bytes, uint32_t stream);
  // The owner is done with it. Unless `in_use_elsewhere`, it may be reused at once; otherwise only
  // after Release (record_stream).
  void Free(BlockId block, bool in_use_elsewhere = false);
  void Release(BlockId block);

  // Forgets the device's limit, so that a run that is out of memory can show what it would need.
  void LiftLimit();

  [[nodiscard]] Bytes SizeOf(BlockId block) const { return Bytes(blocks_[block].size); }
  [[nodiscard]] Bytes allocated() const { return Bytes(allocated_); }
  [[nodiscard]] Bytes active() const { return Bytes(active_); }
  [[nodiscard]] Bytes reserved() const { return Bytes(reserved_); }
  // Times that a request needed its second try.
  [[nodiscard]] uint32_t retries() const { return retries_; }
  // What was asked of the driver so far.
  [[nodiscard]] const DeviceMemoryCalls& calls() const { return calls_; }

 private:
  enum class State : uint8_t { kFree, kAllocated, kInUseElsewhere, kUnmapped };
  struct Block {
    int64_t size = 0;
    uint64_t address = 0;
    BlockId previous = kNone;  // neighbours within the segment
    BlockId next = kNone;
    uint32_t pool = 0;
    State state = State::kFree;
  };
  struct FreeBlock {
    int64_t size = 0;
    uint64_t address = 0;
    BlockId block = kNone;
    [[nodiscard]] bool operator<(const FreeBlock& o) const {
      return size != o.size ? size < o.size : address < o.address;
    }
  };

  [[nodiscard]] BlockId TakeFree(uint32_t pool, int64_t size);
  [[nodiscard]] BlockId NewSegment(uint32_t pool, int64_t request);
  // Expandable segments (expandable_segments.cc).
  [[nodiscard]] BlockId Grow(uint32_t pool, int64_t size);
  [[nodiscard]] BlockId WhereToGrow(uint32_t pool, int64_t size);
  [[nodiscard]] bool Map(BlockId block, int64_t size);
  void Unmap(BlockId block);
  [[nodiscard]] int64_t GrownSize(BlockId block) const;
  [[nodiscard]] BlockId CutFront(BlockId block, int64_t size);
  BlockId HandOut(BlockId block, int64_t size);
  void GiveBackSegments();
  void Split(BlockId block, int64_t size);
  BlockId MergeWithNext(BlockId block);
  void Insert(BlockId block);
  void Erase(BlockId block);
  BlockId NewBlock();

  int64_t capacity_ = 0;
  bool expandable_ = false;
  int64_t allocated_ = 0, active_ = 0, reserved_ = 0;
  uint32_t retries_ = 0;
  DeviceMemoryCalls calls_;
  uint64_t next_address_ = 0;
  std::vector<Block> blocks_;
  std::vector<BlockId> unused_;
  std::vector<BlockId> first_;  // by pool: the lowest block of its expandable segment
  std::vector<std::vector<FreeBlock>> pools_;  // [2 * stream + large], sorted: some dozens each, moved faster than a tree is walked
};

}  // namespace simulate
