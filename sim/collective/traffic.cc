#include "sim/collective/traffic.h"

#include <algorithm>

#include "sim/base/check.h"

namespace simulate {

void Traffic::Add(LinkId link, double bytes) {
  if (bytes <= 0.0) return;
  if (bytes_[link] == 0.0) used_.push_back(link);
  bytes_[link] += bytes;
}

void Traffic::Clear() {
  for (const LinkId link : used_) bytes_[link] = 0.0;
  used_.clear();
}

Seconds Traffic::AddRoute(VertexId from, VertexId to, double bytes) {
  route_.clear();
  const bool found = topology_.AppendRoute(from, to, &route_);
  SIM_CHECK(found, "no route from ", topology_.VertexName(from), " to ", topology_.VertexName(to));
  Seconds latency;
  for (const LinkId link : route_) {
    Add(link, bytes);
    latency += topology_.links()[link].latency;
  }
  return latency;
}

Seconds Traffic::AddBetween(const NodePart& from, const NodePart& to, double bytes) {
  const size_t lanes = std::max(from.exits.size(), to.exits.size());
  const double share = bytes / static_cast<double>(lanes);
  Seconds longest;
  const auto add_owners = [&](const Exit& exit, bool outward) {
    Seconds latency;
    for (const uint32_t owner : exit.owners) {
      const VertexId v = topology_.vertex_of(owner);
      const double part = share / static_cast<double>(exit.owners.size());
      latency = outward ? AddRoute(v, exit.vertex, part) : AddRoute(exit.vertex, v, part);
    }
    return latency;
  };
  for (size_t lane = 0; lane < lanes; ++lane) {
    const Exit& out = from.exits[lane * from.exits.size() / lanes];
    const Exit& in = to.exits[lane * to.exits.size() / lanes];
    const Seconds latency = add_owners(out, true) + AddRoute(out.vertex, in.vertex, share) + add_owners(in, false);
    longest = std::max(longest, latency);
  }
  return longest;
}

bool Traffic::AddOverDirectLinks(const NodePart& part, double bytes, Seconds* latency) {
  const auto direct = [&](uint32_t a, uint32_t b) {
    const LinkId link = topology_.LinkBetween(topology_.vertex_of(a), topology_.vertex_of(b));
    const bool usable = link != Topology::kNoLink && topology_.links()[link].bandwidth.value() > 0.0;
    return usable ? link : Topology::kNoLink;
  };
  std::vector<double> width(part.members.size(), 0.0);
  for (size_t i = 0; i < part.members.size(); ++i) {
    for (const uint32_t other : part.members) {
      const LinkId link = other == part.members[i] ? Topology::kNoLink : direct(part.members[i], other);
      if (link != Topology::kNoLink) width[i] += topology_.links()[link].bandwidth.value();
    }
    if (width[i] == 0.0) return false;
  }
  for (size_t i = 0; i < part.members.size(); ++i) {
    for (const uint32_t other : part.members) {
      const LinkId link = other == part.members[i] ? Topology::kNoLink : direct(part.members[i], other);
      if (link == Topology::kNoLink) continue;
      Add(link, bytes * topology_.links()[link].bandwidth.value() / width[i]);
      *latency = std::max(*latency, topology_.links()[link].latency);
    }
  }
  return true;
}

Seconds Traffic::AddAround(const NodePart& part, double bytes) {
  Seconds latency;
  if (part.members.size() < 2 || AddOverDirectLinks(part, bytes, &latency)) return latency;
  for (size_t i = 0; i < part.members.size(); ++i) {
    const uint32_t next = part.members[(i + 1) % part.members.size()];
    latency = std::max(latency, AddRoute(topology_.vertex_of(part.members[i]), topology_.vertex_of(next), bytes));
  }
  return latency;
}

}  // namespace simulate
