#include "sim/collective/messages.h"

#include <algorithm>

#include "sim/base/check.h"
#include "sim/collective/placement.h"
#include "sim/collective/tree.h"

namespace simulate {
namespace {

class Expander {
 public:
  Expander(const HardwareSpec& hardware, const Topology& topology, const ExpandOptions& options)
      : topology_(topology),
        protocol_(hardware.library.protocols[static_cast<size_t>(options.protocol)]),
        inflation_(options.inflation > 0.0 ? options.inflation : 1.0 / protocol_.efficiency) {}

  // Adds a channel over the links collected since the last one; its dependencies are those added since then.
  uint32_t AddChannel(uint32_t messages, double bytes, bool network) {
    MessageChannel channel;
    channel.messages = messages;
    channel.bytes = bytes * inflation_;
    channel.latency = network ? protocol_.network_hop : protocol_.scale_up_hop;
    const double factor = network ? protocol_.network_latency_factor : 1.0;
    channel.first_link = links_done_;
    channel.link_count = static_cast<uint32_t>(schedule_.links.size()) - links_done_;
    for (uint32_t i = links_done_; i < schedule_.links.size(); ++i) {
      channel.latency += topology_.links()[schedule_.links[i]].latency * factor;
    }
    channel.first_dependency = dependencies_done_;
    channel.dependency_count = static_cast<uint32_t>(schedule_.dependencies.size()) - dependencies_done_;
    links_done_ = static_cast<uint32_t>(schedule_.links.size());
    dependencies_done_ = static_cast<uint32_t>(schedule_.dependencies.size());
    schedule_.channels.push_back(channel);
    return static_cast<uint32_t>(schedule_.channels.size()) - 1;
  }
  void DependOn(uint32_t channel, int32_t offset) { schedule_.dependencies.push_back({channel, offset}); }
  void Via(VertexId from, VertexId to) {
    const bool found = topology_.AppendRoute(from, to, &schedule_.links);
    SIM_CHECK(found, "no route from ", topology_.VertexName(from), " to ", topology_.VertexName(to));
  }
  // From member to member; over the network by the `lane`-th NIC of each.
  bool Between(uint32_t from, uint32_t to, size_t lane) {
    const VertexId a = topology_.vertex_of(from), b = topology_.vertex_of(to);
    const bool network = topology_.node_of(from) != topology_.node_of(to);
    if (!network) {
      Via(a, b);
      return false;
    }
    const std::vector<VertexId> out = topology_.ExitsOf(from), in = topology_.ExitsOf(to);
    Via(a, out[lane % out.size()]);
    Via(out[lane % out.size()], in[lane % in.size()]);
    Via(in[lane % in.size()], b);
    return true;
  }
  [[nodiscard]] uint32_t next_channel() const { return static_cast<uint32_t>(schedule_.channels.size()); }
  MessageSchedule Take() { return std::move(schedule_); }

