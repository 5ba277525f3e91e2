#include "sim/kernel/recorded.h"

#include <algorithm>

namespace simulate {

Seconds RecordedTime(const KernelWork& work, const AcceleratorSpec& accelerator) {
  if (work.recorded.value() > 0.0) return work.recorded;
  FlopsPerSecond peak = accelerator.Peak(work.dtype);
  if (peak.value() <= 0.0) peak = accelerator.Peak(DType::kFp32);
  const Seconds multiplying = peak.value() > 0.0 ? work.flops / peak : Seconds();
  return std::max(multiplying, (work.read + work.written) / accelerator.memory_bandwidth);
}

}  // namespace simulate
