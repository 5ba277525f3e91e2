#include "sim/collective/placement.h"

#include <algorithm>
#include <map>

namespace simulate {

int64_t Placement::MinExits() const {
  size_t least = nodes.empty() ? 0 : nodes[0].exits.size();
  for (const NodePart& part : nodes) least = std::min(least, part.exits.size());
  return static_cast<int64_t>(least);
}

Placement WithFewExits(const Placement& placement) {
  constexpr size_t kMembers = 8;
  Placement few = placement;
  for (NodePart& part : few.nodes) {
    if (part.members.size() <= kMembers) continue;
    part.exits.resize(std::max<size_t>(1, part.exits.size() * kMembers / part.members.size()));
  }
  return few;
}

Placement Place(const Topology& topology, std::span<const uint32_t> group) {
  Placement placement;
  placement.size = static_cast<int64_t>(group.size());
  std::map<uint32_t, size_t> index_of_node;
  for (const uint32_t member : group) {
    const uint32_t node = topology.node_of(member);
    const auto [it, fresh] = index_of_node.try_emplace(node, placement.nodes.size());
    if (fresh) placement.nodes.push_back({node, {}, {}});
    placement.nodes[it->second].members.push_back(member);
  }
  for (NodePart& part : placement.nodes) {
    for (const uint32_t member : part.members) {
      for (const VertexId vertex : topology.ExitsOf(member)) {
        auto it = std::find_if(part.exits.begin(), part.exits.end(), [&](const Exit& e) { return e.vertex == vertex; });
        if (it == part.exits.end()) it = part.exits.insert(part.exits.end(), {vertex, {}});
        it->owners.push_back(member);
      }
    }
    // Rails are paired by their order in the node, whatever the order of the group's members.
    std::sort(part.exits.begin(), part.exits.end(), [](const Exit& a, const Exit& b) { return a.vertex < b.vertex; });
  }
  return placement;
}

}  // namespace simulate
