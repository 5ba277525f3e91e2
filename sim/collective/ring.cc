#include "sim/collective/ring.h"

#include <algorithm>

namespace simulate {

Chain AddRing(CollectiveOp op, const Placement& placement, double network_inflation, Traffic& traffic) {
  const auto n = static_cast<double>(placement.size);
  const double passes = op == CollectiveOp::kAllReduce ? 2.0 : 1.0;
  const bool whole = op == CollectiveOp::kBroadcast || op == CollectiveOp::kReduce;
  const double bytes = whole ? 1.0 : passes * (n - 1.0) / n;
  const double steps = passes * (n - 1.0);

  const size_t nodes = placement.nodes.size();
  Seconds hop;                // one step inside a node
  Seconds around_network;     // one step over every edge between nodes
  for (size_t k = 0; k < nodes; ++k) {
    const NodePart& part = placement.nodes[k];
    const auto r = static_cast<double>(part.members.size());
    const double inside = nodes == 1 ? 1.0 : (r - 1.0) / r;
    hop = std::max(hop, traffic.AddAround(part, bytes * inside));
    if (nodes > 1) around_network += traffic.AddBetween(part, placement.nodes[(k + 1) % nodes], bytes * network_inflation);
  }
  const double edges = nodes == 1 ? 0.0 : static_cast<double>(nodes);
  Chain chain;
  chain.network_hops = steps * edges / n;
  chain.network_latency = around_network * (steps / n);
  chain.scale_up_hops = steps - chain.network_hops;
  chain.scale_up_latency = hop * chain.scale_up_hops;
  return chain;
}

}  // namespace simulate
