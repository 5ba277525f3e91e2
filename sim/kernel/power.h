// The power limit: a long matrix product draws more than the board may, so the clock falls while it runs.
//
//   t' = t * (1 + droop * t / (t + reaction))
//
// Short products run at the boosted clock, long ones at the sustained one; half of the difference is reached
// when the product lasts as long as the regulator takes to react. Measured on H100 and H200: 770 TFLOPS for products
// of 0.1 ms, 680 to 700 above 1 ms and for seconds on end (tools/calibrate/data). Attention by itself stays at the
// boosted clock; amid products it shares theirs and takes `shared` longer (profiles of GPT steps on H100: forward 3 to 8 %,
// backward 2 to 15 %, the more the larger the products' share of the step).
#pragma once

#include "sim/base/units.h"
#include "sim/spec/accelerator.h"

namespace simulate {

[[nodiscard]] inline Seconds UnderPowerLimit(Seconds boosted, const PowerCalibration& power) {
  const double t = boosted.value();
  return Seconds(t * (1.0 + power.droop * t / (t + power.reaction.value() + 1e-15)));
}

}  // namespace simulate
