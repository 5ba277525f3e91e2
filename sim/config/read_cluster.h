// Reads a hardware file and the node, fabric and accelerator that it composes.
#pragma once

#include "sim/config/file_loader.h"
#include "sim/config/reader.h"
#include "sim/spec/cluster.h"

namespace simulate {

// `root` is the mapping of hardware/NAME.yaml; `loader` follows the names in it. False after an error, which is
// in the diagnostics.
bool ReadHardwareFile(ValueReader& root, FileLoader& loader, HardwareSpec* out);

}  // namespace simulate
