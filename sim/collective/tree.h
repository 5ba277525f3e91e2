// Double binary tree over nodes, a chain inside each node: all-reduce as NCCL's Tree.
//
// Two trees, each for half of the data, such that a node that is inside one is a leaf of the other
// (Sanders, Speck, Traeff 2009; NCCL src/graph/trees.cc). Every edge carries its half up (reduce) and
// down (broadcast). So a node of a large tree puts 2*S on its NICs, as in a ring, but two nodes only
// S: two-node measurements overstate. 2*((r-1) hops in the node + log2(N) over the network).
#pragma once

#include <cstdint>

#include "sim/collective/traffic.h"

namespace simulate {

// Parent of `node` in the first tree over `count` nodes; -1 for its root.
[[nodiscard]] int64_t TreeParent(int64_t node, int64_t count);
// The same in the second tree: mirrored for even counts, shifted by one for odd ones.
[[nodiscard]] int64_t SecondTreeParent(int64_t node, int64_t count);

// Adds what both trees put on the network, per byte of the collective's size; returns hops and latency
// of one way from the deepest node to the root.
Chain AddTrees(const Placement& placement, Traffic& traffic);

// The whole all-reduce: chains in the nodes and trees between them.
Chain AddTreeAllReduce(const Placement& placement, Traffic& traffic);

}  // namespace simulate
