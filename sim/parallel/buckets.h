// Gradient buckets: in which order gradients become ready, and how they are packed.
#pragma once

#include <vector>

#include "sim/parallel/environment.h"

namespace simulate {

// Parameters in the order in which a backward completes their gradients.
[[nodiscard]] std::vector<uint32_t> GradientOrder(const Environment& environment);

struct BucketCaps {
  int64_t first_bytes = 1 << 20;
  int64_t bytes = 25 << 20;
};
// A bucket takes parameters in order until it holds at least its cap
// (torch/csrc/distributed/c10d/reducer.cpp, compute_bucket_assignment_by_size).
[[nodiscard]] std::vector<std::vector<uint32_t>> AssignBuckets(const std::vector<uint32_t>& order,
                                                               const std::vector<Bytes>& sizes, const BucketCaps& caps);

}  // namespace simulate
