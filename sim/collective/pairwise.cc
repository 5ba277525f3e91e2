#include "sim/collective/pairwise.h"

#include <algorithm>

namespace simulate {
namespace {

constexpr size_t kExactNodes = 64;

}  // namespace

double ProxyHops(const Placement& placement) {
  const double remote = static_cast<double>(placement.size) - static_cast<double>(placement.nodes[0].members.size());
  return std::max(1.0, remote / 2.0);
}

Chain AddAllToAll(const Placement& placement, double network_inflation, Traffic& traffic) {
  const Topology& topology = traffic.topology();
  const auto n = static_cast<double>(placement.size);
  const size_t nodes = placement.nodes.size();
  Chain chain;
  Seconds hop, network;
  for (size_t k = 0; k < nodes; ++k) {
    const NodePart& part = placement.nodes[k];
    for (const uint32_t from : part.members) {
      for (const uint32_t to : part.members) {
        if (from == to) continue;
        hop = std::max(hop, traffic.AddRoute(topology.vertex_of(from), topology.vertex_of(to), 1.0 / n));
      }
    }
    const size_t stride = nodes <= kExactNodes ? 1 : nodes / kExactNodes;
    const double weight = nodes == 1 ? 0.0 : static_cast<double>(nodes - 1) / static_cast<double>((nodes - 2) / stride + 1);
    for (size_t d = 1; d < nodes; d += stride) {
      const NodePart& other = placement.nodes[(k + d) % nodes];
      const double pairs = static_cast<double>(part.members.size()) * static_cast<double>(other.members.size());
      network = std::max(network, traffic.AddBetween(part, other, weight * pairs / n * network_inflation));
    }
  }
  chain.scale_up_hops = placement.nodes[0].members.size() > 1 ? 1.0 : 0.0;
  chain.scale_up_latency = hop;
  chain.network_hops = nodes > 1 ? ProxyHops(placement) : 0.0;
  chain.network_latency = network;
  return chain;
}

Chain AddShift(const Placement& placement, double network_inflation, Traffic& traffic) {
  std::vector<uint32_t> members;
  for (const NodePart& part : placement.nodes) members.insert(members.end(), part.members.begin(), part.members.end());
  Chain longest;
  for (size_t i = 0; i < members.size(); ++i) {
    const Chain chain = AddSend(members[i], members[(i + 1) % members.size()], network_inflation, traffic);
    if (chain.network_latency + chain.scale_up_latency > longest.network_latency + longest.scale_up_latency) longest = chain;
  }
  return longest;
}

Chain AddSend(uint32_t from, uint32_t to, double network_inflation, Traffic& traffic) {
  const Topology& topology = traffic.topology();
  Chain chain;
  if (topology.node_of(from) == topology.node_of(to)) {
    chain.scale_up_hops = 1.0;
    chain.scale_up_latency = traffic.AddRoute(topology.vertex_of(from), topology.vertex_of(to), 1.0);
    return chain;
  }
  const uint32_t sender[] = {from};
  const uint32_t receiver[] = {to};
  const Placement a = Place(topology, sender);
  const Placement b = Place(topology, receiver);
  chain.network_hops = 1.0;
  chain.network_latency = traffic.AddBetween(a.nodes[0], b.nodes[0], network_inflation);
  return chain;
}

Chain AddMesh(CollectiveOp op, const Placement& placement, Traffic& traffic) {
  Chain chain = AddAllToAll(placement, 1.0, traffic);
  if (op != CollectiveOp::kAllReduce) return chain;
  AddAllToAll(placement, 1.0, traffic);
  chain.scale_up_hops *= 2.0;
  chain.network_hops *= 2.0;
  chain.scale_up_latency *= 2.0;
  chain.network_latency *= 2.0;
  return chain;
}

Chain AddHierarchical(CollectiveOp op, const Placement& placement, Traffic& traffic) {
  const double passes = op == CollectiveOp::kAllReduce ? 2.0 : 1.0;
  const auto nodes = static_cast<double>(placement.nodes.size());
  size_t widest = 0;
  Chain chain;
  Seconds hop, around;
  for (size_t k = 0; k < placement.nodes.size(); ++k) {
    const NodePart& part = placement.nodes[k];
    const auto r = static_cast<double>(part.members.size());
    hop = std::max(hop, traffic.AddAround(part, passes * (r - 1.0) / r));
    widest = std::max(widest, part.members.size());
    if (placement.nodes.size() > 1) {
      const NodePart& next = placement.nodes[(k + 1) % placement.nodes.size()];
      around += traffic.AddBetween(part, next, passes * (nodes - 1.0) / nodes);
    }
  }
  chain.scale_up_hops = passes * static_cast<double>(widest - 1);
  chain.scale_up_latency = hop * chain.scale_up_hops;
  chain.network_hops = passes * (nodes - 1.0);
  chain.network_latency = around * (passes * (nodes - 1.0) / nodes);
  return chain;
}

}  // namespace simulate
