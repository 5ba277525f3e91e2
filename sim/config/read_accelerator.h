// Reads an accelerator file: datasheet and calibration.
#pragma once

#include "sim/config/reader.h"
#include "sim/spec/accelerator.h"

namespace simulate {

// `value` is the mapping of hardware/accelerators/NAME.yaml. False after an error, which is in the diagnostics.
bool ReadAccelerator(ValueReader& value, AcceleratorSpec* out);

}  // namespace simulate
