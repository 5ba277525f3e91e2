// A collective as point-to-point messages, for replay message by message (engine/message_replay.h).
//
// A channel is one sender's sequence of equal messages to one receiver over one route; it sends one at a
// time, in order, and each arrives its latency later. Message k may also have to wait for messages of other
// channels: those whose content it passes on. So every step of a ring or a tree, in every chunk, is a message of
// its own, while the schedule stays as small as the number of channels:
//
//   ring all-reduce of S bytes over n members: n channels of 2(n-1) messages of S/n;
//     message k of i -> i+1 waits for message k-1 of i-1 -> i.
//   tree reduce in chunks: a channel child -> parent waits, chunk by chunk, for those of the child's
//   children.
//
// What each algorithm becomes is said beside its function: expander.h, messages_ring.cc, messages_tree.cc, messages.cc.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/base/units.h"
#include "sim/cluster/topology.h"
#include "sim/spec/cluster.h"
#include "sim/spec/collective.h"

namespace simulate {

// Message k waits until message k / mine * theirs + offset of `channel` has arrived; for nothing if that is negative.
// So where a chunk is `mine` messages here and `theirs` there, offset theirs - 1 waits for the whole chunk.
struct MessageDependency {
  uint32_t channel = 0;
  int32_t offset = 0;
  uint32_t mine = 1;
  uint32_t theirs = 1;
};

struct MessageChannel {
  uint32_t messages = 0;
  double bytes = 0.0;       // of each message, protocol overhead included
  Seconds latency;          // of each message, after its bytes have left
  uint32_t first_link = 0;  // into MessageSchedule::links
  uint32_t link_count = 0;  // 0: nothing moves, it only waits (all parts of a chunk are there)
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
  uint32_t chunks = 0;                // of trees, NVLS, broadcasts and hierarchies; 0: enough to fill the pipeline
  double inflation = 0.0;             // bytes on the wire per byte of payload; 0: the protocol's own
  double hop_share = 1.0;             // of a hop's latency that shows (CollectiveCost::hop_share)
  Seconds slice;                      // what storing and forwarding adds to a hop over the network
};

// One collective of one group, for every operation and algorithm that CollectiveModel prices.
[[nodiscard]] MessageSchedule ExpandMessages(const HardwareSpec& hardware, const Topology& topology,
                                             CollectiveOp op, Algorithm algorithm,
                                             std::span<const uint32_t> group, Bytes bytes,
                                             const ExpandOptions& options = {});

[[nodiscard]] uint64_t MessageCount(const MessageSchedule& schedule);

struct LinkLoad {
  LinkId link = 0;
  double bytes = 0.0;  // over the whole collective, protocol overhead included
};
// What all messages put on every link, in order of link.
[[nodiscard]] std::vector<LinkLoad> LoadsOf(const MessageSchedule& schedule);

}  // namespace simulate
