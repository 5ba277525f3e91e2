// CachingAllocator with expandable segments: mapping and unmapping of pages (c10/cuda/CUDACachingAllocator.cpp, whose
// find_expandable_block, map_block, try_allocate_expandable_block and unmap_block these are).
#include <algorithm>

#include "sim/base/check.h"
#include "sim/engine/caching_allocator.h"
#include "sim/engine/memory_pools.h"

namespace simulate {
namespace {

constexpr int64_t kAddresses = int64_t{1} << 46;  // of one pool; the allocator reserves 9/8 of the device's memory

int64_t PageSize(uint32_t pool) { return IsLarge(pool) ? kLargeBuffer : kSmallBuffer; }

}  // namespace

// The lowest place where so much can be had by mapping: at an unmapped block, or at the free block before it.
CachingAllocator::BlockId CachingAllocator::WhereToGrow(uint32_t pool, int64_t size) {
  if (pool >= first_.size()) first_.resize(pool + size_t{1}, kNone);
  if (first_[pool] == kNone) {
    first_[pool] = NewBlock();
    const uint64_t pages = static_cast<uint64_t>(kAddresses / PageSize(pool));
    const uint64_t base = pool * pages * static_cast<uint64_t>(PageSize(pool));
    blocks_[first_[pool]] = {.size = kAddresses / PageSize(pool) * PageSize(pool), .address = base, .pool = pool, .state = State::kUnmapped};
  }
  const auto usable = [&](BlockId b) { return blocks_[b].state == State::kFree || blocks_[b].state == State::kUnmapped; };
  for (BlockId b = first_[pool]; b != kNone; b = blocks_[b].next) {
    if (blocks_[b].state != State::kUnmapped) continue;
    const BlockId before = blocks_[b].previous;
    const BlockId start = before != kNone && blocks_[before].state == State::kFree ? before : b;
    int64_t room = 0;
    for (BlockId n = start; n != kNone && usable(n) && room < size; n = blocks_[n].next) room += blocks_[n].size;
    if (room >= size) return start;
  }
  SIM_CHECK(false, "the addresses of pool ", pool, " are used up");
  return kNone;
}

// A free block of at least this size, in no list; kNone if the device is full.
CachingAllocator::BlockId CachingAllocator::Grow(uint32_t pool, int64_t size) {
  const BlockId block = WhereToGrow(pool, size);
  if (blocks_[block].state == State::kFree) {
    Erase(block);
  } else if (!Map(block, std::min(size, blocks_[block].size))) {
    return kNone;
  }
  while (blocks_[block].size < size) {
    const BlockId next = blocks_[block].next;
    if (blocks_[next].state == State::kFree) {
      Erase(next);
    } else if (!Map(next, std::min(size - blocks_[block].size, blocks_[next].size))) {
      Insert(block);
      return kNone;
    }
    MergeWithNext(block);
  }
  return block;
}

bool CachingAllocator::Map(BlockId block, int64_t size) {
  const int64_t bytes = RoundUp(size, PageSize(blocks_[block].pool));
  if (bytes > capacity_ - reserved_) return false;
  reserved_ += bytes;
  ++calls_.maps;
  calls_.mapped += bytes;
  if (bytes < blocks_[block].size) static_cast<void>(CutFront(block, bytes));
  blocks_[block].state = State::kFree;
  return true;
}

// Gives a free block's whole pages back; what is left of it at its ends stays free.
void CachingAllocator::Unmap(BlockId block) {
  const auto page = static_cast<uint64_t>(PageSize(blocks_[block].pool));
  const uint64_t begin = (blocks_[block].address + page - 1) / page * page;
  const uint64_t end = (blocks_[block].address + static_cast<uint64_t>(blocks_[block].size)) / page * page;
  if (begin >= end) return;
  Erase(block);
  BlockId middle = block;
  if (begin > blocks_[block].address) {
    middle = CutFront(block, static_cast<int64_t>(begin - blocks_[block].address));
    Insert(block);
  }
  const auto bytes = static_cast<int64_t>(end - begin);
  if (blocks_[middle].size > bytes) Insert(CutFront(middle, bytes));
  reserved_ -= bytes;
  ++calls_.unmaps;
  calls_.unmapped += bytes;
  blocks_[middle].state = State::kUnmapped;
  if (const BlockId next = blocks_[middle].next; next != kNone && blocks_[next].state == State::kUnmapped) MergeWithNext(middle);
  if (const BlockId before = blocks_[middle].previous; before != kNone && blocks_[before].state == State::kUnmapped) MergeWithNext(before);
}

int64_t CachingAllocator::GrownSize(BlockId block) const {
  const BlockId next = blocks_[block].next;
  const bool grows = next != kNone && blocks_[next].state == State::kUnmapped;
  return blocks_[block].size + (grows ? blocks_[next].size : 0);
}

}  // namespace simulate
