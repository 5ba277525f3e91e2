#include "sim/cluster/topology.h"

#include <catch2/catch.hpp>

using namespace simulate;

namespace {

HardwareSpec Cluster(FabricTopology fabric, std::vector<FabricLevel> levels) {
  HardwareSpec h;
  h.node.accelerators = 8;
  h.node.scale_up = {"nvlink", GBps(100), Microseconds(1), 1.0, Confidence::kCoarse, ""};
  h.node.nics = 4;
  h.node.nic = {"net", GBps(10), Seconds(), 1.0, Confidence::kCoarse, ""};
  h.node.pcie = {"pcie", GBps(20), Seconds(), 1.0, Confidence::kCoarse, ""};
  h.fabric.topology = fabric;
  h.fabric.link = {"net", BytesPerSecond(), Microseconds(4), 1.0, Confidence::kCoarse, ""};
  h.fabric.levels = std::move(levels);
  return h;
}

std::vector<std::string> Names(const Topology& t, const std::vector<LinkId>& route) {
  std::vector<std::string> names;
  for (const LinkId link : route) names.push_back(t.LinkName(link));
  return names;
}

}  // namespace

TEST_CASE("inside a node the way goes over the switch") {
  const Topology t(Cluster(FabricTopology::kSwitch, {}), 16);
  CHECK(Names(t, t.Route(9, 14)) == std::vector<std::string>{"node1.gpu1 -> node1.switch", "node1.switch -> node1.gpu6"});
  CHECK(t.node_count() == 2);
  CHECK(t.node_of(9) == 1);
}

TEST_CASE("two accelerators share the NIC nearest to them") {
  const Topology t(Cluster(FabricTopology::kSwitch, {}), 16);
  CHECK(t.ExitsOf(2) == t.ExitsOf(3));
  CHECK(t.ExitsOf(1) != t.ExitsOf(2));
}

TEST_CASE("between nodes the way goes up to the lowest common switch") {
  const Topology t(Cluster(FabricTopology::kFatTree, {{"leaf", 2, 7.0, {}}, {"spine", 0, 1.0, {}}}), 32);
  CHECK(Names(t, t.Route(0, 8)) == std::vector<std::string>{"node0.gpu0 -> node0.nic0", "node0.nic0 -> leaf0",
                                                            "leaf0 -> node1.nic0", "node1.nic0 -> node1.gpu0"});
  CHECK(Names(t, t.Route(0, 31)) ==
        std::vector<std::string>{"node0.gpu0 -> node0.nic0", "node0.nic0 -> leaf0", "leaf0 -> spine0", "spine0 -> leaf1",
                                 "leaf1 -> node3.nic3", "node3.nic3 -> node3.gpu7"});
}

TEST_CASE("oversubscription 7:1 leaves a seventh of the NICs' bandwidth above the leaf") {
  const Topology t(Cluster(FabricTopology::kFatTree, {{"leaf", 2, 7.0, {}}, {"spine", 0, 1.0, {}}}), 32);
  for (const LinkId link : t.Route(0, 31)) {
    if (t.LinkName(link) == "leaf0 -> spine0") CHECK(t.links()[link].bandwidth.value() == Approx(2 * 4 * 10e9 / 7.0));
  }
}

TEST_CASE("every switch but the first adds its level's latency") {
  HardwareSpec h = Cluster(FabricTopology::kFatTree, {{"leaf", 2, 1.0, {}}, {"spine", 2, 1.0, Microseconds(3)}, {"core", 0, 1.0, {}}});
  h.fabric.switch_latency = Microseconds(1);
  const Topology t(h, 64);
  const auto latency = [&](uint32_t to) {
    double sum = 0.0;
    for (const LinkId link : t.Route(0, to)) sum += t.links()[link].latency.value();
    return sum * 1e6;
  };
  CHECK(latency(8) == Approx(4));                    // the leaf's is the link's
  CHECK(latency(16) == Approx(4 + 3 + 1));           // spine, leaf
  CHECK(latency(63) == Approx(4 + 3 + 1 + 3 + 1));   // spine, core, spine, leaf
}

TEST_CASE("rails keep to their own leaf") {
  const Topology t(Cluster(FabricTopology::kRailOptimized, {{"su", 2, 1.0, {}}, {"spine", 0, 1.0, {}}}), 32);
  CHECK(Names(t, t.Route(2, 10))[1] == "node0.nic1 -> su0.rail1");
  CHECK(t.Route(2, 10).size() == 4);
  CHECK(t.Route(2, 26).size() == 6);
}

TEST_CASE("an accelerator of another rail is reached by its own NIC") {
  const Topology t(Cluster(FabricTopology::kSwitch, {}), 16);
  CHECK(Names(t, t.Route(0, 15)) == std::vector<std::string>{"node0.gpu0 -> node0.nic0", "node0.nic0 -> switch",
                                                             "switch -> node1.nic3", "node1.nic3 -> node1.gpu7"});
}

TEST_CASE("placements that look alike have the same signature, others not") {
  const Topology t(Cluster(FabricTopology::kSwitch, {}), 32);
  const auto sign = [&](std::vector<uint32_t> ranks) { return t.PlacementSignature(ranks); };
  CHECK(sign({0, 8}) == sign({1, 9}));
  CHECK(sign({0, 8}) == sign({17, 25}));
  CHECK(sign({0, 8}) != sign({0, 1}));
  CHECK(sign({0, 1}) != sign({0, 2}));  // one NIC, two NICs
}

TEST_CASE("a failed link is avoided, a degraded one is slower") {
  const LinkChange failed[] = {{"node0.gpu0", "node0.nic0", 0.0}};
  const Topology t(Cluster(FabricTopology::kSwitch, {}), 16, failed);
  const auto names = Names(t, t.Route(0, 8));
  CHECK(names.front() != "node0.gpu0 -> node0.nic0");
  CHECK(names.back() == "node1.nic0 -> node1.gpu0");
  const LinkChange slow[] = {{"node0.gpu0", "node0.switch", 0.25}};
  const Topology s(Cluster(FabricTopology::kSwitch, {}), 16, slow);
  CHECK(s.links()[s.Route(0, 1)[0]].bandwidth.value() == Approx(25e9));
}

TEST_CASE("a hybrid cube mesh gives every GPU six links") {
  HardwareSpec h = Cluster(FabricTopology::kSwitch, {});
  h.node.topology = NodeTopology::kHybridCubeMesh;
  h.node.scale_up.bandwidth = GBps(150);
  const Topology t(h, 8);
  for (VertexId gpu = 0; gpu < 8; ++gpu) {
    double out = 0.0;
    for (VertexId other = 0; other < 8; ++other) {
      const LinkId link = t.LinkBetween(gpu, other);
      if (link != Topology::kNoLink) out += t.links()[link].bandwidth.value();
    }
    CHECK(out == Approx(150e9));
  }
}

TEST_CASE("a 4x4 torus joins each chip to four neighbours, with wrap-around") {
  HardwareSpec h = Cluster(FabricTopology::kNone, {});
  h.node.accelerators = 16;
  h.node.topology = NodeTopology::kTorus;
  h.node.torus = {4, 4};
  h.node.nics = 0;
  h.node.pcie = {};
  const Topology t(h, 16);
  for (const VertexId neighbour : {1, 3, 4, 12}) {
    REQUIRE(t.LinkBetween(0, neighbour) != Topology::kNoLink);
    CHECK(t.links()[t.LinkBetween(0, neighbour)].bandwidth.value() == Approx(25e9));
  }
  CHECK(t.links().size() == 64);
  CHECK(t.Route(0, 10).size() == 4);
}
