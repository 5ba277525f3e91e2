// The caching allocator in closed form, after PyTorch's CUDACachingAllocator.cpp.
#include "sim/engine/caching_allocator.h"

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

}  // namespace
}  // namespace simulate
