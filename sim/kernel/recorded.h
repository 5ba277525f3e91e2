// Work of a trace that someone else recorded (KernelKind::kRecorded).
//
// As long as it was measured to be; where only counts are known, a plain roofline, as ASTRA-sim has it
// (astra-sim/system/Roofline.cc): max(flops / peak, bytes / bandwidth) at the datasheet's figures.
// Absent on purpose: tiles, waves, launch gaps, contention. A recorded time holds what ran beside it already.
#pragma once

#include "sim/base/units.h"
#include "sim/spec/accelerator.h"
#include "sim/spec/kernel_work.h"

namespace simulate {

[[nodiscard]] Seconds RecordedTime(const KernelWork& work, const AcceleratorSpec& accelerator);

}  // namespace simulate
