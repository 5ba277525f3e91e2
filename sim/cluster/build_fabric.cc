#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/check.h"
#include "sim/cluster/graph.h"

namespace simulate {
namespace {

// A switch (or several that spread traffic evenly) with the bandwidth of all its ports towards the nodes.
struct Group {
  VertexId vertex = 0;
  BytesPerSecond below;
};

struct FabricBuilder {
  const HardwareSpec& hardware;
  Topology::Graph& graph;
  BytesPerSecond port;       // one NIC
  std::string kind;

  // The vertices of one node that face the fabric: its NICs, or its accelerators where it has none.
  [[nodiscard]] std::vector<VertexId> Ports(uint32_t node) const {
    std::vector<VertexId> ports;
    for (const auto& exits : graph.exits) {
      for (const VertexId exit : exits) {
        if (std::find(ports.begin(), ports.end(), exit) == ports.end()) ports.push_back(exit);
      }
    }
    std::sort(ports.begin(), ports.end());
    for (VertexId& p : ports) p += node * graph.node_vertices;
    return ports;
  }

  void Connect(VertexId port_vertex, VertexId leaf) const {
    graph.AddDuplex(port_vertex, leaf, port, hardware.fabric.link.latency * 0.5, kind);
  }
};

int64_t PortsOf(const FabricLevel& level, int64_t children) {
  return level.ports > 0 ? level.ports : std::max<int64_t>(children, 1);
}

// The lowest switches: one per `ports` nodes, or one per rail of so many nodes.
std::vector<Group> AddLeaves(const FabricBuilder& b, const FabricLevel& level, bool rails) {
  const auto node_ports = static_cast<uint32_t>(b.Ports(0).size());
  const int64_t nodes_per_leaf = PortsOf(level, b.graph.node_count);
  const int64_t groups = DivCeil(b.graph.node_count, nodes_per_leaf);
  const uint32_t leaves_per_group = rails ? node_ports : 1;
  std::vector<Group> leaves;
  for (int64_t g = 0; g < groups; ++g) {
    for (uint32_t rail = 0; rail < leaves_per_group; ++rail) {
      const std::string name = rails ? absl::StrCat(level.name, g, ".rail", rail) : absl::StrCat(level.name, g);
      const VertexId v = b.graph.AddNamedVertex(VertexKind::kSwitch, name);
      leaves.push_back({v, b.port * static_cast<double>(nodes_per_leaf * (rails ? 1 : node_ports))});
    }
  }
  for (uint32_t node = 0; node < b.graph.node_count; ++node) {
    const std::vector<VertexId> ports = b.Ports(node);
    const int64_t group = node / nodes_per_leaf;
    for (uint32_t p = 0; p < ports.size(); ++p) {
      b.Connect(ports[p], leaves[group * leaves_per_group + (rails ? p : 0)].vertex);
    }
  }
  return leaves;
}

Seconds LatencyOf(const FabricSpec& fabric, const FabricLevel& level) {
  return level.latency.value() > 0.0 ? level.latency : fabric.switch_latency;
}

// Fat tree and rail-optimized: level upon level until one switch is left. A link between two levels takes half of either's
// latency, so that a way up and down again has that of every switch but the first, which the port's link has.
void AddHierarchy(const FabricBuilder& b, bool rails) {
  std::vector<FabricLevel> levels = b.hardware.fabric.levels;
  if (levels.empty()) levels.push_back({"leaf", 0, 1.0});
  std::vector<Group> below = AddLeaves(b, levels[0], rails);
  for (size_t l = 1; below.size() > 1; ++l) {
    const FabricLevel level = l < levels.size() ? levels[l] : FabricLevel{l == 1 ? "spine" : "core", 0, 1.0, {}};
    const FabricLevel& lower = levels[std::min(l - 1, levels.size() - 1)];
    const Seconds latency = 0.5 * (LatencyOf(b.hardware.fabric, level) + LatencyOf(b.hardware.fabric, lower));
    // A level of rails counts its groups of leaves, not every rail.
    const int64_t width = rails && l == 1 ? static_cast<int64_t>(b.Ports(0).size()) : 1;
    const int64_t children = PortsOf(level, static_cast<int64_t>(below.size()) / width) * width;
    std::vector<Group> here;
    for (size_t i = 0; i < below.size(); ++i) {
      if (i % children == 0) {
        const auto index = here.size();
        here.push_back({b.graph.AddNamedVertex(VertexKind::kSwitch, absl::StrCat(level.name, index)), {}});
      }
      const BytesPerSecond uplink = below[i].below / lower.oversubscription;
      b.graph.AddDuplex(below[i].vertex, here.back().vertex, uplink, latency, b.kind);
      here.back().below += uplink;
    }
    below = std::move(here);
  }
}

// Nodes in a torus: each node's ports meet in one router, routers form rings in every dimension.
void AddTorusFabric(const FabricBuilder& b) {
  std::vector<VertexId> routers;
  for (uint32_t node = 0; node < b.graph.node_count; ++node) {
    routers.push_back(b.graph.AddNamedVertex(VertexKind::kSwitch, absl::StrCat("router", node)));
    for (const VertexId port : b.Ports(node)) b.Connect(port, routers.back());
  }
  const LinkSpec& link = b.hardware.fabric.link;
  uint32_t stride = 1;
  for (size_t d = b.hardware.fabric.torus.size(); d-- > 0;) {
    const auto size = static_cast<uint32_t>(b.hardware.fabric.torus[d]);
    for (uint32_t i = 0; i < routers.size() && size > 1; ++i) {
      const uint32_t place = i / stride % size;
      const uint32_t next = i + ((place + 1) % size - place) * stride;
      if ((size == 2 && place == 1) || next >= routers.size()) continue;
      b.graph.AddDuplex(routers[i], routers[next], link.bandwidth * link.efficiency, b.hardware.fabric.switch_latency,
                        link.kind);
    }
    stride *= size;
  }
}

// Groups of nodes under one switch each, every two groups linked: minimal routing.
void AddDragonfly(const FabricBuilder& b) {
  const FabricLevel level = b.hardware.fabric.levels.empty() ? FabricLevel{"group", 0, 1.0, {}} : b.hardware.fabric.levels[0];
  const std::vector<Group> groups = AddLeaves(b, level, /*rails=*/false);
  for (size_t i = 0; i < groups.size(); ++i) {
    for (size_t j = i + 1; j < groups.size(); ++j) {
      const double share = level.oversubscription * static_cast<double>(groups.size() - 1);
      b.graph.AddDuplex(groups[i].vertex, groups[j].vertex, groups[i].below / share, b.hardware.fabric.switch_latency,
                        b.kind);
    }
  }
}

}  // namespace

void AddFabric(const HardwareSpec& hardware, Topology::Graph& graph) {
  const NodeSpec& node = hardware.node;
  const LinkSpec& link = hardware.fabric.link;
  const bool own = link.bandwidth.value() > 0.0 && hardware.fabric.topology != FabricTopology::kTorus;
  const FabricBuilder builder{hardware, graph,
                              own ? link.bandwidth * link.efficiency : node.nic.bandwidth * node.nic.efficiency,
                              link.kind.empty() ? node.nic.kind : link.kind};
  switch (hardware.fabric.topology) {
    case FabricTopology::kNone:
      SIM_CHECK(graph.node_count == 1, "no fabric between ", graph.node_count, " nodes");
      return;
    case FabricTopology::kSwitch: {
      const VertexId hub = graph.AddNamedVertex(VertexKind::kSwitch, "switch");
      for (uint32_t n = 0; n < graph.node_count; ++n) {
        for (const VertexId port : builder.Ports(n)) builder.Connect(port, hub);
      }
      return;
    }
    case FabricTopology::kFatTree: AddHierarchy(builder, /*rails=*/false); return;
    case FabricTopology::kRailOptimized: AddHierarchy(builder, /*rails=*/true); return;
    case FabricTopology::kTorus: AddTorusFabric(builder); return;
    case FabricTopology::kDragonfly: AddDragonfly(builder); return;
    case FabricTopology::kExplicit: return;
  }
}

}  // namespace simulate
