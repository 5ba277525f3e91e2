// Closed forms of collective/ against the replay of every message, where nothing is shared.
#include <catch2/catch.hpp>

#include "sim/engine/message_replay.h"
#include "tests/collective/toy.h"

using namespace simulate;

namespace {

double Replayed(const HardwareSpec& h, int64_t accelerators, CollectiveOp op, Algorithm algorithm,
                const std::vector<uint32_t>& group, Bytes bytes, uint32_t chunks = 64) {
  const Topology topology(h, accelerators);
  const MessageSchedule schedule =
      ExpandMessages(h, topology, op, algorithm, group, bytes, {Protocol::kLL, chunks});
  std::vector<double> bandwidth;
  for (const Link& link : topology.links()) bandwidth.push_back(link.bandwidth.value());
  return ReplayMessages(schedule, bandwidth).end.seconds().value();
}

}  // namespace

TEST_CASE("rings inside a node and along a rail: replay and closed form agree") {
  for (const CollectiveOp op :
       {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter}) {
    for (const int64_t size : {1'000, 1'000'000, 100'000'000}) {
      const HardwareSpec h = toy::Cluster(8, 8);
      const auto node = toy::Cost(h, 8, op, Bytes(size), {toy::Ranks(8)}, Algorithm::kRing);
      CHECK(Replayed(h, 8, op, Algorithm::kRing, toy::Ranks(8), Bytes(size)) ==
            Approx(node.time.value()).epsilon(0.01));
      const std::vector<uint32_t> rail = toy::Ranks(16, 3, 8);
      const auto along = toy::Cost(h, 128, op, Bytes(size), {rail}, Algorithm::kRing);
      CHECK(Replayed(h, 128, op, Algorithm::kRing, rail, Bytes(size)) ==
            Approx(along.time.value()).epsilon(0.01));
    }
  }
}

TEST_CASE("trees along a rail: with fine chunks the replay comes to the closed form") {
  // Without latency: a channel pays it once per chunk, where the closed form pays it once per hop.
  HardwareSpec h = toy::Cluster(1, 1);
  h.fabric.link.latency = Seconds();
  for (const uint32_t nodes : {2u, 4u}) {
    const Bytes size(100'000'000);
    const auto closed =
        toy::Cost(h, nodes, CollectiveOp::kAllReduce, size, {toy::Ranks(nodes)}, Algorithm::kTree);
    const double replayed =
        Replayed(h, nodes, CollectiveOp::kAllReduce, Algorithm::kTree, toy::Ranks(nodes), size, 800);
    CHECK(replayed == Approx(closed.time.value()).epsilon(0.01));
  }
}

TEST_CASE("an all-to-all inside a node: replay and closed form agree") {
  const HardwareSpec h = toy::Cluster(8, 8);
  const auto closed =
      toy::Cost(h, 8, CollectiveOp::kAllToAll, Bytes(80'000'000), {toy::Ranks(8)}, Algorithm::kPairwise);
  CHECK(Replayed(h, 8, CollectiveOp::kAllToAll, Algorithm::kPairwise, toy::Ranks(8), Bytes(80'000'000)) ==
        Approx(closed.time.value()).epsilon(0.01));
}

TEST_CASE(
    "a full node's rings over its NICs: the replay takes no less than the transfer, and no more than the "
    "closed form") {
  const HardwareSpec h = toy::Cluster(8, 8);
  const Bytes size(800'000'000);
  const auto closed = toy::Cost(h, 16, CollectiveOp::kAllGather, size, {toy::Ranks(16)}, Algorithm::kRing);
  const double replayed = Replayed(h, 16, CollectiveOp::kAllGather, Algorithm::kRing, toy::Ranks(16), size);
  CHECK(replayed >= (closed.time - closed.latency).value());
  CHECK(replayed <= closed.time.value() * 1.05);
}
