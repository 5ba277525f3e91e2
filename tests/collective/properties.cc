// Laws that every collective on every cluster keeps.
#include <bit>
#include <catch2/catch.hpp>

#include "sim/base/random.h"
#include "tests/collective/toy.h"

using namespace simulate;

namespace {

constexpr CollectiveOp kOps[] = {CollectiveOp::kAllReduce, CollectiveOp::kAllGather, CollectiveOp::kReduceScatter,
                                 CollectiveOp::kBroadcast, CollectiveOp::kAllToAll};

// The least that must leave a member, per byte of size: what the others lack and only it has (all-gather,
// all-to-all), its share of every sum (reduce-scatter), both (all-reduce: S once at least, in-network reduction
// or not). Nothing can be faster than that over all of the member's links.
double LeastOut(CollectiveOp op, double n) {
  switch (op) {
    case CollectiveOp::kAllGather: return 1.0 / n;
    case CollectiveOp::kReduceScatter:
    case CollectiveOp::kAllToAll: return (n - 1.0) / n;
    case CollectiveOp::kAllReduce: return 1.0;
    default: return 0.0;
  }
}

// The least that must enter a member.
double LeastIn(CollectiveOp op, double n) {
  switch (op) {
    case CollectiveOp::kReduceScatter: return 1.0 / n;
    case CollectiveOp::kAllGather:
    case CollectiveOp::kAllToAll: return (n - 1.0) / n;
    case CollectiveOp::kBroadcast:
    case CollectiveOp::kAllReduce: return 1.0;
    default: return 0.0;
  }
}

HardwareSpec Machine(uint64_t draw) {
  Random random(7, draw);
  const int64_t accelerators = int64_t{1} << random.Below(4);
  const int64_t nics = accelerators == 1 ? 1 : std::max<int64_t>(1, accelerators >> random.Below(2));
  HardwareSpec h = toy::Cluster(accelerators, nics);
  if (random.Below(2) == 0) h.collective_library = DefaultLibrary(LibraryKind::kNccl);
  h.node.scale_up.kind = random.Below(2) == 0 ? "nvlink3" : "nvlink4";
  if (random.Below(2) == 0) h.node.nvls_efficiency = 0.7;
  if (random.Below(2) == 0) {
    h.fabric.topology = FabricTopology::kFatTree;
    h.fabric.levels = {{"leaf", 2, 1.0 + static_cast<double>(random.Below(4))}, {"spine", 0, 1.0}};
  }
  return h;
}

}  // namespace

TEST_CASE("no predicted time beats the information bound, and each grows with the size") {
  for (uint64_t draw = 0; draw < 60; ++draw) {
    const HardwareSpec h = Machine(draw);
    const auto n = static_cast<uint32_t>(h.node.accelerators * (1 + draw % 5));
    if (n < 2) continue;
    const Topology topology(h, n);
    const CollectiveModel model(h, topology);
    const std::vector<uint32_t> group = toy::Ranks(n);
    for (const CollectiveOp op : kOps) {
      Seconds last;
      for (int64_t bytes = 1024; bytes <= (int64_t{1} << 32); bytes *= 16) {
        const CollectiveCost cost = model.Cost({op, Bytes(bytes), {group}});
        INFO(draw << " " << Name(op) << " " << n << " " << bytes);
        // A member's links together: scale-up and its NICs.
        const double out = 100e9 + 10e9 * static_cast<double>(topology.ExitsOf(0).size());
        const double least = std::max(LeastOut(op, n), LeastIn(op, n)) * static_cast<double>(bytes) / out;
        CHECK(cost.time.value() >= least);
        CHECK(cost.time >= last);
        CHECK(cost.latency.value() >= 0.0);
        last = cost.time;
      }
    }
  }
}

