// One algorithm laid over the groups of a request: all that does not depend on the size.
#pragma once

#include <vector>

#include "sim/collective/collective_model.h"
#include "sim/collective/traffic.h"
#include "sim/spec/cluster.h"

namespace simulate {

// How long one byte of the collective's size takes on its slowest link of a kind.
struct Shape {
  Algorithm algorithm = Algorithm::kRing;
  Chain chain;                        // the longest of all groups
  std::vector<LinkLoad> loads;        // per byte of size
  LinkId bottleneck = 0;
  double seconds_per_byte = 0.0;      // on the bottleneck
  double bus_bytes = 1.0;             // per byte of size, as nccl-tests counts bus bandwidth (trees: 2)
  int64_t members = 0;
  int64_t nodes = 1;
  int64_t nics = 0;                   // that the group uses in a node
  double nic_bandwidth = 0.0;         // bytes per second out of one of them, at the pace of the bottleneck
  double wire_bytes = 0.0;            // out of the busiest member, per byte of size
  double copied = 0.0;                // share of the size that a member copies locally
  double ramp = 1.0;                  // of the time in which a ring's pipeline of chunks fills
  int channels = 0;
};

// Every algorithm that the library has for this operation on these groups. `scratch`: on the topology; overwritten.
[[nodiscard]] std::vector<Shape> MakeShapes(const HardwareSpec& hardware, CollectiveOp op,
                                            const std::vector<std::span<const uint32_t>>& groups, Traffic& scratch);
[[nodiscard]] Shape MakeSendShape(const HardwareSpec& hardware, uint32_t from, uint32_t to, Traffic& scratch);

}  // namespace simulate
