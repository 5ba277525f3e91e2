#include "sim/collective/messages.h"

#include <algorithm>
#include <map>

#include "sim/base/check.h"
#include "sim/collective/expander.h"
#include "sim/collective/pairwise.h"

namespace simulate {
namespace {

// One message for every ordered pair, those between nodes over the NICs of both in turn.
void ExpandAllToAll(const Placement& placement, std::span<const uint32_t> group, double bytes, Expander* out) {
  const size_t n = group.size();
  const double network = 1.0 / out->hardware().collective_library.message_network_share;
  for (size_t i = 0; i < n; ++i) {
    for (size_t d = 1; d < n; ++d) {
      const uint32_t from = group[i], to = group[(i + d) % n];
      const bool leaves = out->topology().node_of(from) != out->topology().node_of(to);
      out->Hop(from, to, d);
      out->AddChannel(1, bytes / static_cast<double>(n) * (leaves ? network : 1.0), leaves ? ProxyHops(placement) : 1.0);
    }
  }
}

// To the next member, over all NICs of the sender at once.
void ExpandShift(const Placement& placement, double bytes, Expander* out) {
  std::vector<uint32_t> members;
  for (const NodePart& part : placement.nodes) members.insert(members.end(), part.members.begin(), part.members.end());
  const double network = 1.0 / out->hardware().collective_library.message_network_share;
  for (size_t i = 0; i < members.size(); ++i) {
    const uint32_t from = members[i], to = members[(i + 1) % members.size()];
    const bool leaves = out->topology().node_of(from) != out->topology().node_of(to);
    const size_t lanes = leaves ? out->topology().ExitsOf(from).size() : 1;
    for (size_t lane = 0; lane < lanes; ++lane) {
      out->Hop(from, to, lane);
      out->AddChannel(1, bytes * (leaves ? network : 1.0) / static_cast<double>(lanes));
    }
  }
}

// Everybody's part straight to everybody; an all-reduce does that twice, and a member begins the second time when it has
// everybody's first.
void ExpandDirect(CollectiveOp op, std::span<const uint32_t> group, double bytes, Expander* out) {
  const auto n = static_cast<uint32_t>(group.size());
  std::vector<uint32_t> complete;
  for (int pass = 0; pass < (op == CollectiveOp::kAllReduce ? 2 : 1); ++pass) {
    const uint32_t first = out->next_channel();
    for (uint32_t i = 0; i < n; ++i) {
      for (uint32_t d = 1; d < n; ++d) {
        if (pass > 0) out->DependOn(complete[i], 0);
        out->Hop(group[i], group[(i + d) % n], d);
        out->AddChannel(1, bytes / n);
      }
    }
    complete.clear();
    for (uint32_t i = 0; i < n; ++i) {
      for (uint32_t d = 1; d < n; ++d) out->DependOn(first + (i + n - d) % n * (n - 1) + d - 1, 0);
      complete.push_back(out->AddBarrier(1));
    }
  }
}

}  // namespace

MessageSchedule ExpandMessages(const HardwareSpec& hardware, const Topology& topology, CollectiveOp op,
                               Algorithm algorithm, std::span<const uint32_t> group, Bytes bytes,
                               const ExpandOptions& options) {
  Expander expander(hardware, topology, options);
  const Placement placement = Place(topology, group);
  const auto size = static_cast<double>(bytes.value());
  switch (algorithm) {
    case Algorithm::kRing:
    case Algorithm::kTorus: ExpandRing(placement, op, size, &expander); break;
    case Algorithm::kTree:
      SIM_CHECK(op == CollectiveOp::kAllReduce, "trees reduce and broadcast");
      ExpandTrees(placement, size, &expander);
      break;
    case Algorithm::kNvls:
    case Algorithm::kNvlsTree: ExpandNvls(placement, size, &expander); break;
    case Algorithm::kPairwise:
      if (op == CollectiveOp::kSendRecv) ExpandShift(placement, size, &expander);
      else ExpandAllToAll(placement, group, size, &expander);
      break;
    case Algorithm::kHierarchical: ExpandHierarchical(placement, op, size, &expander); break;
    case Algorithm::kDirect: ExpandDirect(op, group, size, &expander); break;
  }
  return expander.Take();
}

std::vector<LinkLoad> LoadsOf(const MessageSchedule& schedule) {
  std::map<LinkId, double> bytes;
  for (const MessageChannel& channel : schedule.channels) {
    for (uint32_t l = 0; l < channel.link_count; ++l) {
      bytes[schedule.links[channel.first_link + l]] += channel.bytes * channel.messages;
    }
  }
  std::vector<LinkLoad> loads;
  for (const auto& [link, sum] : bytes) loads.push_back({link, sum});
  return loads;
}

uint64_t MessageCount(const MessageSchedule& schedule) {
  uint64_t count = 0;
  for (const MessageChannel& channel : schedule.channels) count += channel.messages;
  return count;
}

}  // namespace simulate
