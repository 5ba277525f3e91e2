#include "sim/collective/nvls.h"

#include <algorithm>

#include "sim/collective/tree.h"

namespace simulate {
namespace {

// The switch that two members meet in; -1 if they are not one hop each from it.
int64_t Hub(const Topology& topology, uint32_t a, uint32_t b) {
  const std::vector<LinkId> route = topology.Route(a, b);
  if (route.size() != 2) return -1;
  const VertexId hub = topology.links()[route[0]].to;
  return topology.vertex_kind(hub) == VertexKind::kSwitch ? static_cast<int64_t>(hub) : -1;
}

}  // namespace

bool CanUseNvls(const Placement& placement, const Topology& topology) {
  constexpr size_t kFewest = 3;
  for (const NodePart& part : placement.nodes) {
    if (part.members.size() < kFewest) return false;
    const int64_t hub = Hub(topology, part.members[0], part.members[1]);
    if (hub < 0) return false;
  }
  return true;
}

Chain AddNvls(const Placement& placement, double inflation, Traffic& traffic) {
  Chain chain = AddTrees(placement, traffic);
  chain.network_hops *= 2.0;
  chain.network_latency *= 2.0;
  const Topology& topology = traffic.topology();
  for (const NodePart& part : placement.nodes) {
    const auto r = static_cast<double>(part.members.size());
    const double bytes = (1.0 + 1.0 / r) * inflation;
    for (size_t i = 0; i < part.members.size(); ++i) {
      const uint32_t next = part.members[(i + 1) % part.members.size()];
      const std::vector<LinkId> route = topology.Route(part.members[i], next);
      traffic.Add(route.front(), bytes);  // out of this member
      traffic.Add(route.back(), bytes);   // into the next
      chain.scale_up_latency = topology.links()[route.front()].latency * 4.0;
    }
  }
  chain.scale_up_hops = 2.0;
  return chain;
}

}  // namespace simulate
