// The load of a step, by hand and as property.
#include <catch2/catch.hpp>

#include "sim/parallel/build_program.h"
#include "sim/study/power_load.h"
#include "tests/study/scenarios.h"

namespace simulate {
namespace {

KernelWork Product() {
  KernelWork w;
  w.kind = KernelKind::kGemm;
  w.gemm = {.m = 1024, .n = 1024, .k = 1024};
  return w;
}

KernelWork Copy() {
  KernelWork w;
  w.kind = KernelKind::kMemory;
  w.read = w.written = Bytes(1 << 24);
  return w;
}

RankProgram Launches(const std::vector<uint32_t>& kernels) {
  RankProgram rank;
  for (const uint32_t k : kernels) {
    Instruction i;
    i.kind = InstructionKind::kKernel;
    i.object = k;
    rank.instructions.push_back(i);
  }
  return rank;
}

}  // namespace

TEST_CASE("the load is the mean of the kernels' draws over their times, every rank counted") {
  AcceleratorSpec a;
  a.memory_bandwidth = GBps(1000);
  a.compute_units = 10;
  a.clock = Hertz(1e9);
  a.peak_bf16 = TFlops(10);
  const KernelModel kernels(a);
  const double product = kernels.Cost(Product()).time.value(), copy = kernels.Cost(Copy()).time.value();
  Program program;
  program.kernels = {Product(), Copy()};
  program.programs = {Launches({0, 1, 1}), Launches({0})};
  program.program_of_rank = {0, 0, 0, 1};
  CHECK(PowerLoad(program, kernels) == Approx(4 * product / (4 * product + 6 * copy)));
  // A kernel between the two counts by what it draws.
  AcceleratorSpec drawing = a;
  drawing.calibration.power.memory_draw[static_cast<size_t>(MemoryAccess::kElementwise)] = 0.5;
  CHECK(PowerLoad(program, KernelModel(drawing)) == Approx((4 * product + 3 * copy) / (4 * product + 6 * copy)));
  // What precedes the step does not count; a step without kernels has no products.
  program.programs[0].step_begin = 3;
  CHECK(PowerLoad(program, kernels) == 1.0);
  program.programs[1].instructions.clear();
  CHECK(PowerLoad(program, kernels) == 0.0);
}

}  // namespace simulate
