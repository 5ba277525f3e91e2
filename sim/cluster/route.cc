#include <algorithm>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <boost/property_map/function_property_map.hpp>
#include <limits>
#include <functional>

#include "sim/base/check.h"
#include "sim/cluster/graph.h"

namespace simulate {
namespace {

// The time of one megabyte: latency decides between short ways, bandwidth between wide and narrow ones. Hosts and
// NICs are no thoroughfare: accelerators reach each other through them only where there is no other way.
double Weight(const Topology::Graph& graph, const Link& link) {
  constexpr double kProbeBytes = 1e6;
  constexpr double kDetour = 1.0;
  const auto awkward = [&](VertexId v) {
    return graph.vertices[v].kind == VertexKind::kHost || graph.vertices[v].kind == VertexKind::kNic;
  };
  const double detour = awkward(link.from) || awkward(link.to) ? kDetour : 0.0;
  return detour + link.latency.value() + kProbeBytes / link.bandwidth.value();
}

// Follows the tree back from `to` to `from`; both are offset by `first_*` where the tree is a node's.
bool AppendFromTree(const Topology::Graph& g, const RouteTree& tree, VertexId from, VertexId to, VertexId vertex_offset,
                    LinkId link_offset, std::vector<LinkId>* route) {
  const size_t begin = route->size();
  for (VertexId v = to; v != from;) {
    const LinkId link = tree[v];
    if (link == Topology::kNoLink) {
      route->resize(begin);
      return false;
    }
    route->push_back(link + link_offset);
    v = g.links[link].from - vertex_offset;
  }
  std::reverse(route->begin() + static_cast<std::ptrdiff_t>(begin), route->end());
  return true;
}

bool AppendLocal(const Topology::Graph& g, VertexId from, VertexId to, std::vector<LinkId>* route) {
  const uint32_t node = g.vertices[from].node;
  const VertexId base = node * g.node_vertices;
  return AppendFromTree(g, g.local_routes[from - base], from - base, to - base, 0, node * g.node_links, route);
}

// Up to the lowest common switch, and down again.
void AppendUpDown(const Topology::Graph& g, VertexId from, VertexId to, std::vector<LinkId>* route) {
  std::vector<VertexId> above;
  for (VertexId v = from;; v = g.parent[v]) {
    above.push_back(v);
    if (g.parent[v] == v) break;
  }
  std::vector<LinkId> down;
  VertexId v = to;
  for (; std::find(above.begin(), above.end(), v) == above.end(); v = g.parent[v]) down.push_back(g.down[v]);
  for (VertexId u = from; u != v; u = g.parent[u]) route->push_back(g.up[u]);
  route->insert(route->end(), down.rbegin(), down.rend());
}

}  // namespace

RouteTree ShortestRoutes(const Topology::Graph& graph, VertexId source, VertexId first, VertexId last) {
  const auto usable = [&](const BoostGraph::edge_descriptor& e) {
    const Link& link = graph.links[graph.graph[e].link];
    return link.bandwidth.value() > 0.0 && link.from >= first && link.from < last && link.to >= first && link.to < last;
  };
  const boost::filtered_graph<BoostGraph, std::function<bool(const BoostGraph::edge_descriptor&)>> view(graph.graph, usable);
  const size_t count = boost::num_vertices(graph.graph);
  std::vector<double> weight(graph.links.size());
  for (size_t i = 0; i < weight.size(); ++i) {
    weight[i] = graph.links[i].bandwidth.value() > 0.0 ? Weight(graph, graph.links[i]) : std::numeric_limits<double>::max();
  }
  std::vector<VertexId> predecessor(count);
  std::vector<double> distance(count);
  const auto weight_of = boost::make_function_property_map<BoostGraph::edge_descriptor>(
      [&](const BoostGraph::edge_descriptor& e) { return weight[graph.graph[e].link]; });
  boost::dijkstra_shortest_paths(
      view, source,
      boost::predecessor_map(boost::make_iterator_property_map(predecessor.begin(), boost::get(boost::vertex_index, view)))
          .distance_map(boost::make_iterator_property_map(distance.begin(), boost::get(boost::vertex_index, view)))
          .weight_map(weight_of));
  RouteTree tree(last - first, Topology::kNoLink);
  for (VertexId v = first; v < last; ++v) {
    if (v != source && predecessor[v] != v) tree[v - first] = graph.Between(predecessor[v], v);
  }
  return tree;
}

bool Topology::AppendRoute(VertexId from, VertexId to, std::vector<LinkId>* route) const {
  Graph& g = *graph_;
  if (from == to) return true;
  if (!g.hierarchical) {
    auto [it, fresh] = g.trees.try_emplace(from);
    const auto count = static_cast<VertexId>(g.vertices.size());
    if (fresh) it->second = ShortestRoutes(g, from, 0, count);
    return AppendFromTree(g, it->second, from, to, 0, 0, route);
  }
  if (g.vertices[from].node == g.vertices[to].node && g.vertices[from].node != kNoNode) {
    return AppendLocal(g, from, to, route);
  }
  // An accelerator leaves by its first exit, and is reached by its own.
  const auto exit_of = [&](VertexId v) {
    if (g.vertices[v].kind != VertexKind::kAccelerator) return v;
    return g.exits[g.vertices[v].index][0] + g.vertices[v].node * g.node_vertices;
  };
  const VertexId out = exit_of(from);
  const VertexId in = exit_of(to);
  if (out != from && !AppendLocal(g, from, out, route)) return false;
  AppendUpDown(g, out, in, route);
  return in == to || AppendLocal(g, in, to, route);
}

std::vector<LinkId> Topology::Route(uint32_t from, uint32_t to) const {
  std::vector<LinkId> route;
  const bool found = AppendRoute(vertex_of(from), vertex_of(to), &route);
  SIM_CHECK(found, "no route from ", VertexName(vertex_of(from)), " to ", VertexName(vertex_of(to)));
  return route;
}

}  // namespace simulate
