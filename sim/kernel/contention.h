// A kernel and a collective side by side on one device.
//
// The collective's channels occupy compute units for as long as it runs (NCCL: one block per channel), so the
// kernel works on the rest:  units / (units - cores).
//   - A matrix product also waits for the blocks that found their unit taken: its tiles were dealt out for all
//     units, so up to `lost_waves` waves more. That doubles a product of two waves and is nothing to one of fifty.
//   - A kernel bound by memory shares the bandwidth with the collective's own traffic, where that is the larger loss.
// The collective slows because its copies wait longer for memory: by the share of the bandwidth that the kernel
// takes (cubed: queues are short until the memory is nearly full), by the operand traffic of products in L2, and most of all beside elementwise
// kernels that compute an address per element: they fill the issue slots of the units that they share with it.
//
// Measured on 2 H200 (tools/calibrate/data/h200.json, rows of the kind `contention`). Absent: which units are taken, two collectives at once
// beyond the sum of their cores.
#pragma once

#include "sim/kernel/kernel_model.h"
#include "sim/spec/accelerator.h"
#include "sim/spec/kernel_work.h"

namespace simulate {

// REQUIRES: pressure.cores >= 0.
[[nodiscard]] Slowdown SideBySide(const KernelWork& work, const CollectivePressure& pressure, const AcceleratorSpec& accelerator);

}  // namespace simulate
