#include "sim/collective/expander.h"

#include <algorithm>

#include "sim/base/check.h"

namespace simulate {

Expander::Expander(const HardwareSpec& hardware, const Topology& topology, const ExpandOptions& options)
    : hardware_(hardware),
      topology_(topology),
      options_(options),
      protocol_(hardware.collective_library.protocols[static_cast<size_t>(options.protocol)]),
      inflation_(options.inflation > 0.0 ? options.inflation : 1.0 / protocol_.efficiency) {}

void Expander::Via(VertexId from, VertexId to) {
  const bool found = topology_.AppendRoute(from, to, &schedule_.links);
  SIM_CHECK(found, "no route from ", topology_.VertexName(from), " to ", topology_.VertexName(to));
}

void Expander::Hop(uint32_t from, uint32_t to, size_t lane) {
  const VertexId a = topology_.vertex_of(from), b = topology_.vertex_of(to);
  if (topology_.node_of(from) == topology_.node_of(to)) return Via(a, b);
  network_ = true;
  const std::vector<VertexId> out = topology_.ExitsOf(from), in = topology_.ExitsOf(to);
  const VertexId leave = out[lane % out.size()], enter = in[lane % in.size()];
  Via(a, leave);
  Via(leave, enter);
  Via(enter, b);
}

uint32_t Expander::AddChannel(uint32_t messages, double bytes, double hops) {
  MessageChannel channel;
  channel.messages = messages;
  channel.bytes = bytes * inflation_;
  channel.latency = (network_ ? protocol_.network_hop + options_.slice : protocol_.scale_up_hop) * hops;
  const double factor = network_ ? protocol_.network_latency_factor : 1.0;
  for (uint32_t i = links_done_; i < schedule_.links.size(); ++i) {
    channel.latency += topology_.links()[schedule_.links[i]].latency * factor;
  }
  channel.latency *= options_.hop_share;
  return Close(channel);
}

uint32_t Expander::AddBarrier(uint32_t messages) { return Close({.messages = messages}); }

uint32_t Expander::Close(const MessageChannel& channel) {
  schedule_.channels.push_back(channel);
  MessageChannel& added = schedule_.channels.back();
  added.first_link = links_done_;
  added.link_count = static_cast<uint32_t>(schedule_.links.size()) - links_done_;
  added.first_dependency = dependencies_done_;
  added.dependency_count = static_cast<uint32_t>(schedule_.dependencies.size()) - dependencies_done_;
  links_done_ = static_cast<uint32_t>(schedule_.links.size());
  dependencies_done_ = static_cast<uint32_t>(schedule_.dependencies.size());
  network_ = false;
  return next_channel() - 1;
}

uint32_t Expander::Chunks(size_t hops) const {
  constexpr size_t kPerHop = 32, kFewest = 64, kMost = 1024;  // filling takes 1 / kPerHop of the transfer
  if (options_.chunks > 0) return options_.chunks;
  return static_cast<uint32_t>(std::clamp(kPerHop * hops, kFewest, kMost));
}

uint32_t Expander::LargeChunks(double bytes) const {
  constexpr double kChunk = 4 << 20, kMost = 64.0;
  if (options_.chunks > 0) return options_.chunks;
  return static_cast<uint32_t>(std::clamp(bytes / kChunk, 1.0, kMost));
}

std::vector<uint32_t> RingOrder(const HardwareSpec& hardware, const Placement& placement, size_t lane) {
  std::vector<uint32_t> order;
  size_t start = lane;
  for (const NodePart& part : placement.nodes) {
    const size_t r = part.members.size();
    const bool zigzag = hardware.node.topology == NodeTopology::kFullMesh && r % 2 == 0;
    for (size_t i = 0; i < r; ++i) {
      const size_t step = (i + 1) / 2;  // 0, 1, -1, 2, -2, ...: ends r/2 from where it began
      const size_t place = zigzag ? (i % 2 == 1 ? start + step : start + r - step) : start + i;
      order.push_back(part.members[place % r]);
    }
    start += zigzag ? r / 2 : r - 1;
  }
  return order;
}

size_t Lanes(const HardwareSpec& hardware, const Placement& placement) {
  if (!placement.SpansNodes()) return 1;
  const NodePart& part = placement.nodes[0];
  const size_t all = std::max(part.members.size(), part.exits.size());
  if (hardware.collective_library.kind != LibraryKind::kNccl) return all;
  return std::max<size_t>(1, all * WithFewExits(placement).nodes[0].exits.size() / part.exits.size());
}

}  // namespace simulate
