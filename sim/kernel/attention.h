// Time of fused attention (FlashAttention, Dao 2023, arXiv:2307.08691; its kernels work on blocks of queries).
//
//   t = launch + max(blocks/units * block + scores/units * (softmax + products), longest) + tensor_passes * bytes / bandwidth
//   blocks = batch * heads * ceil(q/128);  scores = 128 * 128 for each block of scores that is not masked out
//   softmax = cycles per score / clock (16 exponentials per unit and cycle give 1/16)
//   products = 2 (d + v) / (peak/units * efficiency) per score forward, 2 (3 d + 2 v) backward: five products for two, of
//              which queries and keys (d numbers a head) take three and values (v numbers, as a rule d) two
//
// FlashAttention's first version and its Triton implementation are priced beside the second: Dao 2023, section 1 and 4.1: "around
// 2x faster than FlashAttention"; "compared to FlashAttention in Triton, around 1.3-1.5x faster in the forward pass and
// around 2x faster in the backward pass".
//
// longest = rows * keys * (softmax + products): a unit takes `rows` queries at a time, and under a causal mask the last of
// them meet every key, however many units are left over. On B200 (cuDNN, 256 rows) that is the time of up to a dozen heads of
// 4,096 positions; where `rows` is not given, the work spreads evenly.
//
// A causal mask leaves n(n+1)/2 of n^2 blocks. Grouped heads share keys and values, which saves traffic only.
// Absent: the tail of the last wave (schedulers balance it), head sizes above 256, dropout inside the kernel.
#pragma once

#include "sim/base/units.h"
#include "sim/spec/accelerator.h"
#include "sim/spec/dtype.h"
#include "sim/spec/kernel_work.h"

namespace simulate {

// Alone, launch gap not included. REQUIRES: extents >= 1; a peak above 0 for the type.
[[nodiscard]] Seconds AttentionTime(const AttentionShape& shape, DType type, const AcceleratorSpec& accelerator);

// What it draws (power.h); an older implementation that takes n times as long draws an n-th.
[[nodiscard]] double AttentionDraw(AttentionKernel kernel, const PowerCalibration& power);

}  // namespace simulate
