// How far a number can be trusted. Ordered from best to worst, so that a report can
// name the weakest that matters with std::max.
#pragma once

#include <cstdint>

namespace simulate {

enum class Confidence : uint8_t {
  kMeasured,      // measured on this very part
  kCalibrated,    // constants fitted to measurements of this part
  kCoarse,        // datasheet times a typical efficiency
  kExtrapolated,  // outside the calibrated range
};

[[nodiscard]] constexpr const char* Name(Confidence c) {
  switch (c) {
    case Confidence::kMeasured: return "measured";
    case Confidence::kCalibrated: return "calibrated";
    case Confidence::kCoarse: return "coarse";
    case Confidence::kExtrapolated: return "extrapolated";
  }
  return "";
}

}  // namespace simulate
