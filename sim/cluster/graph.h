// The inside of a Topology. Private to cluster/.
//
// Vertices and links are numbered node by node, each node alike, then the fabric's. So a route inside
// one node is a route inside all of them, moved by a stride.
#pragma once

#include <boost/graph/adjacency_list.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/cluster/topology.h"

namespace simulate {

struct EdgeLink {
  LinkId link = 0;
};
using BoostGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, EdgeLink>;

inline constexpr uint32_t kNoNode = UINT32_MAX;

struct Vertex {
  VertexKind kind = VertexKind::kSwitch;
  uint32_t node = kNoNode;
  uint32_t index = 0;      // among its kind in the node; into Graph::names outside of nodes
};

// For every vertex, the last link of the shortest route to it; kNoLink where there is none.
using RouteTree = std::vector<LinkId>;

struct Topology::Graph {
  std::vector<Vertex> vertices;
  std::vector<Link> links;
  std::vector<std::string> link_kinds;
  std::vector<std::string> names;           // of vertices outside of nodes; all of them if explicit
  BoostGraph graph;

  std::vector<VertexId> accelerator_vertex;  // those in use
  std::vector<uint32_t> node_of;
  uint32_t per_node = 0;
  uint32_t node_count = 0;
  std::vector<std::vector<VertexId>> exits;  // by place in the node; by accelerator if explicit
  bool is_explicit = false;

  // Regular clusters only.
  uint32_t node_vertices = 0;
  uint32_t node_links = 0;
  std::vector<RouteTree> local_routes;       // by place of the source vertex in the node
  bool hierarchical = false;                 // up-down routing by the three below
  std::vector<VertexId> parent;              // by vertex; itself at the top
  std::vector<LinkId> up, down;              // links to and from the parent

  std::map<VertexId, RouteTree> trees;       // Dijkstra from a vertex, when it was needed

  VertexId AddVertex(VertexKind kind, uint32_t node, uint32_t index);
  VertexId AddNamedVertex(VertexKind kind, std::string name);
  void AddDuplex(VertexId a, VertexId b, BytesPerSecond bandwidth, Seconds latency, const std::string& kind);
  uint16_t KindIndex(const std::string& kind);
  [[nodiscard]] LinkId Between(VertexId from, VertexId to) const;
};

// build_node.cc: adds node `node` with its links, always in the same order.
void AddNode(const NodeSpec& spec, uint32_t node, Topology::Graph& graph);
// build_fabric.cc: links the nodes' NICs (or accelerators, where there are none) by the fabric.
void AddFabric(const HardwareSpec& hardware, Topology::Graph& graph);
// build_explicit.cc: the user's own graph.
void AddExplicit(const FabricSpec& fabric, int64_t accelerators, Topology::Graph& graph);
// route.cc: shortest routes from `source` over links that have bandwidth, among vertices [first, last).
RouteTree ShortestRoutes(const Topology::Graph& graph, VertexId source, VertexId first, VertexId last);

}  // namespace simulate
