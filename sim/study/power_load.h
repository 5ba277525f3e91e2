// The load of a step: what its kernels draw on average, all ranks together, by which the power limit sets the clock
// (kernel/power.h). By times of kernels alone. Not counted: the optimizer, whose time is its own, idle time, copies to the
// host, recorded kernels.
#pragma once

#include "sim/kernel/kernel_model.h"
#include "sim/program/program.h"

namespace simulate {

// Of a step in which no kernel runs: 0.
[[nodiscard]] double PowerLoad(const Program& program, const KernelModel& kernels);

// Kernels as they run in a step of this program.
[[nodiscard]] KernelModel KernelsInStep(const Program& program, const AcceleratorSpec& accelerator, int64_t chips, const HostSide& host);

}  // namespace simulate
