// A collective as point-to-point messages, for replay message by message (engine/message_replay.h).
//
// A channel is one sender's sequence of equal messages to one receiver over one route; it sends one at a
// time, in order. Message k may also have to wait for messages of other channels: those whose content it
// passes on. So every step of a ring or a tree, in every chunk, is a message of its own, while the
// schedule stays as small as the number of channels:
//
//   ring all-reduce of S bytes over n members: n channels of 2(n-1) messages of S/n;
//     message k of i -> i+1 waits for message k-1 of i-1 -> i.
//   tree reduce in chunks: a channel child -> parent waits, chunk by chunk, for those of the child's
//   children.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/units.h"
#include "sim/cluster/topology.h"
#include "sim/spec/cluster.h"
#include "sim/spec/collective.h"

namespace simulate {

// Message k waits until message k + offset of `channel` has arrived; for nothing if k + offset < 0.
struct MessageDependency {
  uint32_t channel = 0;
  int32_t offset = 0;
};

struct MessageChannel {
  uint32_t messages = 0;
  double bytes = 0.0;       // of each message, protocol overhead included
  Seconds latency;          // of each message, before its bytes flow
  uint32_t first_link = 0;  // into MessageSchedule::links
  uint32_t link_count = 0;
  uint32_t first_dependency = 0;  // into MessageSchedule::dependencies
  uint32_t dependency_count = 0;
};

struct MessageSchedule {
  std::vector<MessageChannel> channels;
  std::vector<LinkId> links;
  std::vector<MessageDependency> dependencies;
};

struct ExpandOptions {
  Protocol protocol = Protocol::kLL;  // whose costs per hop each message pays
  uint32_t chunks = 64;               // of a tree's pipeline
  double inflation = 0.0;             // bytes on the wire per byte of payload; 0: the protocol's own
};

// One collective of one group. kRing: one ring per NIC that the group uses in a node (one ring inside a
// single node), each in its own rotation, so that a lane stays on its rail. kTree: two trees, each for half
// of the data; members of a node form a chain. kPairwise: one message for every ordered pair; sendrecv: to
// the next member. REQUIRES: the algorithm exists for the operation (ring: all_reduce, all_gather,
// reduce_scatter; tree: all_reduce; pairwise: all_to_all, sendrecv).
[[nodiscard]] MessageSchedule ExpandMessages(const HardwareSpec& hardware, const Topology& topology,
                                             CollectiveOp op, Algorithm algorithm,
                                             std::span<const uint32_t> group, Bytes bytes,
                                             const ExpandOptions& options = {});

}  // namespace simulate
