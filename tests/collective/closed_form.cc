// Times that can be worked out by hand. S is the size, B the bandwidth of a link, a its latency.
#include <catch2/catch.hpp>

#include "tests/collective/toy.h"

using namespace simulate;
using toy::Cost;
using toy::kAlpha;
using toy::kBeta;
using toy::Ranks;

namespace {
constexpr int64_t kSize = 100'000'000;
const Bytes kBytes(kSize);
constexpr double kS = kSize;
constexpr double kB = 100e9;
constexpr double kNet = 10e9;
}  // namespace

TEST_CASE("a ring all-reduce takes 2(n-1)/n * S/B + 2(n-1) * a") {
  for (const uint32_t n : {2u, 3u, 8u}) {
    const auto cost = Cost(toy::Cluster(8, 8), 8, CollectiveOp::kAllReduce, kBytes, {Ranks(n)}, Algorithm::kRing);
    CHECK(cost.time.value() == Approx(2.0 * (n - 1) / n * kS / kB + 2.0 * (n - 1) * kAlpha));
    CHECK(cost.latency.value() == Approx(2.0 * (n - 1) * kAlpha));
  }
}

TEST_CASE("ring all-gather and reduce-scatter take half an all-reduce") {
  for (const CollectiveOp op : {CollectiveOp::kAllGather, CollectiveOp::kReduceScatter}) {
    const auto cost = Cost(toy::Cluster(8, 8), 8, op, kBytes, {Ranks(8)}, Algorithm::kRing);
    CHECK(cost.time.value() == Approx(7.0 / 8.0 * kS / kB + 7.0 * kAlpha));
  }
}

TEST_CASE("a broadcast passes the whole buffer along the ring") {
  const auto cost = Cost(toy::Cluster(8, 8), 8, CollectiveOp::kBroadcast, kBytes, {Ranks(8)}, Algorithm::kRing);
  CHECK(cost.time.value() == Approx(kS / kB + 7.0 * kAlpha));
}

TEST_CASE("a full node's ring uses all its NICs, one accelerator per node its own rail") {
  // 2 nodes of 8: 15/16 * S leaves each node, over 8 NICs of 10 GB/s. Of the 15 hops 15 * 2/16 cross the network.
  const auto full = Cost(toy::Cluster(8, 8), 16, CollectiveOp::kAllGather, kBytes, {Ranks(16)}, Algorithm::kRing);
  CHECK(full.time.value() == Approx(15.0 / 16.0 * kS / (8 * kNet) + 15.0 * (2.0 / 16.0 * kBeta + 14.0 / 16.0 * kAlpha)));
  // One per node: half of S over one NIC.
  const auto rail = Cost(toy::Cluster(8, 8), 16, CollectiveOp::kAllGather, kBytes, {{3, 11}}, Algorithm::kRing);
  CHECK(rail.time.value() == Approx(0.5 * kS / kNet + kBeta));
}

TEST_CASE("groups that run at once share what they share") {
  // 8 groups, one per rail: as fast as one alone.
  std::vector<std::vector<uint32_t>> rails;
  for (uint32_t r = 0; r < 8; ++r) rails.push_back({r, r + 8});
  const auto eight = Cost(toy::Cluster(8, 8), 16, CollectiveOp::kAllGather, kBytes, rails, Algorithm::kRing);
  CHECK(eight.time.value() == Approx(0.5 * kS / kNet + kBeta));
  // With 4 NICs two groups share one: twice the transfer, the same latency.
  const auto shared = Cost(toy::Cluster(8, 4), 16, CollectiveOp::kAllGather, kBytes, rails, Algorithm::kRing);
  CHECK(shared.time.value() == Approx(2.0 * 0.5 * kS / kNet + kBeta));
}

TEST_CASE("a double binary tree sends S each way between two nodes, 2 S among many") {
  const auto two = Cost(toy::Cluster(1, 1), 2, CollectiveOp::kAllReduce, kBytes, {Ranks(2)}, Algorithm::kTree);
  CHECK(two.time.value() == Approx(kS / kNet + 2.0 * kBeta));
  const auto eight = Cost(toy::Cluster(1, 1), 8, CollectiveOp::kAllReduce, kBytes, {Ranks(8)}, Algorithm::kTree);
  CHECK(eight.time.value() == Approx(2.0 * kS / kNet + 2.0 * 3.0 * kBeta));
}

TEST_CASE("a hierarchical all-reduce: in the node, along the rails, in the node") {
  HardwareSpec h = toy::Cluster(4, 4);
  h.collective_library.kind = LibraryKind::kGeneric;
  // 2 * 3/4 * S inside; 2 * 1/2 * S/4 on each NIC, which is the slower. 2 * 3 hops inside and 2 between.
  const auto cost = Cost(h, 8, CollectiveOp::kAllReduce, kBytes, {Ranks(8)}, Algorithm::kHierarchical);
  CHECK(cost.time.value() == Approx(kS / 4 / kNet + 6.0 * kAlpha + 2.0 * kBeta));
}

TEST_CASE("a torus uses all links of a chip") {
  HardwareSpec h = toy::Cluster(16, 0);
  h.node.topology = NodeTopology::kTorus;
  h.node.torus = {4, 4};
  h.collective_library.kind = LibraryKind::kNeuron;
  const auto cost = Cost(h, 16, CollectiveOp::kAllGather, kBytes, {Ranks(16)}, Algorithm::kTorus, Protocol::kSimple);
  CHECK((cost.time - cost.latency).value() == Approx(15.0 / 16.0 * kS / kB));
}

