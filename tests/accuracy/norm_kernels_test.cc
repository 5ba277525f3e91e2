// LayerNorm's kernels on an A100 against what Apex's authors measured: github.com/NVIDIA/apex/pull/1037 (January 2021), "GA100",
// 32 x 512 rows of 1024: Apex's 0.0751 and 0.1762 ms, its new kernels' 0.0535 and 0.0866 ms.
#include <catch2/catch.hpp>

#include <vector>

#include "sim/config/config.h"
#include "sim/kernel/memory_bound.h"
#include "sim/model/operators.h"

namespace simulate {
namespace {

Operator NormBy(NormKernel kernel) {
  LayerBuilder b("norm", Numerics{.stream = DType::kFp16, .compute = DType::kFp16, .multiply = DType::kFp16, .norm_kernel = kernel});
  LayerNorm(b, "norm", b.Input("x", 32 * 512, 1024, DType::kFp16), true);
  return b.last();
}

double Microseconds(const std::vector<Kernel>& kernels) {
  Diagnostics diagnostics;
  const auto a100 = LoadAccelerator("a100-40gb", SearchPath{{SIMULATE_SOURCE_DIR}}, diagnostics);
  REQUIRE(a100.has_value());
  double sum = 0;
  for (const Kernel& k : kernels) sum += MemoryTime(k.work, *a100).value() * 1e6;
  return sum;
}

TEST_CASE("LayerNorm's kernels on an A100 take as long as Apex measured") {
  const Operator first = NormBy(NormKernel::kApex), persistent = NormBy(NormKernel::kPersistent);
  CHECK(Microseconds(first.forward) == Approx(75.1).epsilon(0.12));
  CHECK(Microseconds(first.backward) == Approx(176.2).epsilon(0.09));
  CHECK(Microseconds(persistent.forward) == Approx(53.5).epsilon(0.08));
  CHECK(Microseconds(persistent.backward) == Approx(86.6).epsilon(0.05));
}

}  // namespace
}  // namespace simulate
