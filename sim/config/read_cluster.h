// Reads a hardware file and the accelerator, node, fabric and library that it composes.
//
//   name: aws-p4d
//   accelerator: a100-40gb      # hardware/accelerators/a100-40gb.yaml, a path, or the mapping itself
//   node: aws-p4d               # hardware/nodes/
//   fabric: efa-400g            # hardware/fabrics/; may be absent for a single node
//   library: nccl               # nccl | rccl | neuron | generic, or a mapping that changes its constants
//
// Checked here: bandwidths above zero, tori whose dimensions fit, links between known vertices, and (where
// the number of accelerators is known) a fabric that holds and joins them.
#pragma once

#include <string>

#include "sim/config/file_loader.h"
#include "sim/config/reader.h"
#include "sim/spec/cluster.h"

namespace simulate {

// `root` is the mapping of hardware/NAME.yaml; `loader` follows the names in it. False after an error, which is
// in the diagnostics.
bool ReadHardwareFile(ValueReader& root, FileLoader& loader, HardwareSpec* out);

// Why a cluster of so many accelerators cannot be built from this hardware; empty if it can. `help` says what can.
struct ClusterProblem {
  std::string message;
  std::string label;
  std::string help;
};
[[nodiscard]] ClusterProblem CheckClusterSize(const HardwareSpec& hardware, int64_t accelerators);

}  // namespace simulate