TEST_CASE("a faster NIC slows no collective, also where PCIe or scale-up is slower than it") {
  for (uint64_t draw = 0; draw < 60; ++draw) {
    HardwareSpec h = Machine(draw);
    h.collective_library = DefaultLibrary(LibraryKind::kNccl);
    h.fabric.simple_only = draw % 3 == 0;
    if (draw % 2 == 0) h.node.pcie = {"pcie", GBps(16), Seconds(), 1.0, Confidence::kCoarse, ""};
    const auto n = static_cast<uint32_t>(h.node.accelerators * (2 + draw % 4));
    for (const CollectiveOp op : kOps) {
      for (const int64_t bytes : {int64_t{1} << 20, int64_t{1} << 26}) {
        Seconds last(1e9);
        for (const double gigabytes : {5.0, 10.0, 20.0, 50.0, 200.0, 1000.0}) {
          h.node.nic.bandwidth = GBps(gigabytes);
          const Topology topology(h, n);
          const CollectiveModel model(h, topology);
          const Seconds time = model.Cost({op, Bytes(bytes), {toy::Ranks(n)}}).time;
          INFO(draw << " " << Name(op) << " " << n << " " << bytes << " at " << gigabytes << " GB/s");
          CHECK(time.value() <= last.value() * (1.0 + 1e-9));
          last = time;
        }
      }
    }
  }
}

TEST_CASE("what enters and leaves a node covers what its members must exchange with the others") {
  for (uint64_t draw = 0; draw < 40; ++draw) {
    const HardwareSpec h = Machine(draw);
    const auto nodes = static_cast<int64_t>(2 + draw % 4);
    const auto n = static_cast<uint32_t>(h.node.accelerators * nodes);
    const Topology topology(h, n);
    const CollectiveModel model(h, topology);
    const std::vector<uint32_t> group = toy::Ranks(n);
    constexpr double kSize = 1 << 28;
    for (const CollectiveOp op : kOps) {
      for (const CollectiveCost& cost : model.Options({op, Bytes(1 << 28), {group}})) {
        double nic = 0.0;  // the busiest NIC's load
        for (const LinkLoad& load : cost.loads) {
          const Link& link = topology.links()[load.link];
          if (topology.link_kinds()[link.kind] == "net" && topology.vertex_kind(link.from) == VertexKind::kNic) {
            nic = std::max(nic, load.bytes);
          }
        }
        const double all = nic * static_cast<double>(h.node.nics);
        // Across a node's edge: an all-gather brings in the others' parts, an all-reduce at least S one way.
        const double share = static_cast<double>(nodes - 1) / static_cast<double>(nodes);
        const double least = op == CollectiveOp::kAllReduce || op == CollectiveOp::kBroadcast ? kSize
                             : op == CollectiveOp::kAllToAll ? kSize * share * static_cast<double>(h.node.accelerators)
                                                             : kSize * share;
        INFO(draw << " " << Name(op) << " " << Name(cost.algorithm) << " " << nodes);
        CHECK(all >= least * (1.0 - 1e-9));
      }
    }
  }
}

TEST_CASE("relabelling the ranks of a symmetric cluster changes nothing") {
  const HardwareSpec h = toy::Cluster(8, 8);
  const Topology topology(h, 32);
  const CollectiveModel model(h, topology);
  const std::vector<uint32_t> order = toy::Ranks(32);
  std::vector<uint32_t> swapped;  // nodes in another order, and members of each rotated
  for (const uint32_t node : {2u, 0u, 3u, 1u}) {
    for (uint32_t i = 0; i < 8; ++i) swapped.push_back(node * 8 + (i + 3) % 8);
  }
  for (const CollectiveOp op : kOps) {
    for (const int64_t bytes : {4096, 1 << 20, 1 << 28}) {
      const CollectiveCost a = model.Cost({op, Bytes(bytes), {order}});
      const CollectiveCost b = model.Cost({op, Bytes(bytes), {swapped}});
      CHECK(a.time.value() == Approx(b.time.value()));
      CHECK(a.algorithm == b.algorithm);
      CHECK(a.loads.size() == b.loads.size());
    }
  }
}

