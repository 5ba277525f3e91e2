#include "sim/cluster/topology.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/check.h"
#include "sim/cluster/graph.h"

namespace simulate {

VertexId Topology::Graph::AddVertex(VertexKind kind, uint32_t node, uint32_t index) {
  vertices.push_back({kind, node, index});
  return static_cast<VertexId>(boost::add_vertex(graph));
}

VertexId Topology::Graph::AddNamedVertex(VertexKind kind, std::string name) {
  names.push_back(std::move(name));
  return AddVertex(kind, kNoNode, static_cast<uint32_t>(names.size() - 1));
}

uint16_t Topology::Graph::KindIndex(const std::string& kind) {
  const auto it = std::find(link_kinds.begin(), link_kinds.end(), kind);
  if (it == link_kinds.end()) link_kinds.push_back(kind);
  return static_cast<uint16_t>(std::find(link_kinds.begin(), link_kinds.end(), kind) - link_kinds.begin());
}

void Topology::Graph::AddDuplex(VertexId a, VertexId b, BytesPerSecond bandwidth, Seconds latency,
                                const std::string& kind) {
  const uint16_t kind_index = KindIndex(kind);
  for (const auto& [from, to] : {std::pair{a, b}, std::pair{b, a}}) {
    const auto id = static_cast<LinkId>(links.size());
    links.push_back({from, to, bandwidth, latency, kind_index});
    boost::add_edge(from, to, EdgeLink{id}, graph);
  }
}

LinkId Topology::Graph::Between(VertexId from, VertexId to) const {
  LinkId best = kNoLink;
  for (auto [e, end] = boost::out_edges(from, graph); e != end; ++e) {
    if (boost::target(*e, graph) != to) continue;
    const LinkId link = graph[*e].link;
    if (best == kNoLink || links[link].bandwidth > links[best].bandwidth) best = link;
  }
  return best;
}

namespace {

// The parent of a vertex is the switch above it; a fabric of levels numbers children before parents.
void FindParents(Topology::Graph& g) {
  const auto count = static_cast<VertexId>(g.vertices.size());
  g.parent.resize(count);
  g.up.assign(count, Topology::kNoLink);
  g.down.assign(count, Topology::kNoLink);
  for (VertexId v = 0; v < count; ++v) g.parent[v] = v;
  for (LinkId i = 0; i < g.links.size(); i += 2) {  // of each pair the first goes up
    const Link& link = g.links[i];
    if (g.vertices[link.to].node != kNoNode) continue;
    g.parent[link.from] = link.to;
    g.up[link.from] = i;
    g.down[link.from] = i + 1;
  }
}

bool IsHierarchy(FabricTopology topology) {
  return topology == FabricTopology::kNone || topology == FabricTopology::kSwitch || topology == FabricTopology::kFatTree ||
         topology == FabricTopology::kRailOptimized;
}

void BuildRegular(const HardwareSpec& hardware, int64_t accelerators, Topology::Graph& g) {
  const int64_t per_node = hardware.node.accelerators;
  g.per_node = static_cast<uint32_t>(per_node);
  g.node_count = static_cast<uint32_t>(DivCeil(accelerators, per_node));
  for (uint32_t n = 0; n < g.node_count; ++n) {
    AddNode(hardware.node, n, g);
    if (n == 0) {
      g.node_vertices = static_cast<uint32_t>(g.vertices.size());
      g.node_links = static_cast<uint32_t>(g.links.size());
      for (VertexId v = 0; v < g.node_vertices; ++v) g.local_routes.push_back(ShortestRoutes(g, v, 0, g.node_vertices));
    }
  }
  for (int64_t i = 0; i < accelerators; ++i) {
    g.accelerator_vertex.push_back(static_cast<VertexId>(i / per_node * g.node_vertices + i % per_node));
    g.node_of.push_back(static_cast<uint32_t>(i / per_node));
  }
  AddFabric(hardware, g);
  g.hierarchical = IsHierarchy(hardware.fabric.topology);
  if (g.hierarchical) FindParents(g);
}

void ApplyChanges(std::span<const LinkChange> changes, const Topology& topology, Topology::Graph& g) {
  if (changes.empty()) return;
  std::map<std::string, VertexId> by_name;
  for (VertexId v = 0; v < g.vertices.size(); ++v) by_name[topology.VertexName(v)] = v;
  for (const LinkChange& change : changes) {
    const auto from = by_name.find(change.from);
    const auto to = by_name.find(change.to);
    SIM_CHECK(from != by_name.end() && to != by_name.end(), "no link ", change.from, " -> ", change.to);
    for (Link& link : g.links) {
      const bool same = (link.from == from->second && link.to == to->second) ||
                        (link.from == to->second && link.to == from->second);
      if (same) link.bandwidth *= change.bandwidth;
    }
    if (change.bandwidth == 0.0) g.hierarchical = false;  // ways around it are found by Dijkstra
  }
}

}  // namespace

Topology::Topology(const HardwareSpec& hardware, int64_t accelerators, std::span<const LinkChange> changes)
    : graph_(std::make_unique<Graph>()) {
  SIM_CHECK(accelerators > 0, "a cluster without accelerators");
  if (hardware.fabric.topology == FabricTopology::kExplicit) {
    AddExplicit(hardware.fabric, accelerators, *graph_);
  } else {
    BuildRegular(hardware, accelerators, *graph_);
  }
  SIM_CHECK(static_cast<int64_t>(graph_->accelerator_vertex.size()) == accelerators, "too few accelerators");
  ApplyChanges(changes, *this, *graph_);
}

Topology::~Topology() = default;
Topology::Topology(Topology&&) noexcept = default;
Topology& Topology::operator=(Topology&&) noexcept = default;

uint32_t Topology::accelerator_count() const { return static_cast<uint32_t>(graph_->accelerator_vertex.size()); }
uint32_t Topology::accelerators_per_node() const { return graph_->per_node; }
uint32_t Topology::node_count() const { return graph_->node_count; }
uint32_t Topology::node_of(uint32_t accelerator) const { return graph_->node_of[accelerator]; }
std::span<const Link> Topology::links() const { return graph_->links; }
const std::vector<std::string>& Topology::link_kinds() const { return graph_->link_kinds; }
uint32_t Topology::vertex_count() const { return static_cast<uint32_t>(graph_->vertices.size()); }
VertexKind Topology::vertex_kind(VertexId vertex) const { return graph_->vertices[vertex].kind; }
VertexId Topology::vertex_of(uint32_t accelerator) const { return graph_->accelerator_vertex[accelerator]; }
LinkId Topology::LinkBetween(VertexId from, VertexId to) const { return graph_->Between(from, to); }

bool Topology::HasLink(const std::string& from, const std::string& to) const {
  return std::any_of(graph_->links.begin(), graph_->links.end(),
                     [&](const Link& link) { return VertexName(link.from) == from && VertexName(link.to) == to; });
}

std::vector<VertexId> Topology::ExitsOf(uint32_t accelerator) const {
  const Graph& g = *graph_;
  std::vector<VertexId> exits = g.is_explicit ? g.exits[accelerator] : g.exits[accelerator % g.per_node];
  if (!g.is_explicit) {
    for (VertexId& v : exits) v += g.node_of[accelerator] * g.node_vertices;
  }
  if (g.hierarchical) return exits;
  // An exit whose every link out of the node has failed is none.
  const VertexId self = g.accelerator_vertex[accelerator];
  std::vector<VertexId> alive;
  for (const VertexId v : exits) {
    bool usable = v == self;
    for (auto [e, end] = boost::out_edges(v, g.graph); e != end; ++e) {
      const Link& link = g.links[g.graph[*e].link];
      usable = usable || (link.to != self && link.bandwidth.value() > 0.0 &&
                          g.vertices[link.to].kind != VertexKind::kAccelerator);
    }
    if (usable) alive.push_back(v);
  }
  return alive.empty() ? std::vector<VertexId>{self} : alive;
}

std::string Topology::VertexName(VertexId vertex) const {
  const Vertex& v = graph_->vertices[vertex];
  if (v.node == kNoNode) return graph_->names[v.index];
  switch (v.kind) {
    case VertexKind::kAccelerator: return absl::StrCat("node", v.node, ".gpu", v.index);
    case VertexKind::kNic: return absl::StrCat("node", v.node, ".nic", v.index);
    case VertexKind::kSwitch: return absl::StrCat("node", v.node, ".switch");
    case VertexKind::kHost: return absl::StrCat("node", v.node, ".host");
  }
  return "";
}

std::string Topology::LinkName(LinkId link) const {
  const Link& l = graph_->links[link];
  return absl::StrCat(VertexName(l.from), " -> ", VertexName(l.to));
}

uint64_t Topology::PlacementSignature(std::span<const uint32_t> accelerators) const {
  const Graph& g = *graph_;
  uint64_t hash = 0xCBF29CE484222325ULL;  // FNV-1a over small numbers
  const auto mix = [&hash](uint64_t value) { hash = (hash ^ value) * 0x100000001B3ULL; };
  std::map<std::pair<int, uint64_t>, uint64_t> seen;  // names by order of appearance
  const auto rank = [&seen](int what, uint64_t value) {
    return seen.try_emplace({what, value}, seen.size()).first->second;
  };
  for (size_t i = 0; i < accelerators.size(); ++i) {
    const uint32_t a = accelerators[i];
    const VertexId v = g.accelerator_vertex[a];
    mix(rank(0, g.node_of[a]));
    mix(rank(-1, ExitsOf(a).front()));
    if (i > 0 && g.node_of[accelerators[i - 1]] == g.node_of[a]) {  // direct links differ in meshes and tori
      const LinkId direct = g.Between(g.accelerator_vertex[accelerators[i - 1]], v);
      mix(direct == kNoLink ? 0 : static_cast<uint64_t>(g.links[direct].bandwidth.value()));
    }
    if (!g.hierarchical || g.node_count == 1) continue;
    VertexId up = ExitsOf(a).front();
    for (int level = 1; g.parent[up] != up; ++level) {
      up = g.parent[up];
      mix(rank(level, up));
    }
  }
  return hash;
}

}  // namespace simulate
