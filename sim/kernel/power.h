// The power limit: matrix products draw more than the board may, so the clock falls when they fill the time.
//
// A product repeated by itself, as constants are measured, t being its time at the boosted clock:
//
//   t' = t * (1 + droop * t / (t + reaction))
//
// In a step the clock follows the power that all kernels draw on average over some tens of milliseconds. With the load d = the mean of
// the kernels' draws over the step's kernel time (a copy 0, a product 1; idle time not counted), a product takes
//
//   t'' = t' * loss(d) / loss(d'),   loss(d) = 1 + slope * max(0, d - free),   d' = t' / (t' + rest)
//
// d' being the load where its constant was found. Fused attention, whose constants are of the full clock, goes by the clock alone, where a
// product waits for operands as well: it takes 1 + attention_slope * max(0, d - attention_free) times as long (`shared` longer where no
// slope is known).
//
// Measured on one H100 (700 W). Products between copies (486 W; a product at the full clock 980 W, by its mixes with idle time): the clock
// is 1980 MHz at d = 0.37, 1765 at 0.53, 1635 at 0.68, 1534 at 0.82; a product takes 2.6, 9.6 and 15 % longer at the last three, other
// shapes 2.8 % at 0.5, 7.3 % at 0.68, 10 to 12 % at 0.8. Draws are what explains the clock of a product's mixes with other kernels:
// cuDNN's attention 0.5 (alone 1710 MHz), FlashAttention-2 0.25 forward and 0.17 backward, GELU 0.35, layer norm 0.2, dropout 0.2;
// softmax, products of elements and transposed copies under 0.1. Attention slows in proportion (FlashAttention-2
// by 10, 14, 18 and 23 % at 1791, 1742, 1678 and 1608 MHz). Absent: memory-bound kernels that count cycles slow as well (there GELU by 12 %,
// softmax and transposed copies by 9 %, dropout by 5 %, layer norm by 2 %), but whole steps with many of them come out 2 % too long without it.
//
// On one H200 copies draw 607 W, so products between them lose 4.0, 11.7 and 17.1 % at d = 0.41, 0.60 and 0.76 and 19 % alone; beside the same
// attention they lose what they lose on the H100, whose constants for products its file has. cuDNN's attention, both ways together, takes 12,
// 13, 17 and 21 % longer than its constants say at loads of 0.64, 0.68, 0.76 and 0.86 (H100: 17 to 24 %): those were found in loops, throttled.
#pragma once

#include <algorithm>

#include "sim/base/units.h"
#include "sim/spec/accelerator.h"

namespace simulate {

[[nodiscard]] inline Seconds UnderPowerLimit(Seconds boosted, const PowerCalibration& power) {
  const double t = boosted.value();
  return Seconds(t * (1.0 + power.droop * t / (t + power.reaction.value() + 1e-15)));
}

// How many times longer a product takes under this load than at the full clock.
[[nodiscard]] inline double ProductLoss(double load, const PowerCalibration& power) {
  return 1.0 + power.slope * std::max(0.0, load - power.free);
}

// The same of fused attention.
[[nodiscard]] inline double AttentionLoss(double load, const PowerCalibration& power) {
  return 1.0 + power.attention_slope * std::max(0.0, load - power.attention_free);
}

// A product's time in a step, from its time as measured by itself.
[[nodiscard]] inline Seconds InStep(Seconds alone, double load, const PowerCalibration& power) {
  const double t = alone.value();
  const double measured = t / (t + power.rest.value() + 1e-15);
  return Seconds(t * ProductLoss(load, power) / ProductLoss(measured, power));
}

}  // namespace simulate
