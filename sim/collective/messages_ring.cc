// Rings and what is made of them, message by message.
#include <algorithm>

#include "sim/collective/expander.h"

namespace simulate {
namespace {

struct DirectLink {
  size_t from = 0, to = 0;  // places among the members
  LinkId link = 0;
  double share = 0.0;       // of what its sender sends
};

// The links between members, where no switch stands between them and every member has one.
std::vector<DirectLink> DirectLinks(const std::vector<uint32_t>& members, const Topology& topology) {
  std::vector<DirectLink> links;
  for (size_t i = 0; i < members.size(); ++i) {
    const size_t first = links.size();
    double width = 0.0;
    for (size_t j = 0; j < members.size(); ++j) {
      const LinkId link = i == j ? Topology::kNoLink : topology.LinkBetween(topology.vertex_of(members[i]), topology.vertex_of(members[j]));
      if (link == Topology::kNoLink || topology.links()[link].bandwidth.value() <= 0.0) continue;
      links.push_back({i, j, link, topology.links()[link].bandwidth.value()});
      width += links.back().share;
    }
    if (links.size() == first) return {};
    for (size_t l = first; l < links.size(); ++l) links[l].share /= width;
  }
  return links;
}

// Steps over all direct links at once, as the several rings or the multi-dimensional ring of a mesh or torus: in
// each step a member sends `bytes`, divided over its links by their bandwidth, and waits for all that the step before
// brought it. Returns the channels into each member.
std::vector<std::vector<uint32_t>> AddSteps(const std::vector<uint32_t>& members, const std::vector<DirectLink>& links,
                                            uint32_t steps, double bytes, Expander* out) {
  std::vector<std::vector<uint32_t>> into(members.size());
  const uint32_t first = out->next_channel();
  for (size_t l = 0; l < links.size(); ++l) into[links[l].to].push_back(first + static_cast<uint32_t>(l));
  for (const DirectLink& link : links) {
    for (const uint32_t before : into[link.from]) out->DependOn(before, -1);
    out->ViaLink(link.link);
    out->AddChannel(steps, bytes * link.share);
  }
  return into;
}

// One ring of `order`, every member's messages waiting for those of the one before it.
void AddRing(const std::vector<uint32_t>& order, uint32_t steps, double bytes, size_t lane, Expander* out) {
  const auto n = static_cast<uint32_t>(order.size());
  const uint32_t first = out->next_channel();
  for (uint32_t i = 0; i < n; ++i) {
    out->Hop(order[i], order[(i + 1) % n], lane);
    out->DependOn(first + (i + n - 1) % n, -1);
    out->AddChannel(steps, bytes);
  }
}

// Broadcast or reduce: a chain along the ring, in chunks.
void AddChain(const std::vector<uint32_t>& order, double bytes, size_t lane, Expander* out) {
  const uint32_t chunks = out->Chunks(order.size() - 1);
  for (size_t i = 0; i + 1 < order.size(); ++i) {
    out->Hop(order[i], order[i + 1], lane);
    if (i > 0) out->DependOn(out->next_channel() - 1, 0);
    out->AddChannel(chunks, bytes / chunks);
  }
}

}  // namespace

// One ring inside a node that is a switch, one per lane between nodes, each in its own rotation; over all direct links
// where a single node is a mesh or a torus.
void ExpandRing(const Placement& placement, CollectiveOp op, double bytes, Expander* out) {
  const auto n = static_cast<uint32_t>(placement.size);
  const uint32_t steps = (op == CollectiveOp::kAllReduce ? 2 : 1) * (n - 1);
  const bool chain = op == CollectiveOp::kBroadcast || op == CollectiveOp::kReduce;
  if (!placement.SpansNodes() && !chain) {
    const std::vector<uint32_t>& members = placement.nodes[0].members;
    const std::vector<DirectLink> links = DirectLinks(members, out->topology());
    if (!links.empty()) {
      AddSteps(members, links, steps, bytes / n, out);
      return;
    }
  }
  const size_t lanes = Lanes(out->hardware(), placement);
  const size_t members = placement.nodes[0].members.size();
  for (size_t lane = 0; lane < lanes; ++lane) {
    const std::vector<uint32_t> order = RingOrder(out->hardware(), placement, lane);
    const double share = bytes / static_cast<double>(lanes);
    if (chain) AddChain(order, share, lane / members, out);
    else AddRing(order, steps, share / n, lane / members, out);
  }
}

// In chunks: reduce-scatter round each node, ring along each rail, all-gather round each node; halves of that for an
// all-gather (rails first) or a reduce-scatter. A phase of a chunk starts at a member when it has the chunk.
void ExpandHierarchical(const Placement& placement, CollectiveOp op, double bytes, Expander* out) {
  const bool gathers = op != CollectiveOp::kReduceScatter, scatters = op != CollectiveOp::kAllGather;
  const auto r = static_cast<uint32_t>(placement.nodes[0].members.size());
  const auto nodes = static_cast<uint32_t>(placement.nodes.size());
  const uint32_t rail_steps = (op == CollectiveOp::kAllReduce ? 2 : 1) * (nodes - 1);
  const uint32_t chunks = out->LargeChunks(bytes);
  const double part = bytes / chunks / r;
  // ready[k][i]: the channels that bring member i of node k its chunk, each in `per_chunk` messages of it.
  std::vector<std::vector<std::vector<uint32_t>>> ready(nodes, std::vector<std::vector<uint32_t>>(r));
  uint32_t per_chunk = 0;
  const auto around = [&] {
    if (r < 2) return;
    std::vector<std::vector<std::vector<uint32_t>>> next(nodes);
    for (uint32_t k = 0; k < nodes; ++k) {
      const std::vector<uint32_t>& members = placement.nodes[k].members;
      std::vector<DirectLink> links = DirectLinks(members, out->topology());
      const bool direct = !links.empty();
      if (!direct) {
        for (size_t i = 0; i < r; ++i) links.push_back({i, (i + 1) % r, 0, 1.0});
      }
      std::vector<std::vector<uint32_t>> into(r);
      const uint32_t first = out->next_channel();
      for (size_t l = 0; l < links.size(); ++l) into[links[l].to].push_back(first + static_cast<uint32_t>(l));
      for (const DirectLink& link : links) {
        for (const uint32_t before : into[link.from]) out->DependOn(before, -1);
        for (const uint32_t before : ready[k][link.from]) out->DependOnChunk(before, r - 1, per_chunk);
        if (direct) out->ViaLink(link.link);
        else out->Hop(members[link.from], members[link.to], 0);
        out->AddChannel(chunks * (r - 1), part * link.share);
      }
      next[k] = into;
    }
    ready = next;
    per_chunk = r - 1;
  };
  if (scatters) around();
  std::vector<std::vector<std::vector<uint32_t>>> next(nodes, std::vector<std::vector<uint32_t>>(r));
  for (uint32_t i = 0; i < r; ++i) {
    const size_t lanes = std::max<size_t>(1, out->topology().ExitsOf(placement.nodes[0].members[i]).size());
    for (size_t lane = 0; lane < lanes; ++lane) {
      const uint32_t first = out->next_channel();
      for (uint32_t k = 0; k < nodes; ++k) {
        out->DependOn(first + (k + nodes - 1) % nodes, -1);
        for (const uint32_t before : ready[k][i]) out->DependOnChunk(before, rail_steps, per_chunk);
        out->Hop(placement.nodes[k].members[i], placement.nodes[(k + 1) % nodes].members[i], lane);
        next[(k + 1) % nodes][i].push_back(out->AddChannel(chunks * rail_steps, part / nodes / static_cast<double>(lanes)));
      }
    }
  }
  ready = next;
  per_chunk = rail_steps;
  if (gathers) around();
}

}  // namespace simulate
