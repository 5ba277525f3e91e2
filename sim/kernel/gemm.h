// Time of a matrix product on tiled multipliers.
//
//   t = min over tiles (tm x tn) and splits s of   norm( waves * tile , bytes / bandwidth )
//   waves = ceil( batch * ceil(m/tm) * ceil(n/tn) * s / units )
//   tile  = 2 tm tn ceil(k/s) / rate  +  drain * area
//   rate  = peak / units * efficiency / (1 + traffic * (128/tm + 128/tn))
//
// A unit works on one tile at a time; the last wave is rarely full (wave quantization: NVIDIA, Matrix
// Multiplication Background, 2020, section 4). Small tiles fetch more operands per product: the `traffic` term.
// The results of a tile are written while its multipliers idle: `drain` (cooperative warp-specialised kernels of
// Hopper show it plainly in weight gradients over few tokens). Splitting k fills idle units for the price of
// adding the parts up. norm is (a^p + b^p)^(1/p): tiles and traffic overlap, but not perfectly.
// Then the power limit (power.h) and the kernel's ramp apply.
//
// A weight gradient that is added to the gradients so far (fused accumulation) reads and writes those besides: 8 bytes per
// element in fp32 instead of 2, which count as traffic and lengthen the drain likewise; in 16 bits it is traffic alone. On B200
// that is most of what tells grouped weight gradients from the other products of experts, and products into bf16 gradients take
// no longer than others (MooreThreads/SimuMax@4dcaae5: 0.09 to 0.33 of the peak; 79 products).
//
// Operands whose rows start off 16-byte boundaries cannot use the wide loads: a share of the peak instead. Rows are features;
// the number of tokens is the length of none.
// Absent: which of the library's kernels is chosen, and that it is not always the best one.
#pragma once

#include "sim/base/units.h"
#include "sim/spec/accelerator.h"
#include "sim/spec/dtype.h"
#include "sim/spec/kernel_work.h"

namespace simulate {

struct GemmPlan {
  Seconds time;            // alone, ramp included, launch gap not
  int64_t tiles = 0;       // of all batches and splits
  double waves = 0.0;      // ceil(tiles / units)
  bool by_memory = false;  // memory traffic takes longer than the tiles
};

// REQUIRES: extents >= 1; the accelerator supports the type (a peak above 0).
[[nodiscard]] GemmPlan PlanGemm(const GemmShape& shape, DType type, const AcceleratorSpec& accelerator);

// Traffic with each operand read once and the result written once.
[[nodiscard]] double GemmBytes(const GemmShape& shape, DType type);

}  // namespace simulate
