#include "sim/kernel/memory_bound.h"

#include <algorithm>
#include <cmath>

namespace simulate {
namespace {

constexpr double kOverlap = 4.0;          // p of the norm: traffic hides arithmetic well
constexpr double kSector = 32.0;          // bytes, the least that the memory delivers
constexpr double kSectorHit = 4.0;        // how much faster L2 delivers single sectors than the memory
constexpr double kOnChipRow = 4096.0;     // bytes of a row that stay on chip between two passes
constexpr double kOffChipRow = 16384.0;   // bytes of a row of which nothing does
constexpr double kManyRows = 65536;       // above it a norm's weight gradient is reduced in two stages
constexpr double kLossPasses = 4.0;       // maximum, sum and result (forward); sum and result over two operands (backward)

struct Extent {
  double rows = 0, columns = 0;
  [[nodiscard]] double elements() const { return rows * columns; }
};

Extent ExtentOf(const KernelWork& w) {
  if (w.rows > 0 && w.columns > 0) return {static_cast<double>(w.rows), static_cast<double>(w.columns)};
  const double bytes = static_cast<double>(std::max(w.read, w.written).value());
  return {1.0, bytes / static_cast<double>(std::max<int64_t>(1, SizeOf(w.dtype, 1).value()))};
}

bool IsApexNorm(MemoryAccess a) { return a == MemoryAccess::kApexNorm || a == MemoryAccess::kApexNormBackward; }

bool HasTwoPasses(const KernelWork& w) {
  if (w.written.value() * 8 < w.read.value()) return false;  // a value per row: one pass
  switch (w.access) {
    case MemoryAccess::kRowReduction:
    case MemoryAccess::kRowReductionBackward:
    case MemoryAccess::kLayerNorm:
    case MemoryAccess::kSoftmax:
    case MemoryAccess::kApexNorm:
    case MemoryAccess::kApexNormBackward: return true;
    default: return false;
  }
}

// Traffic that reaches the memory interface or, the share `cached`, only the L2 cache.
struct Traffic {
  double bytes = 0, cached = 0;
  double off_chip = 0;  // share of a row that is gone from the core when its second pass comes
};

Traffic TrafficOf(const KernelWork& w, const Extent& e, const AcceleratorSpec& a) {
  const double read = static_cast<double>(w.read.value()), written = static_cast<double>(w.written.value());
  const double declared = read + written;
  Traffic t{declared, 0};
  if (w.access == MemoryAccess::kLoss) t.bytes = std::max(declared, kLossPasses * written);
  const double half_cache = static_cast<double>(a.l2_cache.value()) / 2;
  if (w.access == MemoryAccess::kStrided) {
    const bool resident = read - written < half_cache;  // the operand that is broadcast
    t.bytes = declared + kSector * e.elements() / (resident ? kSectorHit : 1.0);
  }
  if (HasTwoPasses(w) && e.rows > 0) {
    const double row = read / e.rows;
    t.off_chip = std::clamp((row - kOnChipRow) / (kOffChipRow - kOnChipRow), 0.0, 1.0);
    t.bytes += read * t.off_chip;
  }
  if (half_cache > 0) t.cached = std::clamp(1.0 - declared / half_cache, 0.0, 1.0);
  return t;
}

}  // namespace

double MemoryTraffic(const KernelWork& work, const AcceleratorSpec& accelerator) {
  const Traffic t = TrafficOf(work, ExtentOf(work), accelerator);
  return t.bytes * (1.0 - t.cached);
}

Seconds MemoryTime(const KernelWork& work, const AcceleratorSpec& a) {
  const AccessCalibration& c = a.calibration.memory.access[static_cast<int>(work.access)];
  const Extent e = ExtentOf(work);
  const Traffic t = TrafficOf(work, e, a);
  const double bandwidth = a.memory_bandwidth.value() * c.bandwidth;
  const double memory = t.bytes * ((1.0 - t.cached) + t.cached / a.calibration.memory.cache_speedup) / bandwidth;
  const double cycle = 1.0 / (static_cast<double>(a.compute_units) * a.clock.value());
  const double passes = IsApexNorm(work.access) ? 1.0 + t.off_chip : 1.0;  // loads of two bytes, issued again
  const double arithmetic = e.elements() * passes * c.cycles_per_element * cycle;
  const double rows = e.rows * c.cycles_per_row * cycle;
  double norm = std::pow(memory, kOverlap) + std::pow(arithmetic, kOverlap);
  const bool apex = work.access == MemoryAccess::kApexNormWeightGradient;
  const bool hidden = work.access == MemoryAccess::kNormWeightGradient || apex;
  if (hidden && (apex || e.rows <= kManyRows)) norm += std::pow(rows, kOverlap);
  const double time = std::pow(norm, 1.0 / kOverlap) + (hidden ? 0.0 : rows);
  return Seconds(time) + c.fixed + a.calibration.memory.ramp;
}

}  // namespace simulate
