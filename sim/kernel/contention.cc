#include "sim/kernel/contention.h"

#include <algorithm>

#include "sim/kernel/gemm.h"
#include "sim/kernel/memory_bound.h"

namespace simulate {
namespace {

constexpr double kMostTaken = 0.5;  // the device never gives more than half of its units to collectives

// What the kernel does to others while it runs alone.
struct Load {
  double waves = 0;    // of tiles; 0: not a matrix product
  double memory = 0;   // share of the achievable bandwidth
  double compute = 0;  // share of the time that the multipliers are busy
  bool indexing = false;
};

bool ComputesAddresses(MemoryAccess access) {
  return access == MemoryAccess::kBroadcast || access == MemoryAccess::kMixedTypes || access == MemoryAccess::kStrided ||
         access == MemoryAccess::kTranspose || access == MemoryAccess::kTransposeInner;
}

Load LoadOf(const KernelWork& w, const AcceleratorSpec& a) {
  const double bandwidth =
      a.memory_bandwidth.value() * a.calibration.memory.access[static_cast<int>(MemoryAccess::kElementwise)].bandwidth;
  switch (w.kind) {
    case KernelKind::kGemm: {
      const GemmPlan plan = PlanGemm(w.gemm, w.dtype, a);
      const double memory = GemmBytes(w.gemm, w.dtype) / (plan.time.value() * bandwidth);
      return {plan.waves, std::min(1.0, memory), plan.waves / (plan.waves + 1.0), false};
    }
    case KernelKind::kAttention: return {0, 0, 0.8, false};  // multipliers and exponentials take turns
    case KernelKind::kHostCopy:
    case KernelKind::kHostOptimizer: return {};
    case KernelKind::kRecorded: return {};
    case KernelKind::kMemory:
      return {0, std::min(1.0, MemoryTraffic(w, a) / (MemoryTime(w, a).value() * bandwidth)), 0, ComputesAddresses(w.access)};
  }
  return {};
}

}  // namespace

Slowdown SideBySide(const KernelWork& work, const CollectivePressure& pressure, const AcceleratorSpec& a) {
  if (pressure.cores == 0 || work.kind == KernelKind::kRecorded) return {};
  const ContentionCalibration& c = a.calibration.contention;
  const Load load = LoadOf(work, a);
  const double units = static_cast<double>(a.compute_units);
  const double taken = std::min(static_cast<double>(pressure.cores) / units, kMostTaken);
  Slowdown out;
  out.kernel = 1.0 / (1.0 - taken);
  if (load.waves > 0) out.kernel += c.lost_waves / load.waves;
  const double share = pressure.memory_traffic.value() / a.memory_bandwidth.value();
  out.kernel = std::max(out.kernel, 1.0 + share * load.memory);
  out.collective = 1.0 + c.collective_by_memory * load.memory * load.memory * load.memory + c.collective_by_compute * load.compute +
                   (load.indexing ? c.collective_by_indexing : 0.0);
  return out;
}

}  // namespace simulate