TEST_CASE("the transfer is the busiest link's bytes over its bandwidth") {
  for (uint64_t draw = 0; draw < 20; ++draw) {
    const HardwareSpec h = Machine(draw);
    const auto n = static_cast<uint32_t>(h.node.accelerators * 4);
    const Topology topology(h, n);
    const CollectiveModel model(h, topology);
    for (const CollectiveOp op : kOps) {
      const CollectiveCost cost = model.Cost({op, Bytes(1 << 26), {toy::Ranks(n)}});
      double slowest = 0.0;
      for (const LinkLoad& load : cost.loads) {
        slowest = std::max(slowest, load.bytes / topology.links()[load.link].bandwidth.value());
      }
      CHECK((cost.time - cost.latency).value() == Approx(slowest));
    }
  }
}

TEST_CASE("a group of eight times the copies loads each link once for all of them") {
  // Folded: 4 tensor groups of 2 in a node, priced together, take as long as one, and name the same links as a
  // group over the whole node.
  const HardwareSpec h = toy::Cluster(8, 8);
  const Topology topology(h, 8);
  const CollectiveModel model(h, topology);
  const std::vector<std::vector<uint32_t>> pairs = {{0, 1}, {2, 3}, {4, 5}, {6, 7}};
  const CollectiveCost four = model.Cost({CollectiveOp::kAllReduce, Bytes(1 << 24), {pairs.begin(), pairs.end()}});
  const CollectiveCost one = model.Cost({CollectiveOp::kAllReduce, Bytes(1 << 24), {pairs[0]}});
  CHECK(four.time.value() == Approx(one.time.value()));
  const std::vector<uint32_t> all = toy::Ranks(8);
  const CollectiveCost whole = model.Cost({CollectiveOp::kAllReduce, Bytes(1 << 24), {all}});
  REQUIRE(four.loads.size() == whole.loads.size());
  for (size_t i = 0; i < four.loads.size(); ++i) CHECK(four.loads[i].link == whole.loads[i].link);
}

TEST_CASE("oversubscription 7:1 shows as 7:1") {
  HardwareSpec flat = toy::Cluster(1, 1);
  flat.fabric.topology = FabricTopology::kFatTree;
  flat.fabric.levels = {{"leaf", 4, 1.0}, {"spine", 0, 1.0}};
  HardwareSpec narrow = flat;
  narrow.fabric.levels[0].oversubscription = 7.0;
  // Four pairs across the spine, all at once: full speed, and a seventh of it.
  const std::vector<std::vector<uint32_t>> pairs = {{0, 4}, {1, 5}, {2, 6}, {3, 7}};
  const auto at = [&](const HardwareSpec& h) {
    const auto cost = toy::Cost(h, 8, CollectiveOp::kAllGather, Bytes(1 << 28), pairs, Algorithm::kRing);
    return (cost.time - cost.latency).value();
  };
  CHECK(at(narrow) == Approx(7.0 * at(flat)));
}

TEST_CASE("an explicit graph gives the same times as the hardware file that it draws") {
  const HardwareSpec composed = toy::Cluster(4, 4);
  HardwareSpec drawn = composed;
  drawn.fabric.topology = FabricTopology::kExplicit;
  const Topology t(composed, 12);
  for (VertexId v = 0; v < t.vertex_count(); ++v) {
    const char* kinds[] = {"accelerator", "switch", "nic", "host"};
    drawn.fabric.vertices.push_back({t.VertexName(v), kinds[static_cast<int>(t.vertex_kind(v))]});
  }
  for (LinkId i = 0; i < t.links().size(); i += 2) {
    const Link& l = t.links()[i];
    drawn.fabric.links.push_back({t.VertexName(l.from), t.VertexName(l.to),
                                  {t.link_kinds()[l.kind], l.bandwidth, l.latency, 1.0, Confidence::kCoarse, ""}});
  }
  const Topology e(drawn, 12);
  const CollectiveModel a(composed, t), b(drawn, e);
  const std::vector<std::vector<uint32_t>> groups = {toy::Ranks(12), toy::Ranks(4), {0, 4, 8}, {1, 2, 6}};
  for (const CollectiveOp op : kOps) {
    for (const auto& group : groups) {
      CHECK(a.Cost({op, Bytes(1 << 22), {group}}).time.value() == Approx(b.Cost({op, Bytes(1 << 22), {group}}).time.value()));
    }
  }
}

