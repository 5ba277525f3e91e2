// Closed forms of collective/ against the replay of every message: within 1 % where nothing is shared, for every
// algorithm; and never faster than the busiest link allows, on drawn machines.
#include <catch2/catch.hpp>

#include "sim/base/random.h"
#include "sim/engine/message_replay.h"
#include "tests/collective/toy.h"

using namespace simulate;

namespace {

struct Both {
  CollectiveCost closed;
  double replayed = 0.0;
};

std::vector<double> Bandwidths(const Topology& topology) {
  std::vector<double> bandwidth;
  for (const Link& link : topology.links()) bandwidth.push_back(link.bandwidth.value());
  return bandwidth;
}

Both Time(const HardwareSpec& h, int64_t accelerators, CollectiveOp op, Algorithm algorithm,
          const std::vector<uint32_t>& group, Bytes bytes, Protocol protocol = Protocol::kLL) {
  const Topology topology(h, accelerators);
  const CollectiveModel model(h, topology, {algorithm, protocol});
  const CollectiveRequest request{op, bytes, {group}};
  Both both{model.Cost(request), 0.0};
  both.replayed = (ReplayMessages(model.Messages(request, both.closed), Bandwidths(topology)).end.seconds() + both.closed.overhead).value();
  return both;
}

void CheckAgree(const Both& both) { CHECK(both.replayed == Approx(both.closed.time.value()).epsilon(0.01)); }

}  // namespace

TEST_CASE("rings inside a node and along a rail: replay and closed form agree at every size") {
  for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter}) {
    for (const int64_t size : {1'000, 1'000'000, 100'000'000}) {
      const HardwareSpec h = toy::Cluster(8, 8);
      CheckAgree(Time(h, 8, op, Algorithm::kRing, toy::Ranks(8), Bytes(size)));
      CheckAgree(Time(h, 128, op, Algorithm::kRing, toy::Ranks(16, 3, 8), Bytes(size)));
    }
  }
}

TEST_CASE("rings with a library's own costs: Simple hides a part of every hop, LL128 fills its pipeline once") {
  HardwareSpec h = toy::Cluster(1, 1);
  h.collective_library = DefaultLibrary(LibraryKind::kNccl);
  for (const Protocol protocol : {Protocol::kLL, Protocol::kLL128, Protocol::kSimple}) {
    for (const int64_t size : {1'000, 1'000'000, 1'000'000'000}) {
      CheckAgree(Time(h, 16, CollectiveOp::kAllGather, Algorithm::kRing, toy::Ranks(16), Bytes(size), protocol));
    }
  }
}

TEST_CASE("a broadcast's chain: replay and closed form agree, but for filling the pipeline") {
  // 7 hops in 224 chunks fill in 6 / 224 of the transfer.
  const Both both = Time(toy::Cluster(8, 8), 8, CollectiveOp::kBroadcast, Algorithm::kRing, toy::Ranks(8), Bytes(800'000'000));
  CHECK(both.replayed == Approx(both.closed.time.value() * (1.0 + 6.0 / 224.0)).epsilon(0.01));
}

TEST_CASE("double binary trees along a rail: replay and closed form agree") {
  for (const uint32_t nodes : {2u, 4u, 16u}) {
    const HardwareSpec h = toy::Cluster(1, 1);
    const Topology topology(h, nodes);
    const std::vector<uint32_t> group = toy::Ranks(nodes);
    const auto closed = toy::Cost(h, nodes, CollectiveOp::kAllReduce, Bytes(400'000'000), {group}, Algorithm::kTree);
    const MessageSchedule schedule = ExpandMessages(h, topology, CollectiveOp::kAllReduce, Algorithm::kTree, group,
                                                    Bytes(400'000'000), {.protocol = Protocol::kLL, .chunks = 4000});
    CHECK(ReplayMessages(schedule, Bandwidths(topology)).end.seconds().value() == Approx(closed.time.value()).epsilon(0.01));
  }
}

TEST_CASE("NVLS inside a node and NVLS trees between nodes: replay and closed form agree") {
  HardwareSpec h = toy::Cluster(8, 8);
  h.node.nvls_efficiency = 0.5;
  for (const auto& [accelerators, algorithm] : {std::pair{8, Algorithm::kNvls}, std::pair{32, Algorithm::kNvlsTree}}) {
    const Topology topology(h, accelerators);
    const std::vector<uint32_t> group = toy::Ranks(static_cast<uint32_t>(accelerators));
    const auto closed = toy::Cost(h, accelerators, CollectiveOp::kAllReduce, Bytes(400'000'000), {group}, algorithm, Protocol::kSimple);
    const MessageSchedule schedule = ExpandMessages(h, topology, CollectiveOp::kAllReduce, algorithm, group, Bytes(400'000'000),
                                                    {.protocol = Protocol::kSimple, .chunks = 2000});
    CHECK(ReplayMessages(schedule, Bandwidths(topology)).end.seconds().value() == Approx(closed.time.value()).epsilon(0.01));
  }
}

