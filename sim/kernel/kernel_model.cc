#include "sim/kernel/kernel_model.h"

#include <algorithm>
#include <utility>

#include "sim/kernel/attention.h"
#include "sim/kernel/contention.h"
#include "sim/kernel/gemm.h"
#include "sim/kernel/memory_bound.h"

namespace simulate {

Seconds KernelTime(const KernelWork& work, const AcceleratorSpec& accelerator) {
  switch (work.kind) {
    case KernelKind::kGemm: return PlanGemm(work.gemm, work.dtype, accelerator).time;
    case KernelKind::kAttention: return AttentionTime(work.attention, work.dtype, accelerator);
    case KernelKind::kMemory: return MemoryTime(work, accelerator);
  }
  return {};
}

KernelModel::KernelModel(AcceleratorSpec accelerator) : accelerator_(std::move(accelerator)) {}

KernelCost KernelModel::Cost(const KernelWork& work) const {
  const Calibration& c = accelerator_.calibration;
  return {c.launch_gap + KernelTime(work, accelerator_), c.confidence};
}

Slowdown KernelModel::Beside(const KernelWork& work, const CollectivePressure& pressure) const {
  return SideBySide(work, pressure, accelerator_);
}

}  // namespace simulate
