// No two chips are alike: under the same power limit one sustains a higher clock than the next. Ranks that meet in
// collectives all through a step run at the pace of the slowest of them, so a step is longer the more ranks there are.
//
//   t' = t * (1 + spread * z(n)),   z(n) = expected largest of n normal draws ~ quantile((n - 3/8) / (n + 1/4))
//
// (Blom 1958.) The spread is of products and attention, which the power limit governs. Its size: Sinha et al., "Not All
// GPUs Are Created Equal", SC 2022, find 8 % between the whiskers of matrix products on clusters of one GPU model;
// whiskers of a normal distribution are 5.4 standard deviations apart, so 1.5 %. z(8) = 1.43, z(512) = 3.04: a step bound
// by products loses 2.4 % between 8 and 512 GPUs before a byte is sent.
// Absent: which rank it is (`perturb:` names one), memory-bound kernels (memory clocks do not vary), jitter in time.
#pragma once

#include <cstdint>

namespace simulate {

// Expected largest of n standard normal draws; 0 for n <= 1.
[[nodiscard]] double ExpectedLargest(int64_t n);

}  // namespace simulate
