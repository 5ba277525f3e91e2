#include <map>

#include "sim/base/check.h"
#include "sim/cluster/graph.h"

namespace simulate {
namespace {

VertexKind KindOf(const std::string& kind) {
  if (kind == "accelerator") return VertexKind::kAccelerator;
  if (kind == "nic") return VertexKind::kNic;
  if (kind == "host") return VertexKind::kHost;
  return VertexKind::kSwitch;
}

std::string NodeName(const std::string& vertex) {
  const size_t dot = vertex.find('.');
  return dot == std::string::npos ? "" : vertex.substr(0, dot);
}

}  // namespace

void AddExplicit(const FabricSpec& fabric, int64_t accelerators, Topology::Graph& graph) {
  graph.is_explicit = true;
  std::map<std::string, VertexId> by_name;
  std::map<std::string, uint32_t> node_by_name;
  for (const ExplicitVertex& v : fabric.vertices) {
    const VertexId id = graph.AddNamedVertex(KindOf(v.kind), v.name);
    by_name[v.name] = id;
    if (graph.vertices[id].kind != VertexKind::kAccelerator) continue;
    if (static_cast<int64_t>(graph.accelerator_vertex.size()) == accelerators) continue;
    // An accelerator whose name has no dot is a node of its own.
    const std::string node = NodeName(v.name).empty() ? v.name : NodeName(v.name);
    const auto next = static_cast<uint32_t>(node_by_name.size());
    const uint32_t index = node_by_name.try_emplace(node, next).first->second;
    graph.accelerator_vertex.push_back(id);
    graph.node_of.push_back(index);
  }
  for (const ExplicitLink& l : fabric.links) {
    SIM_CHECK(by_name.contains(l.from) && by_name.contains(l.to), "config/ checks the ends of links");
    graph.AddDuplex(by_name[l.from], by_name[l.to], l.link.bandwidth * l.link.efficiency, l.link.latency, l.link.kind);
  }
  graph.node_count = static_cast<uint32_t>(node_by_name.size());
  std::vector<uint32_t> members(graph.node_count, 0);
  for (size_t i = 0; i < graph.accelerator_vertex.size(); ++i) {
    graph.per_node = std::max(graph.per_node, ++members[graph.node_of[i]]);
    const VertexId v = graph.accelerator_vertex[i];
    std::vector<VertexId> exits;
    for (auto [e, end] = boost::out_edges(v, graph.graph); e != end; ++e) {
      const VertexId to = boost::target(*e, graph.graph);
      if (graph.vertices[to].kind == VertexKind::kNic) exits.push_back(to);
    }
    if (exits.empty()) exits.push_back(v);
    graph.exits.push_back(exits);
  }
}

}  // namespace simulate
