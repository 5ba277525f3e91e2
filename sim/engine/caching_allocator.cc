#include "sim/engine/caching_allocator.h"

#include <algorithm>
#include <limits>

#include "sim/base/check.h"
#include "sim/engine/memory_pools.h"

namespace simulate {

namespace {
// Names and values as in CUDACachingAllocator.cpp.
constexpr int64_t kMinBlockSize = 512;
constexpr int64_t kSmallSize = int64_t{1} << 20;
constexpr int64_t kMinLargeAlloc = int64_t{10} << 20;
constexpr int64_t kRoundLarge = int64_t{2} << 20;

uint32_t PoolOf(int64_t size, uint32_t stream) { return 2 * stream + (size > kSmallSize ? 1 : 0); }

int64_t SegmentSize(int64_t size) {
  if (size <= kSmallSize) return kSmallBuffer;
  return size < kMinLargeAlloc ? kLargeBuffer : RoundUp(size, kRoundLarge);
}
}  // namespace

CachingAllocator::BlockId CachingAllocator::Allocate(Bytes bytes, uint32_t stream) {
  SIM_CHECK(bytes > Bytes(0), "an empty allocation needs no block");
  const int64_t size = RoundUp(bytes.value(), kMinBlockSize);
  const uint32_t pool = PoolOf(size, stream);
  if (pool >= pools_.size()) pools_.resize(pool + size_t{1});
  const BlockId block = TakeFree(pool, size);
  return HandOut(block != kNone ? block : NewSegment(pool, size), size);
}

CachingAllocator::BlockId CachingAllocator::Retry(Bytes bytes, uint32_t stream) {
  const int64_t size = RoundUp(bytes.value(), kMinBlockSize);
  ++retries_;
  GiveBackSegments();
  return HandOut(NewSegment(PoolOf(size, stream), size), size);
}

CachingAllocator::BlockId CachingAllocator::HandOut(BlockId block, int64_t size) {
  if (block == kNone) return kNone;
  Split(block, size);
  blocks_[block].state = State::kAllocated;
  allocated_ += blocks_[block].size;
  active_ += blocks_[block].size;
  return block;
}

void CachingAllocator::Free(BlockId block, bool in_use_elsewhere) {
  SIM_CHECK(blocks_[block].state == State::kAllocated, "block ", block, " is not allocated");
  allocated_ -= blocks_[block].size;
  blocks_[block].state = State::kInUseElsewhere;
  if (!in_use_elsewhere) Release(block);
}

void CachingAllocator::Release(BlockId block) {
  SIM_CHECK(blocks_[block].state == State::kInUseElsewhere, "block ", block, " is not in use elsewhere");
  active_ -= blocks_[block].size;
  blocks_[block].state = State::kFree;
  const BlockId next = blocks_[block].next;
  if (next != kNone && blocks_[next].state == State::kFree) {
    Erase(next);
    MergeWithNext(block);
  }
  const BlockId previous = blocks_[block].previous;
  if (previous != kNone && blocks_[previous].state == State::kFree) {
    Erase(previous);
    block = MergeWithNext(previous);
  }
  Insert(block);
}

void CachingAllocator::LiftLimit() { capacity_ = std::numeric_limits<int64_t>::max(); }

CachingAllocator::BlockId CachingAllocator::TakeFree(uint32_t pool, int64_t size) {
  std::vector<FreeBlock>& free = pools_[pool];
  auto best = std::lower_bound(free.begin(), free.end(), FreeBlock{.size = size});
  if (best == free.end()) return kNone;
  if (expandable_) {
    for (auto next = best + 1; next != free.end() && GrownSize(next->block) < GrownSize(best->block); ++next) best = next;
  }
  const BlockId block = best->block;
  free.erase(best);
  return block;
}

CachingAllocator::BlockId CachingAllocator::NewSegment(uint32_t pool, int64_t request) {
  if (expandable_) return Grow(pool, request);
  const int64_t size = SegmentSize(request);
  if (size > capacity_ - reserved_) return kNone;
  reserved_ += size;
  ++calls_.maps;
  calls_.mapped += size;
  const BlockId block = NewBlock();
  blocks_[block] = {.size = size, .address = next_address_, .pool = pool};
  next_address_ += static_cast<uint64_t>(size);
  return block;
}

void CachingAllocator::GiveBackSegments() {
  if (expandable_) {
    for (const std::vector<FreeBlock>& pool : pools_) {
      for (const FreeBlock& free : std::vector<FreeBlock>(pool)) Unmap(free.block);
    }
    return;
  }
  for (std::vector<FreeBlock>& pool : pools_) {
    std::erase_if(pool, [&](const FreeBlock& free) {
      const Block& block = blocks_[free.block];
      if (block.previous != kNone || block.next != kNone) return false;
      reserved_ -= block.size;
      ++calls_.unmaps;
      calls_.unmapped += block.size;
      unused_.push_back(free.block);
      return true;
    });
  }
}

// Keeps the front of the block; the rest becomes a free block.
void CachingAllocator::Split(BlockId id, int64_t size) {
  const int64_t rest = blocks_[id].size - size;
  if (IsLarge(blocks_[id].pool) && !expandable_ ? rest <= kSmallSize : rest < kMinBlockSize) return;
  Insert(CutFront(id, size));
}

// Cuts a block in two; returns the second part, which is in the same state and in no list.
CachingAllocator::BlockId CachingAllocator::CutFront(BlockId id, int64_t size) {
  const int64_t rest = blocks_[id].size - size;
  const BlockId tail = NewBlock();
  Block& block = blocks_[id];
  blocks_[tail] = {.size = rest,
                   .address = block.address + static_cast<uint64_t>(size),
                   .previous = id,
                   .next = block.next,
                   .pool = block.pool,
                   .state = block.state};
  if (block.next != kNone) blocks_[block.next].previous = tail;
  block.next = tail;
  block.size = size;
  return tail;
}

CachingAllocator::BlockId CachingAllocator::MergeWithNext(BlockId id) {
  Block& block = blocks_[id];
  const BlockId gone = block.next;
  block.size += blocks_[gone].size;
  block.next = blocks_[gone].next;
  if (block.next != kNone) blocks_[block.next].previous = id;
  unused_.push_back(gone);
  return id;
}

void CachingAllocator::Insert(BlockId id) {
  const Block& block = blocks_[id];
  std::vector<FreeBlock>& free = pools_[block.pool];
  const FreeBlock added{block.size, block.address, id};
  free.insert(std::lower_bound(free.begin(), free.end(), added), added);
}

void CachingAllocator::Erase(BlockId id) {
  const Block& block = blocks_[id];
  std::vector<FreeBlock>& free = pools_[block.pool];
  free.erase(std::lower_bound(free.begin(), free.end(), FreeBlock{block.size, block.address, id}));
}

CachingAllocator::BlockId CachingAllocator::NewBlock() {
  if (unused_.empty()) {
    blocks_.emplace_back();
    return static_cast<BlockId>(blocks_.size() - 1);
  }
  const BlockId block = unused_.back();
  unused_.pop_back();
  return block;
}

}  // namespace simulate