TEST_CASE("the multi-dimensional ring of a torus, and rings over a full mesh: replay and closed form agree") {
  HardwareSpec torus = toy::Cluster(16, 0);
  torus.node.topology = NodeTopology::kTorus;
  torus.node.torus = {4, 4};
  HardwareSpec mesh = toy::Cluster(8, 0);
  mesh.node.topology = NodeTopology::kFullMesh;
  HardwareSpec cube = toy::Cluster(8, 0);
  cube.node.topology = NodeTopology::kHybridCubeMesh;
  for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter}) {
    for (const int64_t size : {1'000, 1'000'000, 100'000'000}) {
      CheckAgree(Time(torus, 16, op, Algorithm::kTorus, toy::Ranks(16), Bytes(size)));
      CheckAgree(Time(mesh, 8, op, Algorithm::kRing, toy::Ranks(8), Bytes(size)));
      CheckAgree(Time(cube, 8, op, Algorithm::kRing, toy::Ranks(8), Bytes(size)));
    }
  }
}

TEST_CASE("hierarchical collectives: replay and closed form agree where bytes, not hops, take the time") {
  // A chunk goes round a ring before the next follows, so the replay pays hops once per chunk.
  HardwareSpec h = toy::Cluster(4, 4);
  h.collective_library.kind = LibraryKind::kGeneric;
  const Topology topology(h, 16);
  const std::vector<uint32_t> group = toy::Ranks(16);
  for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter}) {
    const auto closed = toy::Cost(h, 16, op, Bytes(400'000'000'000), {group}, Algorithm::kHierarchical);
    const MessageSchedule schedule = ExpandMessages(h, topology, op, Algorithm::kHierarchical, group, Bytes(400'000'000'000),
                                                    {.protocol = Protocol::kLL, .chunks = 200});
    INFO(Name(op));
    CHECK(ReplayMessages(schedule, Bandwidths(topology)).end.seconds().value() == Approx(closed.time.value()).epsilon(0.01));
  }
}

TEST_CASE("exchanges of all with all, and to the next: replay and closed form agree") {
  const HardwareSpec h = toy::Cluster(8, 8);
  CheckAgree(Time(h, 8, CollectiveOp::kAllToAll, Algorithm::kPairwise, toy::Ranks(8), Bytes(80'000'000)));
  CheckAgree(Time(h, 8, CollectiveOp::kSendRecv, Algorithm::kPairwise, toy::Ranks(8), Bytes(80'000'000)));
  CheckAgree(Time(h, 64, CollectiveOp::kSendRecv, Algorithm::kPairwise, toy::Ranks(8, 0, 8), Bytes(80'000'000)));
  HardwareSpec neuron = toy::Cluster(8, 0);
  neuron.node.topology = NodeTopology::kFullMesh;
  neuron.collective_library.kind = LibraryKind::kNeuron;
  for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllGather}) {
    CheckAgree(Time(neuron, 8, op, Algorithm::kDirect, toy::Ranks(8), Bytes(80'000'000), Protocol::kSimple));
  }
}

TEST_CASE("a full node's rings share its links: no faster than the busiest link, no slower than the closed form") {
  const Both both = Time(toy::Cluster(8, 8), 16, CollectiveOp::kAllGather, Algorithm::kRing, toy::Ranks(16), Bytes(800'000'000));
  CHECK(both.replayed >= (both.closed.time - both.closed.latency).value() * 0.999);
  CHECK(both.replayed <= both.closed.time.value() * 1.01);
}

TEST_CASE("no replay beats its busiest link, whatever the algorithm and the machine") {
  for (uint64_t draw = 0; draw < 24; ++draw) {
    Random random(11, draw);
    const int64_t per_node = int64_t{2} << random.Below(3);
    HardwareSpec h = toy::Cluster(per_node, std::max<int64_t>(1, per_node >> random.Below(2)));
    if (random.Below(2) == 0) h.node.nvls_efficiency = 0.7;
    if (random.Below(2) == 0) h.collective_library = DefaultLibrary(LibraryKind::kNccl);
    if (random.Below(3) == 0) h.node.topology = NodeTopology::kFullMesh;
    const auto n = static_cast<uint32_t>(per_node * static_cast<int64_t>(1 + random.Below(4)));
    const Topology topology(h, n);
    const CollectiveModel model(h, topology);
    const std::vector<double> bandwidth = Bandwidths(topology);
    const std::vector<uint32_t> group = toy::Ranks(n);
    for (const CollectiveOp op : {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter,
                                  CollectiveOp::kBroadcast, CollectiveOp::kAllToAll, CollectiveOp::kSendRecv}) {
      const CollectiveRequest request{op, Bytes(8 << 20), {group}};
      for (const CollectiveCost& cost : model.Options(request)) {
        const MessageSchedule schedule = model.Messages(request, cost);
        double slowest = 0.0;
        for (const LinkLoad& load : LoadsOf(schedule)) slowest = std::max(slowest, load.bytes / bandwidth[load.link]);
        INFO(draw << " " << Name(op) << " " << Name(cost.algorithm) << " " << Name(cost.protocol) << " " << n);
        CHECK(ReplayMessages(schedule, bandwidth).end.seconds().value() >= slowest * (1.0 - 1e-6));
      }
    }
  }
}
