// The power limit: matrix products draw more than the board may, so the clock falls when they fill the time.
//
// A product repeated by itself, as constants are measured, t being its time at the boosted clock:
//
//   t' = t * (1 + droop * t / (t + reaction))
//
// In a step the clock follows the power that products and the rest draw on average over some tens of milliseconds. With d the
// share of the step's kernel time that products and attention take (idle time not counted), either takes
//
//   t'' = t' * clock(d) / clock(d'),   clock(d) = 1 + slope * max(0, d - free),   d' = t' / (t' + rest)
//
// d' being the share where its constant was found. Measured on an H100: products of 0.18 to 1.4 ms between memory-bound kernels run at the
// full clock below d = 0.40, and take 2.8 % longer at 0.5, 5.5 % at 0.6, 7.3 % at 0.68, 9 % at 0.7, 10 to 12 % at 0.8, whatever
// their length; attention 5 % at 0.59, 10 % at 0.75, 14 % at 0.92 forward, and 4, 9 and 11 % backward. Attention's constants are of the
// full clock, so it takes clock(d) times as long (below 0.40 it takes what they say), or `shared` longer where no slope is known.
#pragma once

#include <algorithm>

#include "sim/base/units.h"
#include "sim/spec/accelerator.h"

namespace simulate {

[[nodiscard]] inline Seconds UnderPowerLimit(Seconds boosted, const PowerCalibration& power) {
  const double t = boosted.value();
  return Seconds(t * (1.0 + power.droop * t / (t + power.reaction.value() + 1e-15)));
}

// How many times longer anything takes that the power limit governs, where products have this share of the time.
[[nodiscard]] inline double ClockLoss(double share, const PowerCalibration& power) {
  return 1.0 + power.slope * std::max(0.0, share - power.free);
}

// A product's time in a step, from its time as measured by itself.
[[nodiscard]] inline Seconds InStep(Seconds alone, double share, const PowerCalibration& power) {
  const double t = alone.value();
  const double measured = t / (t + power.rest.value() + 1e-15);
  return Seconds(t * ClockLoss(share, power) / ClockLoss(measured, power));
}

}  // namespace simulate