TEST_CASE("a degraded link slows the collectives over it, a failed NIC leaves its work to the others") {
  const HardwareSpec h = toy::Cluster(4, 4);
  const std::vector<uint32_t> group = toy::Ranks(8);
  const auto time_with = [&](std::vector<LinkChange> changes) {
    const Topology topology(h, 8, changes);
    const CollectiveModel model(h, topology, {Algorithm::kRing, Protocol::kLL});
    const CollectiveCost cost = model.Cost({CollectiveOp::kAllGather, Bytes(1 << 28), {group}});
    return (cost.time - cost.latency).value();
  };
  const double healthy = time_with({});
  CHECK(time_with({{"node0.nic1", "switch", 0.5}}) == Approx(2.0 * healthy));
  CHECK(time_with({{"node0.nic1", "switch", 0.0}}) > healthy);
  CHECK(time_with({{"node0.nic1", "switch", 0.0}}) <= 2.01 * healthy);
}

TEST_CASE("bytes over every cut between nodes cover what both sides must tell each other") {
  // What must leave a set of k of n members, per byte of size: their parts (all-gather), their sums of the others' parts
  // (reduce-scatter), a sum of everything (all-reduce), a part for every pair (all-to-all); a broadcast crosses one way.
  const auto least_out = [](CollectiveOp op, double k, double n) {
    switch (op) {
      case CollectiveOp::kAllGather: return k / n;
      case CollectiveOp::kReduceScatter: return (n - k) / n;
      case CollectiveOp::kAllReduce: return 1.0;
      case CollectiveOp::kAllToAll: return k * (n - k) / n;
      default: return 0.0;
    }
  };
  for (uint64_t draw = 0; draw < 30; ++draw) {
    const HardwareSpec h = Machine(draw);
    const auto nodes = static_cast<uint32_t>(2 + draw % 4);
    const auto n = static_cast<uint32_t>(h.node.accelerators) * nodes;
    const Topology topology(h, n);
    const CollectiveModel model(h, topology);
    const std::vector<uint32_t> group = toy::Ranks(n);
    constexpr double kSize = 1 << 24;
    for (const CollectiveOp op : kOps) {
      const CollectiveRequest request{op, Bytes(1 << 24), {group}};
      for (const CollectiveCost& cost : model.Options(request)) {
        const std::vector<LinkLoad> loads = LoadsOf(model.Messages(request, cost));
        for (uint32_t cut = 1; cut + 1 < (1u << nodes); ++cut) {  // every set of nodes; switches between nodes are outside
          const auto inside = [&](VertexId v) {
            const std::string name = topology.VertexName(v);
            return name.rfind("node", 0) == 0 && ((cut >> std::stoul(name.substr(4))) & 1) != 0;
          };
          double out = 0.0, in = 0.0;
          for (const LinkLoad& load : loads) {
            const Link& link = topology.links()[load.link];
            if (inside(link.from) && !inside(link.to)) out += load.bytes;
            if (!inside(link.from) && inside(link.to)) in += load.bytes;
          }
          const double k = static_cast<double>(std::popcount(cut)) * static_cast<double>(h.node.accelerators);
          INFO(draw << " " << Name(op) << " " << Name(cost.algorithm) << " " << nodes << " nodes, cut " << cut);
          CHECK(out >= kSize * least_out(op, k, n) * (1.0 - 1e-9));
          CHECK(in >= kSize * least_out(op, n - k, n) * (1.0 - 1e-9));
          if (op == CollectiveOp::kBroadcast) CHECK(out + in >= kSize * (1.0 - 1e-9));
        }
      }
    }
  }
}