 private:
  const Topology& topology_;
  const ProtocolSpec& protocol_;
  double inflation_;
  MessageSchedule schedule_;
  uint32_t links_done_ = 0;
  uint32_t dependencies_done_ = 0;
};

// The members in the order of one lane's ring: node by node; each node is left by the member of the same place
// as that by which the next is entered.
std::vector<uint32_t> RingOrder(const Placement& placement, size_t lane) {
  std::vector<uint32_t> order;
  size_t start = lane;
  for (const NodePart& part : placement.nodes) {
    const size_t r = part.members.size();
    for (size_t i = 0; i < r; ++i) order.push_back(part.members[(start + i) % r]);
    start += r - 1;
  }
  return order;
}

void AddRings(const Placement& placement, CollectiveOp op, double bytes, Expander* out) {
  const auto n = static_cast<uint32_t>(placement.size);
  const size_t members = placement.nodes[0].members.size();
  const size_t lanes = placement.SpansNodes() ? std::max(members, placement.nodes[0].exits.size()) : 1;
  const uint32_t steps = (op == CollectiveOp::kAllReduce ? 2 : 1) * (n - 1);
  for (size_t lane = 0; lane < lanes; ++lane) {
    const std::vector<uint32_t> order = RingOrder(placement, lane);
    const uint32_t first = out->next_channel();
    for (uint32_t i = 0; i < n; ++i) {
      const bool network = out->Between(order[i], order[(i + 1) % n], lane / members);
      out->DependOn(first + (i + n - 1) % n, -1);
      out->AddChannel(steps, bytes / n / static_cast<double>(lanes), network);
    }
  }
}

// Parents of all members in one tree: chains inside the nodes, heads by the binary tree.
std::vector<int64_t> MemberParents(const Placement& placement, bool second, std::vector<uint32_t>* members) {
  const auto nodes = static_cast<int64_t>(placement.nodes.size());
  std::vector<int64_t> head(static_cast<size_t>(nodes));
  members->clear();
  for (int64_t k = 0; k < nodes; ++k) {
    head[k] = static_cast<int64_t>(members->size());
    const std::vector<uint32_t>& part = placement.nodes[k].members;
    // The second tree enters a node by its last member.
    if (second) members->insert(members->end(), part.rbegin(), part.rend());
    else members->insert(members->end(), part.begin(), part.end());
  }
  std::vector<int64_t> parent(members->size());
  for (size_t i = 0; i < parent.size(); ++i) parent[i] = static_cast<int64_t>(i) - 1;
  for (int64_t k = 0; k < nodes; ++k) {
    const int64_t up = second ? SecondTreeParent(k, nodes) : TreeParent(k, nodes);
    parent[head[k]] = up < 0 ? -1 : head[up];
  }
  return parent;
}

void AddTree(const Placement& placement, bool second, double bytes, uint32_t chunks, Expander* out) {
  std::vector<uint32_t> members;
  const std::vector<int64_t> parent = MemberParents(placement, second, &members);
  const auto n = static_cast<uint32_t>(members.size());
  // Channels are numbered before they are made: up, in order of member, then down; the root has neither.
  std::vector<uint32_t> up(n, 0), down(n, 0);
  uint32_t next = out->next_channel();
  for (uint32_t i = 0; i < n; ++i) up[i] = parent[i] < 0 ? 0 : next++;
  for (uint32_t i = 0; i < n; ++i) down[i] = parent[i] < 0 ? 0 : next++;
  std::vector<std::vector<uint32_t>> children(n);
  for (uint32_t i = 0; i < n; ++i) {
    if (parent[i] >= 0) children[static_cast<size_t>(parent[i])].push_back(i);
  }
  for (uint32_t i = 0; i < n; ++i) {
    if (parent[i] < 0) continue;
    const bool network = out->Between(members[i], members[static_cast<size_t>(parent[i])], 0);
    for (const uint32_t child : children[i]) out->DependOn(up[child], 0);
    out->AddChannel(chunks, bytes / chunks, network);
  }
  for (uint32_t i = 0; i < n; ++i) {
    if (parent[i] < 0) continue;
    const auto p = static_cast<size_t>(parent[i]);
    const bool network = out->Between(members[p], members[i], 0);
    if (parent[p] >= 0) {
      out->DependOn(down[p], 0);
    } else {
      for (const uint32_t child : children[p]) out->DependOn(up[child], 0);
    }
    out->AddChannel(chunks, bytes / chunks, network);
  }
}

}  // namespace

MessageSchedule ExpandMessages(const HardwareSpec& hardware, const Topology& topology, CollectiveOp op,
                               Algorithm algorithm, std::span<const uint32_t> group, Bytes bytes,
                               const ExpandOptions& options) {
  Expander expander(hardware, topology, options);
  const Placement placement = Place(topology, group);
  const auto size = static_cast<double>(bytes.value());
  const size_t n = group.size();
  switch (algorithm) {
    case Algorithm::kRing: AddRings(placement, op, size, &expander); break;
    case Algorithm::kTree:
      SIM_CHECK(op == CollectiveOp::kAllReduce, "trees reduce and broadcast");
      AddTree(placement, false, size * 0.5, options.chunks, &expander);
      AddTree(placement, true, size * 0.5, options.chunks, &expander);
      break;
    case Algorithm::kPairwise:
      for (size_t i = 0; i < n; ++i) {
        const size_t last = op == CollectiveOp::kSendRecv ? 1 : n - 1;
        for (size_t d = 1; d <= last; ++d) {
          const bool network = expander.Between(group[i], group[(i + d) % n], 0);
          expander.AddChannel(1, op == CollectiveOp::kSendRecv ? size : size / static_cast<double>(n), network);
        }
      }
      break;
    default: SIM_CHECK(false, Name(algorithm), " has no messages");
  }
  return expander.Take();
}

}  // namespace simulate
