// An accelerator file with new constants: the text of the old one up to `calibration:`, then what was fitted.
#pragma once

#include <string>

#include "sim/spec/accelerator.h"

namespace simulate {

// `old_text` is a whole accelerator file; its datasheet, comments and sources stay.
[[nodiscard]] std::string WithCalibration(const std::string& old_text, const AcceleratorSpec& accelerator);

}  // namespace simulate
