// The share of a step's kernel time that matrix products and attention take, all ranks together: what the power limit goes by
// (kernel/power.h). By times of kernels alone; attention counts by its rate against the accelerator's best kernel (on H100 FlashAttention-2
// for 0.47). Not counted: the optimizer, whose time is its own, idle time, copies to the host, recorded kernels.
#pragma once

#include "sim/kernel/kernel_model.h"
#include "sim/program/program.h"

namespace simulate {

// Of a step in which no kernel runs: 0.
[[nodiscard]] double ProductsShare(const Program& program, const KernelModel& kernels);

// Kernels as they run in a step of this program.
[[nodiscard]] KernelModel KernelsInStep(const Program& program, const AcceleratorSpec& accelerator, int64_t chips, const HostSide& host);

}  // namespace simulate
