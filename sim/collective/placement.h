// Where a group stands on the graph: which of its members share a node, and through which NICs it leaves.
//
// A group leaves a node by the NICs nearest to its members there: a group that fills a node uses all of
// them, one accelerator per node its own rail (as NCCL's graph search finds them).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/cluster/topology.h"

namespace simulate {

struct Exit {
  VertexId vertex = 0;             // a NIC, or the accelerator itself where the node has none
  std::vector<uint32_t> owners;    // members that are nearest to it
};

struct NodePart {
  uint32_t node = 0;
  std::vector<uint32_t> members;   // in group order
  std::vector<Exit> exits;
};

struct Placement {
  std::vector<NodePart> nodes;     // in order of first appearance in the group
  int64_t size = 0;                // members of the group

  [[nodiscard]] bool SpansNodes() const { return nodes.size() > 1; }
  // The fewest NICs that the group uses in a node.
  [[nodiscard]] int64_t MinExits() const;
};

// The same, leaving each node by the NICs of at most eight members.
[[nodiscard]] Placement WithFewExits(const Placement& placement);

[[nodiscard]] Placement Place(const Topology& topology, std::span<const uint32_t> group);

}  // namespace simulate
