// What a collective puts on each link, per byte of its size; filled by the algorithms.
//
// Every algorithm is described by two things: the bytes on each link (from which the transfer time
// follows) and the longest chain of hops (from which the latency follows).
#pragma once

#include <cstdint>
#include <vector>

#include "sim/collective/placement.h"
#include "sim/spec/collective.h"

namespace simulate {

class Traffic {
 public:
  explicit Traffic(const Topology& topology) : topology_(topology), bytes_(topology.links().size(), 0.0) {}

  void Add(LinkId link, double bytes);
  void Clear();  // in the time that the links in use take, not all of them
  // Along the route between two vertices; returns its latency.
  Seconds AddRoute(VertexId from, VertexId to, double bytes);
  // From one node to another, spread over the NICs that the group uses in each; returns the latency of one way.
  Seconds AddBetween(const NodePart& from, const NodePart& to, double bytes);
  // Around the members of one node, `bytes` out of each: over the switch, or over all direct links between
  // members in proportion to their bandwidth (NCCL lays several rings so that all links are used).
  // Returns the latency of one hop.
  Seconds AddAround(const NodePart& part, double bytes);

  [[nodiscard]] double bytes(LinkId link) const { return bytes_[link]; }
  [[nodiscard]] const std::vector<LinkId>& used() const { return used_; }
  [[nodiscard]] const Topology& topology() const { return topology_; }

 private:
  bool AddOverDirectLinks(const NodePart& part, double bytes, Seconds* latency);
  const Topology& topology_;
  std::vector<double> bytes_;   // by link
  std::vector<LinkId> used_;    // links with bytes, in order of first use
  std::vector<LinkId> route_;
};

// The longest chain of dependent hops.
struct Chain {
  double scale_up_hops = 0.0;
  double network_hops = 0.0;
  Seconds scale_up_latency;     // of all its hops inside nodes together, hardware only
  Seconds network_latency;      // of all its hops between nodes together, hardware only
};

}  // namespace simulate
