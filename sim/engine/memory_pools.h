// The pools of PyTorch's caching allocator (c10/cuda/CUDACachingAllocator.cpp): every stream has one for small requests and one
// for large ones, which get their memory from the device in units of these sizes.
#pragma once

#include <cstdint>

namespace simulate {

inline constexpr int64_t kSmallBuffer = int64_t{2} << 20;
inline constexpr int64_t kLargeBuffer = int64_t{20} << 20;

[[nodiscard]] inline bool IsLarge(uint32_t pool) { return (pool & 1) != 0; }

}  // namespace simulate
