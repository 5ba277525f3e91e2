#include "sim/kernel/kernel_model.h"

#include <algorithm>
#include <utility>

#include "sim/base/check.h"
#include "sim/kernel/attention.h"
#include "sim/kernel/contention.h"
#include "sim/kernel/gemm.h"
#include "sim/kernel/memory_bound.h"
#include "sim/kernel/power.h"
#include "sim/kernel/recorded.h"
#include "sim/kernel/variation.h"

namespace simulate {

Seconds KernelTime(const KernelWork& work, const AcceleratorSpec& accelerator) {
  switch (work.kind) {
    case KernelKind::kGemm: return PlanGemm(work.gemm, work.dtype, accelerator).time;
    case KernelKind::kAttention: return AttentionTime(work.attention, work.dtype, accelerator);
    case KernelKind::kMemory: return MemoryTime(work, accelerator);
    case KernelKind::kHostCopy:
    case KernelKind::kHostOptimizer: return {};  // not the accelerator's: KernelModel
    case KernelKind::kRecorded: return RecordedTime(work, accelerator);
  }
  return {};
}

KernelModel::KernelModel(AcceleratorSpec accelerator, int64_t chips, HostSide host, std::optional<double> load)
    : accelerator_(std::move(accelerator)), host_(host),
      slowest_chip_(1.0 + accelerator_.calibration.power.spread * ExpectedLargest(chips)) {
  if (accelerator_.calibration.power.slope > 0.0) load_ = load;
}

Seconds KernelModel::UnderLoad(const KernelWork& work) const {
  const PowerCalibration& power = accelerator_.calibration.power;
  const Seconds alone = KernelTime(work, accelerator_);
  if (work.kind == KernelKind::kAttention) return (load_ ? AttentionLoss(*load_, power) : 1.0 + power.shared) * alone;
  return work.kind == KernelKind::kGemm && load_ ? InStep(alone, *load_, power) : alone;
}

KernelCost KernelModel::Cost(const KernelWork& work) const {
  const Calibration& c = accelerator_.calibration;
  if (work.kind == KernelKind::kHostCopy || work.kind == KernelKind::kHostOptimizer) {
    const BytesPerSecond rate = work.kind == KernelKind::kHostCopy ? host_.copy : host_.optimizer;
    SIM_CHECK(rate.value() > 0.0, "the node file says nothing of its host, and config/ let it pass");
    return {(work.read + work.written) / rate, Confidence::kCoarse};
  }
  // Nobody says that it was recorded on this very part.
  if (work.kind == KernelKind::kRecorded) return {KernelTime(work, accelerator_), Confidence::kCoarse};
  const double pace = work.kind == KernelKind::kMemory ? 1.0 : slowest_chip_;  // variation.h
  return {c.launch_gap + pace * UnderLoad(work), c.confidence};
}

Slowdown KernelModel::Beside(const KernelWork& work, const CollectivePressure& pressure) const {
  if (work.kind == KernelKind::kHostCopy || work.kind == KernelKind::kHostOptimizer) return {};
  return SideBySide(work, pressure, accelerator_);
}

}  // namespace simulate
