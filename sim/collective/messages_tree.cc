// Trees and NVLS, message by message.
#include <algorithm>

#include "sim/base/check.h"
#include "sim/collective/expander.h"
#include "sim/collective/tree.h"

namespace simulate {
namespace {

// Parents of all members in one tree: chains inside the nodes, heads by the binary tree. The chain of a node begins at
// another member in every lane, and the second tree goes along it backwards.
std::vector<int64_t> MemberParents(const Placement& placement, bool second, size_t lane, std::vector<uint32_t>* members) {
  const auto nodes = static_cast<int64_t>(placement.nodes.size());
  std::vector<int64_t> head(static_cast<size_t>(nodes));
  members->clear();
  for (int64_t k = 0; k < nodes; ++k) {
    head[k] = static_cast<int64_t>(members->size());
    const std::vector<uint32_t>& part = placement.nodes[k].members;
    for (size_t i = 0; i < part.size(); ++i) {
      members->push_back(part[(second ? lane + part.size() - i : lane + i) % part.size()]);
    }
  }
  std::vector<int64_t> parent(members->size());
  for (size_t i = 0; i < parent.size(); ++i) parent[i] = static_cast<int64_t>(i) - 1;
  for (int64_t k = 0; k < nodes; ++k) {
    const int64_t up = second ? SecondTreeParent(k, nodes) : TreeParent(k, nodes);
    parent[head[k]] = up < 0 ? -1 : head[up];
  }
  return parent;
}

int64_t Depth(const std::vector<int64_t>& parent) {
  int64_t deepest = 0;
  for (size_t i = 0; i < parent.size(); ++i) {
    int64_t level = 0;
    for (int64_t v = parent[i]; v >= 0; v = parent[static_cast<size_t>(v)]) ++level;
    deepest = std::max(deepest, level);
  }
  return deepest;
}

// What goes up and down one tree: channel up[i] from i to its parent, down[i] back; the root has neither.
struct TreeChannels {
  std::vector<uint32_t> up, down;
};

// `ready[i]`: what member i itself puts in, chunk by chunk; none where it has it from the start.
TreeChannels AddTree(const std::vector<uint32_t>& members, const std::vector<int64_t>& parent,
                     const std::vector<int64_t>& ready, double bytes, uint32_t chunks, size_t nic, Expander* out) {
  const auto n = static_cast<uint32_t>(members.size());
  TreeChannels tree{std::vector<uint32_t>(n, 0), std::vector<uint32_t>(n, 0)};
  uint32_t next = out->next_channel();  // channels are numbered before they are made: up, in order of member, then down
  for (uint32_t i = 0; i < n; ++i) tree.up[i] = parent[i] < 0 ? 0 : next++;
  for (uint32_t i = 0; i < n; ++i) tree.down[i] = parent[i] < 0 ? 0 : next++;
  std::vector<std::vector<uint32_t>> children(n);
  for (uint32_t i = 0; i < n; ++i) {
    if (parent[i] >= 0) children[static_cast<size_t>(parent[i])].push_back(i);
  }
  const auto wait_for_sum = [&](size_t member) {
    for (const uint32_t child : children[member]) out->DependOn(tree.up[child], 0);
    if (!ready.empty()) out->DependOn(static_cast<uint32_t>(ready[member]), 0);
  };
  for (uint32_t i = 0; i < n; ++i) {
    if (parent[i] < 0) continue;
    wait_for_sum(i);
    out->Hop(members[i], members[static_cast<size_t>(parent[i])], nic);
    out->AddChannel(chunks, bytes / chunks);
  }
  for (uint32_t i = 0; i < n; ++i) {
    if (parent[i] < 0) continue;
    const auto p = static_cast<size_t>(parent[i]);
    if (parent[p] >= 0) out->DependOn(tree.down[p], 0);
    else wait_for_sum(p);
    out->Hop(members[p], members[i], nic);
    out->AddChannel(chunks, bytes / chunks);
  }
  return tree;
}

// The links of a member to and from the switch of its node.
struct Port {
  LinkId out = 0, in = 0;
};

Port PortOf(const Topology& topology, uint32_t member, uint32_t neighbour) {
  const std::vector<LinkId> there = topology.Route(member, neighbour), back = topology.Route(neighbour, member);
  return {there.front(), back.back()};
}

// By node and member: the channel whose k-th message brings the member its part of chunk k.
using Parts = std::vector<std::vector<uint32_t>>;

std::vector<Port> PortsOf(const std::vector<uint32_t>& members, const Topology& topology) {
  std::vector<Port> ports;
  for (size_t i = 0; i < members.size(); ++i) ports.push_back(PortOf(topology, members[i], members[(i + 1) % members.size()]));
  return ports;
}

std::vector<uint32_t> AddReduce(const std::vector<uint32_t>& members, double bytes, uint32_t chunks, Expander* out) {
  const std::vector<Port> ports = PortsOf(members, out->topology());
  const uint32_t first = out->next_channel();
  for (const Port& port : ports) {
    out->ViaLink(port.out);
    out->AddChannel(chunks, bytes / chunks, 0.0);
  }
  for (uint32_t i = 0; i < members.size(); ++i) out->DependOn(first + i, 0);
  const uint32_t sum = out->AddBarrier(chunks);
  std::vector<uint32_t> parts;
  for (const Port& port : ports) {
    out->ViaLink(port.in);
    out->DependOn(sum, 0);
    parts.push_back(out->AddChannel(chunks, bytes / chunks / static_cast<double>(members.size())));
  }
  return parts;
}

// Every place's parts along two trees over the nodes; `parent`: those trees. REQUIRES: nodes of equal size.
Parts AddBetweenNodes(const Placement& placement, const Parts& reduced, const std::vector<int64_t> (&parent)[2], double bytes,
                      uint32_t chunks, Expander* out) {
  Parts sums = reduced;
  const size_t nodes = reduced.size(), places = reduced[0].size();
  for (size_t i = 0; i < places; ++i) {
    std::vector<uint32_t> heads;
    std::vector<int64_t> ready;
    Parts wait(nodes);
    for (size_t k = 0; k < nodes; ++k) {
      heads.push_back(placement.nodes[k].members[i]);
      ready.push_back(reduced[k][i]);
    }
    const size_t lanes = out->topology().ExitsOf(heads[0]).size();
    const double share = 0.5 * bytes / static_cast<double>(places * lanes);
    for (size_t lane = 0; lane < lanes; ++lane) {
      for (const std::vector<int64_t>& tree : parent) {
        const TreeChannels channels = AddTree(heads, tree, ready, share, chunks, lane, out);
        for (size_t k = 0; k < nodes; ++k) {
          if (tree[k] >= 0) wait[k].push_back(channels.down[k]);
          else continue;
          if (tree[static_cast<size_t>(tree[k])] < 0) wait[static_cast<size_t>(tree[k])].push_back(channels.up[k]);
        }
      }
    }
    for (size_t k = 0; k < nodes; ++k) {
      for (const uint32_t channel : wait[k]) out->DependOn(channel, 0);
      sums[k][i] = out->AddBarrier(chunks);
    }
  }
  return sums;
}

void AddMulticast(const std::vector<uint32_t>& members, const std::vector<uint32_t>& parts, double bytes, uint32_t chunks,
                  Expander* out) {
  const std::vector<Port> ports = PortsOf(members, out->topology());
  const uint32_t first = out->next_channel();
  for (size_t i = 0; i < ports.size(); ++i) {
    out->ViaLink(ports[i].out);
    out->DependOn(parts[i], 0);
    out->AddChannel(chunks, bytes / chunks / static_cast<double>(ports.size()), 0.0);
  }
  for (uint32_t i = 0; i < ports.size(); ++i) out->DependOn(first + i, 0);
  const uint32_t all = out->AddBarrier(chunks);
  for (const Port& port : ports) {
    out->ViaLink(port.in);
    out->DependOn(all, 0);
    out->AddChannel(chunks, bytes / chunks);
  }
}

}  // namespace

// Two trees for half of the data in every lane; a single node has as many lanes as members, so that each is head once.
void ExpandTrees(const Placement& placement, double bytes, Expander* out) {
  const size_t members = placement.nodes[0].members.size();
  const size_t lanes = placement.SpansNodes() ? Lanes(out->hardware(), placement) : members;
  std::vector<uint32_t> order;
  const int64_t depth = Depth(MemberParents(placement, false, 0, &order));
  const uint32_t chunks = out->Chunks(static_cast<size_t>(2 * depth));
  for (size_t lane = 0; lane < lanes; ++lane) {
    for (const bool second : {false, true}) {
      const std::vector<int64_t> parent = MemberParents(placement, second, lane, &order);
      AddTree(order, parent, {}, 0.5 * bytes / static_cast<double>(lanes), chunks, lane / members, out);
    }
  }
}

// In chunks: the switch draws a chunk out of every member and reduces it; every member gets its 1/r of the sums and
// writes it, and the switch hands it to all. Over several nodes a member's part goes up and down two trees, by its own
// NICs, before it is written.
void ExpandNvls(const Placement& placement, double bytes, Expander* out) {
  const NodeSpec& node = out->hardware().node;
  const double in_node = bytes * node.scale_up.efficiency / node.nvls_efficiency;  // the switch reduces at less than full speed
  const auto nodes = static_cast<int64_t>(placement.nodes.size());
  std::vector<int64_t> parent[2];
  for (int64_t k = 0; k < nodes; ++k) {
    parent[0].push_back(TreeParent(k, nodes));
    parent[1].push_back(SecondTreeParent(k, nodes));
  }
  const uint32_t chunks = out->Chunks(static_cast<size_t>(4 + 2 * Depth(parent[0])));
  Parts parts;
  for (const NodePart& part : placement.nodes) parts.push_back(AddReduce(part.members, in_node, chunks, out));
  if (nodes > 1) parts = AddBetweenNodes(placement, parts, parent, bytes, chunks, out);
  for (size_t k = 0; k < parts.size(); ++k) AddMulticast(placement.nodes[k].members, parts[k], in_node, chunks, out);
}

}  // namespace simulate
