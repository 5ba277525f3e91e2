#include "sim/collective/tree.h"

#include <algorithm>

namespace simulate {

int64_t TreeParent(int64_t node, int64_t count) {
  if (node == 0) return -1;
  int64_t bit = 1;
  while ((node & bit) == 0) bit <<= 1;
  const int64_t up = (node ^ bit) | (bit << 1);
  return up < count ? up : node ^ bit;
}

int64_t SecondTreeParent(int64_t node, int64_t count) {
  if (count % 2 == 0) {
    const int64_t up = TreeParent(count - 1 - node, count);
    return up < 0 ? -1 : count - 1 - up;
  }
  const int64_t up = TreeParent((node - 1 + count) % count, count);
  return up < 0 ? -1 : (up + 1) % count;
}

Chain AddTrees(const Placement& placement, Traffic& traffic) {
  const auto count = static_cast<int64_t>(placement.nodes.size());
  Seconds longest_edge;
  int64_t depth = 0;
  for (int64_t k = 0; k < count; ++k) {
    for (const int64_t parent : {TreeParent(k, count), SecondTreeParent(k, count)}) {
      if (parent < 0) continue;
      longest_edge = std::max(longest_edge, traffic.AddBetween(placement.nodes[k], placement.nodes[parent], 0.5));
      traffic.AddBetween(placement.nodes[parent], placement.nodes[k], 0.5);
    }
    int64_t level = 0;
    for (int64_t v = k; v >= 0; v = TreeParent(v, count)) ++level;
    depth = std::max(depth, level - 1);
  }
  Chain chain;
  chain.network_hops = static_cast<double>(depth);
  chain.network_latency = longest_edge * static_cast<double>(depth);
  return chain;
}

Chain AddTreeAllReduce(const Placement& placement, Traffic& traffic) {
  Chain chain = AddTrees(placement, traffic);
  Seconds hop;
  size_t longest = 0;
  for (const NodePart& part : placement.nodes) {
    const auto r = static_cast<double>(part.members.size());
    // r-1 of r members pass S up and r-1 pass S down; which member is the head differs by channel.
    hop = std::max(hop, traffic.AddAround(part, 2.0 * (r - 1.0) / r));
    longest = std::max(longest, part.members.size());
  }
  chain.scale_up_hops = 2.0 * static_cast<double>(longest - 1);
  chain.scale_up_latency = hop * chain.scale_up_hops;
  chain.network_hops *= 2.0;
  chain.network_latency *= 2.0;
  return chain;
}

}  // namespace simulate
