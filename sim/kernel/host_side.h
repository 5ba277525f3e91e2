// The host as offloaded training sees it: copies between pinned memory and the device, and Adam on the processors.
//
//   copy        the node's host link at its efficiency; accelerators that share a link share its rate
//   optimizer   DeepSpeed's CPU-Adam is bound by memory: per weight it reads fp32 weight, gradient and two moments (16 B)
//               and writes weight, moments and the 16-bit copy (14 B). Ren et al., ZeRO-Offload (USENIX ATC 2021), table 4:
//               1, 2, 4, 8, 10 billion weights in 0.22, 0.51, 1.03, 2.41, 2.57 s on a DGX-2's two Xeon 8168 (12 channels of
//               DDR4-2666, 256 GB/s): 100 to 136 GB/s, in the mean 115, which is kOptimizerShare. All ranks of a node
//               step at once and share its memory.
// Absent: sockets (a rank's pinned memory lies on its own), cores (those of all listed nodes saturate their memory).
#pragma once

#include <algorithm>

#include "sim/kernel/kernel_model.h"
#include "sim/spec/cluster.h"

namespace simulate {

inline constexpr double kOptimizerShare = 0.45;  // of the datasheet bandwidth of the host's memory

[[nodiscard]] inline HostSide HostSideOf(const NodeSpec& node) {
  const auto ranks = static_cast<double>(node.accelerators);
  const double links = node.host_links > 0 ? static_cast<double>(node.host_links) : ranks;
  return {node.pcie.bandwidth * node.pcie.efficiency * std::min(1.0, links / ranks),
          node.host_memory_bandwidth * (kOptimizerShare / ranks)};
}

}  // namespace simulate
