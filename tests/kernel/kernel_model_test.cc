#include "sim/kernel/kernel_model.h"
#include "sim/kernel/variation.h"

#include <catch2/catch.hpp>

#include "sim/kernel/gemm.h"

namespace simulate {
namespace {

// A device with round numbers: 10 units of 1 TFLOPS, 1 TB/s, no overheads.
AcceleratorSpec Round() {
  AcceleratorSpec a;
  a.name = "round";
  a.memory = GiB(80);
  a.memory_bandwidth = GBps(1e6);
  a.compute_units = 10;
  a.clock = Hertz(1e9);
  a.peak_bf16 = TFlops(10);
  a.calibration.gemm.efficiency = 1.0;
  a.calibration.gemm.tile_traffic = 0.0;
  for (AccessCalibration& access : a.calibration.memory.access) access.bandwidth = 1.0;
  return a;
}

KernelWork Gemm(int64_t m, int64_t n, int64_t k) {
  KernelWork w;
  w.kind = KernelKind::kGemm;
  w.gemm = {1, m, n, k, GemmPass::kForward};
  return w;
}

TEST_CASE("a product that fills every unit takes its FLOPs over the peak", "[kernel]") {
  // 5 x 2 tiles of 256 x 128 for 10 units: one wave, no tile half empty.
  const GemmPlan plan = PlanGemm(Gemm(1280, 256, 4096).gemm, DType::kBf16, Round());
  CHECK(plan.time.value() == Approx(2.0 * 1280 * 256 * 4096 / 10e12).epsilon(1e-3));
}

TEST_CASE("the number of tokens need not be a multiple of anything", "[kernel]") {
  // 1229 rows of 1536 features start at multiples of 16 bytes as 1232 do; 1229 features do not.
  const AcceleratorSpec a = Round();
  AcceleratorSpec slow = a;
  slow.calibration.gemm.unaligned = 0.01;
  const auto same = [&](const GemmShape& s) { return PlanGemm(s, DType::kBf16, a).time.value() == PlanGemm(s, DType::kBf16, slow).time.value(); };
  CHECK(same({20, 1229, 1536, 5120, GemmPass::kForward}));
  CHECK(same({20, 1229, 5120, 1536, GemmPass::kDataGradient}));
  CHECK(same({20, 1536, 5120, 1229, GemmPass::kWeightGradient}));
  CHECK_FALSE(same({1, 1536, 1229, 5120, GemmPass::kForward}));
  CHECK_FALSE(same({1, 1536, 5120, 1229, GemmPass::kDataGradient}));
  CHECK_FALSE(same({1, 1229, 5120, 1536, GemmPass::kWeightGradient}));
}

TEST_CASE("a product that is added to a buffer moves the buffer twice", "[kernel]") {
  // 2 (m k + n k) bytes of operands, and 4 + 4 instead of 2 per result.
  CHECK(GemmBytes({3, 10, 20, 30, GemmPass::kWeightGradient, 4}, DType::kBf16) == 3.0 * (2 * (10 * 30 + 20 * 30) + 8 * 200));
  CHECK(GemmBytes({3, 10, 20, 30, GemmPass::kWeightGradient}, DType::kBf16) == 3.0 * (2 * (10 * 30 + 20 * 30) + 2 * 200));
}

TEST_CASE("one tile more than the units starts another wave", "[kernel]") {
  AcceleratorSpec a = Round();
  const KernelModel model(a);
  const double full = model.Cost(Gemm(64 * 10, 64, 64)).time.value();
  const double more = model.Cost(Gemm(64 * 10 + 8, 64, 64)).time.value();
  CHECK(more == Approx(2 * full).epsilon(0.01));
}

TEST_CASE("memory-bound kernels take bytes over bandwidth", "[kernel]") {
  AcceleratorSpec a = Round();
  a.memory_bandwidth = GBps(1000);
  KernelWork w;
  w.kind = KernelKind::kMemory;
  w.read = Bytes(int64_t{1} << 30);
  w.written = Bytes(int64_t{1} << 30);
  CHECK(KernelModel(a).Cost(w).time.value() == Approx(2.0 * (int64_t{1} << 30) / 1e12));
}

TEST_CASE("a collective takes units away and nothing when it has none", "[kernel]") {
  const KernelModel model(Round());
  const KernelWork w = Gemm(6400, 6400, 4096);
  CHECK(model.Beside(w, {0, GBps(0)}).kernel == 1.0);
  const Slowdown two = model.Beside(w, {2, GBps(100)});
  CHECK(two.kernel > 1.25);   // 10 / 8, and the wave that waits
  CHECK(two.collective > 1.0);
}

}  // namespace
}  // namespace simulate

namespace simulate {
namespace {

// Tabulated expectations of the largest of n normal draws (Harter 1961): 8: 1.4236, 100: 2.5076.
TEST_CASE("the slowest of n chips") {
  CHECK(ExpectedLargest(1) == 0.0);
  CHECK(ExpectedLargest(8) == Approx(1.4236).epsilon(0.01));
  CHECK(ExpectedLargest(100) == Approx(2.5076).epsilon(0.01));
  AcceleratorSpec a;
  a.name = "round";
  a.compute_units = 100;
  a.clock = Hertz(1e9);
  a.peak_bf16 = TFlops(100);
  a.memory_bandwidth = GBps(1000);
  a.calibration.power.spread = 0.015;
  KernelWork product;
  product.kind = KernelKind::kGemm;
  product.gemm = {1, 4096, 4096, 4096, GemmPass::kForward};
  const double alone = KernelModel(a).Cost(product).time.value();
  CHECK(KernelModel(a, 8).Cost(product).time.value() / alone == Approx(1 + 0.015 * ExpectedLargest(8)));
  KernelWork copy;
  copy.read = copy.written = MiB(512);
  CHECK(KernelModel(a, 512).Cost(copy).time == KernelModel(a).Cost(copy).time);
}

}  // namespace
}  // namespace simulate
