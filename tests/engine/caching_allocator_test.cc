// The caching allocator in closed form, after PyTorch's CUDACachingAllocator.cpp.
#include "sim/engine/caching_allocator.h"

#include <algorithm>
#include <cstddef>
#include <random>
#include <vector>

#include <catch2/catch.hpp>

namespace simulate {
namespace {

using BlockId = CachingAllocator::BlockId;

TEST_CASE("requests are rounded to 512 bytes and reserve a 2 MiB segment") {
  CachingAllocator a(GiB(1));
  const BlockId one = a.Allocate(Bytes(1), 0);
  CHECK(a.SizeOf(one) == Bytes(512));
  CHECK(a.reserved() == MiB(2));
  (void)a.Allocate(Bytes(513), 0);
  CHECK(a.allocated() == Bytes(512 + 1024));
  CHECK(a.reserved() == MiB(2));
}

TEST_CASE("segment sizes of the large pool") {
  CachingAllocator a(GiB(1));
  (void)a.Allocate(MiB(1) + Bytes(1), 0);  // just large: 20 MiB
  CHECK(a.reserved() == MiB(20));
  CachingAllocator b(GiB(1));
  (void)b.Allocate(MiB(10), 0);  // from 10 MiB on: rounded to 2 MiB
  CHECK(b.reserved() == MiB(10));
  (void)b.Allocate(MiB(11), 0);
  CHECK(b.reserved() == MiB(22));
}

TEST_CASE("a large block is split only if more than 1 MiB is left") {
  CachingAllocator a(GiB(1));
  const BlockId whole = a.Allocate(MiB(12), 0);
  a.Free(whole);
  const BlockId most = a.Allocate(MiB(11), 0);  // 1 MiB left: stays whole
  CHECK(a.SizeOf(most) == MiB(12));
  a.Free(most);
  const BlockId less = a.Allocate(MiB(11) - Bytes(512), 0);
  CHECK(a.SizeOf(less) == MiB(11) - Bytes(512));
  CHECK(a.reserved() == MiB(12));
}

TEST_CASE("the smallest block that fits is taken") {
  CachingAllocator a(GiB(1));
  const BlockId large = a.Allocate(MiB(40), 0);
  const BlockId small = a.Allocate(MiB(30), 0);
  a.Free(large);
  a.Free(small);
  const BlockId again = a.Allocate(MiB(30), 0);
  CHECK(again == small);
  CHECK(a.reserved() == MiB(70));
}

TEST_CASE("neighbours merge when freed, across both sides") {
  CachingAllocator a(GiB(1));
  const BlockId first = a.Allocate(MiB(4), 0);  // a 20 MiB segment: 4 + 4 + 4 + rest
  const BlockId second = a.Allocate(MiB(4), 0);
  const BlockId third = a.Allocate(MiB(4), 0);
  a.Free(first);
  a.Free(third);
  a.Free(second);
  const BlockId all = a.Allocate(MiB(20), 0);
  CHECK(a.SizeOf(all) == MiB(20));
  CHECK(a.reserved() == MiB(20));
}

TEST_CASE("streams do not share blocks") {
  CachingAllocator a(GiB(1));
  a.Free(a.Allocate(MiB(16), 0));
  (void)a.Allocate(MiB(16), 1);
  CHECK(a.reserved() == MiB(32));
}

TEST_CASE("a block in use elsewhere is active but not allocated, and not reused") {
  CachingAllocator a(GiB(1));
  const BlockId block = a.Allocate(MiB(16), 0);
  a.Free(block, true);
  CHECK(a.allocated() == Bytes(0));
  CHECK(a.active() == MiB(16));
  (void)a.Allocate(MiB(16), 0);
  CHECK(a.reserved() == MiB(32));
  a.Release(block);
  CHECK(a.active() == MiB(16));
  (void)a.Allocate(MiB(16), 0);
  CHECK(a.reserved() == MiB(32));
}

TEST_CASE("cached segments are given back before a request fails") {
  CachingAllocator a(MiB(64));
  const BlockId cached = a.Allocate(MiB(40), 0);
  a.Free(cached);
  CHECK(a.Allocate(MiB(50), 0) == CachingAllocator::kNone);
  CHECK(a.Retry(MiB(50), 0) != CachingAllocator::kNone);
  CHECK(a.reserved() == MiB(50));
  CHECK(a.retries() == 1);
  CHECK(a.calls().maps == 2);
  CHECK(a.calls().mapped == MiB(90).value());
  CHECK(a.calls().unmaps == 1);
  CHECK(a.calls().unmapped == MiB(40).value());
  CHECK(a.Retry(MiB(50), 0) == CachingAllocator::kNone);
  a.LiftLimit();
  CHECK(a.Allocate(MiB(50), 0) != CachingAllocator::kNone);
}

TEST_CASE("a segment with one live block is not given back") {
  CachingAllocator a(MiB(20));
  const BlockId kept = a.Allocate(MiB(2), 0);
  const BlockId freed = a.Allocate(MiB(8), 0);
  a.Free(freed);
  CHECK(a.Retry(MiB(19), 0) == CachingAllocator::kNone);
  a.Free(kept);
  CHECK(a.Retry(MiB(19), 0) != CachingAllocator::kNone);
}

// Pages of 20 MiB in the large pool, of 2 MiB in the small one.
TEST_CASE("an expandable segment grows by what is missing") {
  CachingAllocator a(GiB(1), true);
  const BlockId first = a.Allocate(MiB(30), 0);
  CHECK(a.reserved() == MiB(40));
  a.Free(first);
  const BlockId grown = a.Allocate(MiB(70), 0);  // 40 are mapped, 30 are missing: two pages
  CHECK(a.SizeOf(grown) == MiB(70));
  CHECK(a.reserved() == MiB(80));
  CHECK(a.calls().maps == 2);
  CHECK(a.calls().mapped == MiB(80).value());
  const BlockId rest = a.Allocate(MiB(10), 0);  // what the last page has left
  CHECK(a.SizeOf(rest) == MiB(10));
  CHECK(a.reserved() == MiB(80));
  (void)a.Allocate(MiB(1), 0);
  CHECK(a.reserved() == MiB(82));
}

TEST_CASE("best fit spares the block that can grow") {
  CachingAllocator a(GiB(1), true);
  const BlockId hole = a.Allocate(MiB(40), 0);
  (void)a.Allocate(MiB(20), 0);
  const BlockId last = a.Allocate(MiB(20), 0);
  a.Free(hole);
  a.Free(last);                                    // borders on unmapped addresses
  CHECK(a.Allocate(MiB(20), 0) == hole);           // though `last` fits exactly
  CHECK(a.reserved() == MiB(80));
}

TEST_CASE("a full device gives free pages back from between live blocks") {
  CachingAllocator a(MiB(160), true);
  std::vector<BlockId> blocks;
  for (int i = 0; i < 4; ++i) blocks.push_back(a.Allocate(MiB(40), 0));
  a.Free(blocks[0]);
  a.Free(blocks[2]);
  // 80 MiB are free in two pieces: no segment is wholly free, and no piece is large enough.
  CHECK(a.Allocate(MiB(80), 0) == CachingAllocator::kNone);
  const BlockId wide = a.Retry(MiB(80), 0);
  REQUIRE(wide != CachingAllocator::kNone);
  CHECK(a.SizeOf(wide) == MiB(80));
  CHECK(a.reserved() == MiB(160));
  CHECK(a.calls().unmaps == 2);
  CHECK(a.calls().unmapped == MiB(80).value());
  // The holes are addresses still, and are mapped again when there is memory.
  a.Free(wide);
  CHECK(a.Retry(MiB(40), 0) != CachingAllocator::kNone);
  CHECK(a.reserved() == MiB(120));

  CachingAllocator fixed(MiB(160));
  blocks.clear();
  blocks.push_back(fixed.Allocate(MiB(160), 0));
  fixed.Free(blocks[0]);
  blocks[0] = fixed.Allocate(MiB(40), 0);
  CHECK(fixed.Retry(MiB(130), 0) == CachingAllocator::kNone);  // the segment is partly in use
}

// Any sequence of requests: what is live is counted, blocks do not overlap, and memory is never mapped beyond the device.
TEST_CASE("both kinds of segments keep their books through random requests") {
  for (const bool expandable : {false, true}) {
    std::mt19937 random(expandable ? 1 : 2);
    CachingAllocator a(MiB(600), expandable);
    std::vector<BlockId> live;
    Bytes allocated;
    for (int step = 0; step < 4000; ++step) {
      if (live.empty() || random() % 5 < 3) {
        const Bytes bytes(static_cast<int64_t>(1 + random() % (random() % 4 == 0 ? 60'000'000 : 3'000'000)));
        const uint32_t stream = random() % 3;
        BlockId block = a.Allocate(bytes, stream);
        if (block == CachingAllocator::kNone) block = a.Retry(bytes, stream);
        if (block == CachingAllocator::kNone) {
          for (const BlockId b : live) a.Free(b);
          live.clear();
          allocated = Bytes(0);
          continue;
        }
        REQUIRE(a.SizeOf(block) >= bytes);
        REQUIRE(std::find(live.begin(), live.end(), block) == live.end());
        live.push_back(block);
        allocated += a.SizeOf(block);
      } else {
        const size_t at = random() % live.size();
        allocated -= a.SizeOf(live[at]);
        a.Free(live[at]);
        live.erase(live.begin() + static_cast<std::ptrdiff_t>(at));
      }
      REQUIRE(a.allocated() == allocated);
      REQUIRE(a.active() == allocated);
      REQUIRE(a.reserved() >= allocated);
      REQUIRE(a.reserved() <= MiB(600));
    }
    for (const BlockId b : live) a.Free(b);
    static_cast<void>(a.Retry(MiB(580), 0));  // everything can be given back: nothing was lost
    CHECK(a.allocated() == MiB(580));
  }
}

}  // namespace
}  // namespace simulate
