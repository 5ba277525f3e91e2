// What the report page's picture of a cluster needs, from the graph that was simulated on:
//   {"name", "accelerator", "gpus", "nodes", "per_node",
//    "fabric": [{"name", "count"}, ...] from the leaves up,
//    "node":   [{"name", "kind", "count"}, ...] of one node: accelerator, switch, NIC, host,
//    "links":  [{"from", "to", "kind", "bandwidth", "latency_s", "count"}, ...] each way, upwards, alike ones together}
// Vertices go by what they have in common: node0.gpu3 is `accelerator`, su0.rail3 is `su`. Bandwidths are achievable
// payload (datasheet times efficiency).
#pragma once

#include <string>

#include "sim/cluster/topology.h"
#include "sim/spec/scenario.h"

namespace simulate {

[[nodiscard]] std::string ClusterJson(const HardwareSpec& hardware, const Topology& topology);

}  // namespace simulate
