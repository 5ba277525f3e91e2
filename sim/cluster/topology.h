// cluster/ - the hardware graph: accelerators, switches, NICs, hosts and the links between them.
//
// Built from a HardwareSpec; a Boost.Graph adjacency list behind this header. Links are directed
// (one per direction). Routes are computed per class of endpoint pair, not per pair:
//   inside a node    Dijkstra over one node, the same for all nodes;
//   between nodes    up to the lowest common switch and down again (a level's switches that spread
//                    traffic evenly are one vertex, its links one link of their joint bandwidth);
//                    Dijkstra over the switches where the fabric is not a hierarchy or has failures.
// A route weighs its links by their latency plus the time of 1 MB, and passes through hosts and NICs only
// where there is no other way; equal routes: lowest link first.
//
// Absent on purpose: packets, queues, adaptive routing. Traffic is a fluid.
// Routes are cached: one Topology serves one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/base/units.h"
#include "sim/spec/cluster.h"

namespace simulate {

using LinkId = uint32_t;
using VertexId = uint32_t;

enum class VertexKind : uint8_t { kAccelerator, kSwitch, kNic, kHost };

struct Link {
  VertexId from = 0;
  VertexId to = 0;
  BytesPerSecond bandwidth;   // achievable payload: datasheet times efficiency
  Seconds latency;
  uint16_t kind = 0;          // into Topology::link_kinds()
};

// What is left of a link's bandwidth, both ways; 0: it has failed, and routes avoid it.
struct LinkChange {
  std::string from;
  std::string to;
  double bandwidth = 1.0;
};

class Topology {
 public:
  // REQUIRES: the hardware can hold `accelerators` (config/read_cluster.h, CheckClusterSize, says why not).
  Topology(const HardwareSpec& hardware, int64_t accelerators, std::span<const LinkChange> changes = {});
  ~Topology();
  Topology(Topology&&) noexcept;
  Topology& operator=(Topology&&) noexcept;

  [[nodiscard]] uint32_t accelerator_count() const;
  [[nodiscard]] uint32_t accelerators_per_node() const;
  [[nodiscard]] uint32_t node_count() const;
  [[nodiscard]] uint32_t node_of(uint32_t accelerator) const;
  [[nodiscard]] std::span<const Link> links() const;
  [[nodiscard]] const std::vector<std::string>& link_kinds() const;
  [[nodiscard]] std::string LinkName(LinkId link) const;     // "node0.gpu3 -> node0.nvswitch"
  [[nodiscard]] std::string VertexName(VertexId vertex) const;
  [[nodiscard]] uint32_t vertex_count() const;
  [[nodiscard]] VertexKind vertex_kind(VertexId vertex) const;
  [[nodiscard]] VertexId vertex_of(uint32_t accelerator) const;
  // Where an accelerator's traffic leaves its node: its NICs, or itself if there are none.
  [[nodiscard]] std::vector<VertexId> ExitsOf(uint32_t accelerator) const;
  // The link between two vertices; none if they are not neighbours.
  static constexpr LinkId kNoLink = UINT32_MAX;
  [[nodiscard]] LinkId LinkBetween(VertexId from, VertexId to) const;
  [[nodiscard]] bool HasLink(const std::string& from, const std::string& to) const;
  // Links from one accelerator to another, in order.
  [[nodiscard]] std::vector<LinkId> Route(uint32_t from, uint32_t to) const;
  // The same between any two vertices, added to `route`. False if there is no way.
  bool AppendRoute(VertexId from, VertexId to, std::vector<LinkId>* route) const;
  // Equal for two groups that are placed alike on the graph (same pattern of nodes, rails and leaves).
  [[nodiscard]] uint64_t PlacementSignature(std::span<const uint32_t> accelerators) const;

  struct Graph;  // cluster/graph.h

 private:
  std::unique_ptr<Graph> graph_;
};

}  // namespace simulate
