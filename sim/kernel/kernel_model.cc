#include "sim/kernel/kernel_model.h"

#include <algorithm>
#include <utility>

#include "sim/kernel/attention.h"
#include "sim/kernel/contention.h"
#include "sim/kernel/gemm.h"
#include "sim/kernel/memory_bound.h"

namespace simulate {

KernelModel::KernelModel(AcceleratorSpec accelerator) : accelerator_(std::move(accelerator)) {}

KernelCost KernelModel::Cost(const KernelWork& work) const {
  const Calibration& c = accelerator_.calibration;
  switch (work.kind) {
    case KernelKind::kGemm: return {c.launch_gap + PlanGemm(work.gemm, work.dtype, accelerator_).time, c.confidence};
    case KernelKind::kAttention: return {c.launch_gap + AttentionTime(work.attention, work.dtype, accelerator_), c.confidence};
    case KernelKind::kMemory: return {c.launch_gap + MemoryTime(work, accelerator_), c.confidence};
  }
  return {};
}

Slowdown KernelModel::Beside(const KernelWork& work, const CollectivePressure& pressure) const {
  return SideBySide(work, pressure, accelerator_);
}

}  // namespace simulate