TEST_CASE("NVLS passes (1 + 1/n) S through every member's links") {
  HardwareSpec h = toy::Cluster(8, 8);
  h.node.nvls_efficiency = 0.5;  // the switch reduces at half of the links' speed
  const auto cost = Cost(h, 8, CollectiveOp::kAllReduce, kBytes, {Ranks(8)}, Algorithm::kNvls, Protocol::kSimple);
  CHECK((cost.time - cost.latency).value() == Approx(1.125 * kS / (0.5 * kB)));
}

TEST_CASE("an all-to-all sends 1/n of the buffer to every other member") {
  const auto node = Cost(toy::Cluster(8, 8), 8, CollectiveOp::kAllToAll, kBytes, {Ranks(8)}, Algorithm::kPairwise);
  CHECK((node.time - node.latency).value() == Approx(7.0 / 8.0 * kS / kB));
  const auto two = Cost(toy::Cluster(8, 8), 16, CollectiveOp::kAllToAll, kBytes, {Ranks(16)}, Algorithm::kPairwise);
  CHECK((two.time - two.latency).value() == Approx(0.5 * kS / kNet));
}

TEST_CASE("an all-to-all inside a node fills a pipeline for every peer: (n - 1)/n of a ring's ramp R, as R t / (R + t)") {
  HardwareSpec h = toy::Cluster(8, 8);
  const auto time = [&](int64_t ranks, CollectiveOp op) {
    return Cost(h, ranks, op, kBytes, {Ranks(static_cast<uint32_t>(ranks))}, Algorithm::kPairwise, Protocol::kSimple).time.value();
  };
  const double bare = time(8, CollectiveOp::kAllToAll), across = time(16, CollectiveOp::kAllToAll), shift = time(8, CollectiveOp::kSendRecv);
  h.collective_library.ring_ramp = Seconds(100e-6);
  const double ramp = 7.0 / 8.0 * 100e-6, transfer = 7.0 / 8.0 * kS / kB;
  CHECK(time(8, CollectiveOp::kAllToAll) - bare == Approx(ramp * transfer / (ramp + transfer)));
  CHECK(time(16, CollectiveOp::kAllToAll) == across);  // over the network it hides behind the NICs
  CHECK(time(8, CollectiveOp::kSendRecv) == shift);
}

TEST_CASE("small slabs of a large ring show a part of every message's wait: L * 2L / (2L + t)") {
  // 64 members on 1 NIC each, 2 channels of 5 GB/s; all-gather of 64 MiB: slabs of 512 KiB, t = 104.9 us, L = 10 us, 63 messages.
  HardwareSpec h = toy::Cluster(1, 1);
  h.collective_library.kind = LibraryKind::kNccl;
  h.collective_library.slice = Bytes(512 << 10);
  const Bytes size = MiB(64);
  const auto gather = Cost(h, 64, CollectiveOp::kAllGather, size, {Ranks(64)}, Algorithm::kRing, Protocol::kSimple);
  const double t = (1 << 19) / 5e9;
  const double bytes = 63.0 / 64.0 * static_cast<double>(size.value());
  CHECK((gather.time - gather.latency).value() ==
        Approx(bytes / kNet * (1.0 + kBeta * 2.0 * kBeta / (2.0 * kBeta + t) / t * 62.0 / 63.0)));
}

TEST_CASE("a transport with one message under way takes the latency for every message") {
  // 4 members on 1 NIC each, 2 channels of 5 GB/s. All-gather of 64 MiB: 3 slabs of 8 MiB a channel in slices of 1 MiB, 24
  // messages; each after the first waits 10 us, in which a channel would have sent 50 KB.
  HardwareSpec h = toy::Cluster(1, 1);
  h.collective_library.kind = LibraryKind::kNccl;
  h.collective_library.slice = Bytes(512 << 10);
  h.fabric.simple_only = true;
  const Bytes size = MiB(64);
  const auto gather = Cost(h, 4, CollectiveOp::kAllGather, size, {Ranks(4)}, Algorithm::kRing, Protocol::kSimple);
  const double bytes = 0.75 * static_cast<double>(size.value());
  CHECK((gather.time - gather.latency).value() == Approx(bytes / kNet * (1.0 + 5e9 * kBeta / (1 << 20) * 23.0 / 24.0)));
  // All-reduce of 256 MiB through trees of depth 2: 256 chunks of 512 KiB a channel.
  const Bytes large = MiB(256);
  const auto tree = Cost(h, 4, CollectiveOp::kAllReduce, large, {Ranks(4)}, Algorithm::kTree, Protocol::kSimple);
  CHECK((tree.time - tree.latency).value() ==
        Approx(2.0 * static_cast<double>(large.value()) / kNet * (1.0 + 5e9 * kBeta / (1 << 19) * 255.0 / 256.0)));
}

TEST_CASE("a Simple chain hides behind the transfer: 2 A^2 / (2 A + T)") {
  const auto cost = Cost(toy::Cluster(8, 8), 8, CollectiveOp::kAllGather, kBytes, {Ranks(8)}, Algorithm::kRing, Protocol::kSimple);
  const double a = 7.0 * kAlpha;
  const double t = 7.0 / 8.0 * kS / kB;
  CHECK(cost.time.value() == Approx(t + 2.0 * a * a / (2.0 * a + t)));
}
