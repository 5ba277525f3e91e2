// Builds a MessageSchedule: what the algorithms in messages_ring.cc, messages_tree.cc and messages.cc have in common.
// Private to collective/.
//
// A channel's links and dependencies are named first (Via, Hop, DependOn), then AddChannel closes them into one.
#pragma once

#include <span>
#include <vector>

#include "sim/collective/messages.h"
#include "sim/collective/placement.h"

namespace simulate {

class Expander {
 public:
  Expander(const HardwareSpec& hardware, const Topology& topology, const ExpandOptions& options);

  void DependOn(uint32_t channel, int32_t offset) { schedule_.dependencies.push_back({channel, offset, 1, 1}); }
  // The first of `mine` messages of a chunk waits for all `theirs` of that chunk.
  void DependOnChunk(uint32_t channel, uint32_t mine, uint32_t theirs) {
    schedule_.dependencies.push_back({channel, static_cast<int32_t>(theirs) - 1, mine, theirs});
  }
  void Via(VertexId from, VertexId to);
  void ViaLink(LinkId link) { schedule_.links.push_back(link); }
  // From member to member; between nodes by the `lane`-th NIC of each.
  void Hop(uint32_t from, uint32_t to, size_t lane);
  // Over the links named since the last channel, waiting for the dependencies named since then. `hops` times the
  // library's cost of a hop.
  uint32_t AddChannel(uint32_t messages, double bytes, double hops = 1.0);
  // A channel that moves nothing: its message k has arrived when all its dependencies have.
  uint32_t AddBarrier(uint32_t messages);

  [[nodiscard]] const HardwareSpec& hardware() const { return hardware_; }
  [[nodiscard]] const Topology& topology() const { return topology_; }
  [[nodiscard]] uint32_t next_channel() const { return static_cast<uint32_t>(schedule_.channels.size()); }
  // Chunks of a pipeline of so many hops: as asked for, or so many that filling it hardly shows.
  [[nodiscard]] uint32_t Chunks(size_t hops) const;
  // Chunks of phases that are rings: each goes once round before the next follows, so few and large ones serve better.
  [[nodiscard]] uint32_t LargeChunks(double bytes) const;
  MessageSchedule Take() { return std::move(schedule_); }

 private:
  uint32_t Close(const MessageChannel& channel);

  const HardwareSpec& hardware_;
  const Topology& topology_;
  ExpandOptions options_;
  const ProtocolSpec& protocol_;
  double inflation_;
  bool network_ = false;  // the channel that is being named leaves its node
  MessageSchedule schedule_;
  uint32_t links_done_ = 0;
  uint32_t dependencies_done_ = 0;
};

// The members in the order of one lane's ring: node by node; each node is left by the member of the same place
// as that by which the next is entered, so that a lane stays on its rail. In a full mesh the lanes' ways through a node
// are Walecki's paths (Alspach 2008): eight zigzags over eight members use each of the 56 links once.
[[nodiscard]] std::vector<uint32_t> RingOrder(const HardwareSpec& hardware, const Placement& placement, size_t lane);

// How many rings or trees lie side by side: one for every NIC that the group uses in a node, at least one for every
// member there (several share a NIC then); one inside a single node, where every member has one link.
[[nodiscard]] size_t Lanes(const HardwareSpec& hardware, const Placement& placement);

void ExpandRing(const Placement& placement, CollectiveOp op, double bytes, Expander* out);
void ExpandHierarchical(const Placement& placement, CollectiveOp op, double bytes, Expander* out);
void ExpandTrees(const Placement& placement, double bytes, Expander* out);
void ExpandNvls(const Placement& placement, double bytes, Expander* out);

}  // namespace simulate
