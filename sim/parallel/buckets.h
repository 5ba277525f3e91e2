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

// The same for dense parameters and then for experts', which have fewer copies, apart: every bucket holds one kind.
[[nodiscard]] std::vector<std::vector<uint32_t>> BucketsByCopies(const Environment& environment, const std::vector<Bytes>& sizes,
                                                                 const BucketCaps& caps);

// Parameters of this rank that it updates when optimizer state is divided over all copies of each.
[[nodiscard]] int64_t DividedElements(const Environment& environment);

}  // namespace simulate
