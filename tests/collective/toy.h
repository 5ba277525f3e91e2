// Toy clusters whose times can be worked out by hand: no library overhead, round numbers.
#pragma once

#include <numeric>
#include <vector>

#include "sim/cluster/topology.h"
#include "sim/collective/collective_model.h"
#include "sim/spec/library.h"

namespace simulate::toy {

inline constexpr double kAlpha = 2e-6;  // latency of a hop inside a node
inline constexpr double kBeta = 10e-6;  // and between nodes

// `accelerators` on one switch at 100 GB/s each; `nics` of 10 GB/s towards a single switch between nodes.
inline HardwareSpec Cluster(int64_t accelerators, int64_t nics) {
  HardwareSpec h;
  h.name = "toy";
  h.node.accelerators = accelerators;
  h.node.topology = NodeTopology::kSwitch;
  h.node.scale_up = {"link", GBps(100), Seconds(kAlpha), 1.0, Confidence::kCoarse, ""};
  h.node.nics = nics;
  h.node.nic = {"net", GBps(10), Seconds(), 1.0, Confidence::kCoarse, ""};
  h.fabric.topology = FabricTopology::kSwitch;
  h.fabric.link = {"net", BytesPerSecond(), Seconds(kBeta), 1.0, Confidence::kCoarse, ""};
  h.collective_library = DefaultLibrary(LibraryKind::kGeneric);
  for (ProtocolSpec& p : h.collective_library.protocols) p = ProtocolSpec{};
  h.collective_library.slice = Bytes(0);
  h.collective_library.nvls_member = Seconds();
  h.collective_library.nvls_ramp = Seconds();
  h.collective_library.ring_ramp = Seconds();
  h.collective_library.copy_share = 0.0;
  h.collective_library.message_network_share = 1.0;
  h.collective_library.nvls_base = Seconds();
  h.collective_library.ring_network_share = 1.0;
  return h;
}

inline std::vector<uint32_t> Ranks(uint32_t count, uint32_t first = 0, uint32_t stride = 1) {
  std::vector<uint32_t> ranks(count);
  for (uint32_t i = 0; i < count; ++i) ranks[i] = first + i * stride;
  return ranks;
}

// LL shows every hop, so that times are exactly hops * latency + bytes / bandwidth.
inline CollectiveCost Cost(const HardwareSpec& h, int64_t accelerators, CollectiveOp op, Bytes bytes,
                           const std::vector<std::vector<uint32_t>>& groups, Algorithm algorithm,
                           Protocol protocol = Protocol::kLL) {
  const Topology topology(h, accelerators);
  const CollectiveModel model(h, topology, {algorithm, protocol});
  return model.Cost({op, bytes, {groups.begin(), groups.end()}});
}

}  // namespace simulate::toy
