// `simulate topology hardware/aws-p5.yaml --gpus 32`: the graph as people think of it: levels, links, bandwidths,
// bisection. `--dot` writes it for Graphviz.
#pragma once

#include <string>

#include "sim/cluster/topology.h"
#include "sim/study/command.h"

namespace simulate {

struct TopologyOptions {
  std::string hardware;
  int64_t gpus = 0;        // 0: one node
  std::string dot;         // file to write; "-": standard output
};

// Bandwidth between the first and the second half of the nodes (of the accelerators, where there is one node): the
// narrowest cut on the way, one direction.
[[nodiscard]] BytesPerSecond Bisection(const Topology& topology);

[[nodiscard]] std::string TopologyText(const HardwareSpec& hardware, const Topology& topology);
[[nodiscard]] std::string TopologyDot(const Topology& topology);

[[nodiscard]] int RunTopology(const TopologyOptions& options, Command& command);
void AddTopologyCommand(CLI::App& app, Command& command);

}  // namespace simulate
