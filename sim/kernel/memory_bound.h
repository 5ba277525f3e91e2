// Time of a kernel that moves bytes rather than multiplies.
//
//   t = ramp + fixed + norm(traffic / bandwidth, elements * cycles_per_element * cycle) + rows * cycles_per_row * cycle
//   cycle = 1 / (units * clock),  norm(a, b) = (a^4 + b^4)^(1/4)
//
// The share of the bandwidth and the cycles depend on the kernel (MemoryAccess). Cycles matter where the
// vectorised path is not taken (index arithmetic, type conversion) and where arithmetic outweighs the
// traffic (erf, random numbers, AdamW). Small sizes end at the ramp. Traffic is what the kernel declares, and:
//   - what fits in half of the L2 cache was left there by the kernel before and is read from it;
//   - a row that outgrows a core's on-chip share is fetched again for the second pass (norms, softmax;
//     not a mean, which needs one);
//   - log-softmax makes four passes over a row of the vocabulary;
//   - a strided operand costs a 32-byte sector per element;
//   - a norm's weight gradient walks down its rows with few threads, so its row term hides in the norm
//     (up to 65,536 rows; above, PyTorch reduces in two stages);
//   - Apex's first norms load two bytes at a time: a row fetched again costs their cycles again.
// `fixed` is a second launch or a sort inside the call.
// Absent: alignment and bank conflicts, two kernels side by side.
#pragma once

#include "sim/base/units.h"
#include "sim/spec/accelerator.h"
#include "sim/spec/kernel_work.h"

namespace simulate {

// Alone, launch gap not included.
[[nodiscard]] Seconds MemoryTime(const KernelWork& work, const AcceleratorSpec& accelerator);

// Bytes that cross the device's memory interface.
[[nodiscard]] double MemoryTraffic(const KernelWork& work, const AcceleratorSpec& accelerator);

}  // namespace simulate
