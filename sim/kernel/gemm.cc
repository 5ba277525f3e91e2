#include "sim/kernel/gemm.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/base/check.h"
#include "sim/kernel/power.h"

namespace simulate {
namespace {

struct Tile {
  double m, n;
};

// What cuBLAS chooses from on Ampere and Hopper, in essence (nvjet and xmma kernel names in profiles).
constexpr std::array<Tile, 11> kTiles = {{{64, 64}, {128, 64}, {64, 128}, {128, 128}, {192, 128}, {128, 192}, {256, 128},
                                          {128, 256}, {320, 128}, {64, 256}, {256, 64}}};
constexpr std::array<int, 8> kSplits = {1, 2, 3, 4, 6, 8, 12, 16};
constexpr double kInnerStep = 64;   // k is processed in steps of this many 16-bit elements
constexpr double kOverlap = 2.5;    // p of the norm

double Efficiency(const GemmShape& shape, DType type, const GemmCalibration& c) {
  if (type == DType::kFp32) return c.efficiency_fp32;
  // The extents along which rows lie in memory; tokens (m, of a weight gradient k) are along none and may be any number.
  const int64_t contiguous = shape.n | (shape.pass == GemmPass::kWeightGradient ? shape.m : shape.k);
  if (contiguous % 2 != 0) return c.unaligned;
  if (contiguous % 8 != 0) return c.half_aligned;
  if (type == DType::kTf32) return c.efficiency_tf32;
  if (type == DType::kFp8 || type == DType::kInt8) return c.efficiency_fp8;
  return c.efficiency;
}

double ResultSize(DType type) { return type == DType::kFp32 || type == DType::kTf32 ? 4.0 : 2.0; }
// Bytes that cross per element of the result: what it is added to is read and written.
double ResultTraffic(const GemmShape& s, DType type) {
  return s.added_to > 0 ? 2.0 * static_cast<double>(s.added_to) : ResultSize(type);
}
// ... of which the multipliers wait for: a 16-bit tile of the buffer fits beside the operands and is fetched ahead.
double DrainTraffic(const GemmShape& s, DType type) { return s.added_to == 2 ? 2.0 : ResultTraffic(s, type); }
double OperandSize(DType type) { return static_cast<double>(SizeOf(type, 1).value()); }

}  // namespace

double GemmBytes(const GemmShape& s, DType type) {
  const double m = static_cast<double>(s.m), n = static_cast<double>(s.n), k = static_cast<double>(s.k);
  return static_cast<double>(s.batch) * (OperandSize(type) * (m * k + n * k) + ResultTraffic(s, type) * m * n);
}

GemmPlan PlanGemm(const GemmShape& s, DType type, const AcceleratorSpec& a) {
  const GemmCalibration& c = a.calibration.gemm;
  const double peak = a.Peak(type).value();
  SIM_CHECK(peak > 0, a.name, " has no multipliers for ", Name(type));
  SIM_CHECK(s.batch >= 1 && s.m >= 1 && s.n >= 1 && s.k >= 1, "empty product");
  const double units = static_cast<double>(a.compute_units);
  const double full_rate = peak / units * Efficiency(s, type, c);
  const double m = static_cast<double>(s.m), n = static_cast<double>(s.n);
  const double inner_step = kInnerStep * 2.0 / OperandSize(type);
  const double memory = GemmBytes(s, type) / (a.memory_bandwidth.value() *
      a.calibration.memory.access[static_cast<int>(MemoryAccess::kElementwise)].bandwidth);
  GemmPlan best;
  for (const Tile& tile : kTiles) {
    const double rate = full_rate / (1.0 + c.tile_traffic * (128.0 / tile.m + 128.0 / tile.n));
    const double area = tile.m * tile.n;
    const double drain = c.tile_drain.value() * area / (256.0 * 128.0) * DrainTraffic(s, type) / 2.0;
    const double tiles = static_cast<double>(s.batch) * std::ceil(m / tile.m) * std::ceil(n / tile.n);
    for (const int split : kSplits) {
      const double inner = std::ceil(static_cast<double>(s.k) / split / inner_step) * inner_step;
      const double waves = std::ceil(tiles * split / units);
      const double per_tile = 2.0 * area * inner / rate + drain * (split > 1 ? 2.0 : 1.0);
      const double compute = waves * per_tile + (split > 1 ? c.split_reduction.value() : 0.0);
      if (best.tiles == 0 || compute < best.time.value()) {
        best = {Seconds(compute), static_cast<int64_t>(tiles * split), waves, memory > compute};
      }
      if (split * inner_step >= static_cast<double>(s.k)) break;
    }
  }
  const double time = std::pow(std::pow(best.time.value(), kOverlap) + std::pow(memory, kOverlap), 1.0 / kOverlap);
  best.time = UnderPowerLimit(Seconds(time), a.calibration.power) + a.calibration.memory.ramp;
  return best;
}

}  // namespace simulate
