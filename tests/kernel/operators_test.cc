// Closed forms of attention, memory-bound kernels, the power limit and host calls.
#include <catch2/catch.hpp>

#include "sim/kernel/attention.h"
#include "sim/kernel/host_model.h"
#include "sim/kernel/kernel_model.h"
#include "sim/kernel/memory_bound.h"
#include "sim/kernel/power.h"

namespace simulate {
namespace {

// 10 units of 1 TFLOPS at 1 GHz, 1 TB/s, no overheads.
AcceleratorSpec Round() {
  AcceleratorSpec a;
  a.name = "round";
  a.memory_bandwidth = GBps(1000);
  a.compute_units = 10;
  a.clock = Hertz(1e9);
  a.peak_bf16 = TFlops(10);
  for (AccessCalibration& access : a.calibration.memory.access) access = {1.0, 0.0, 0.0, Seconds(0)};
  for (auto& kernel : a.calibration.attention) {
    for (AttentionCalibration& c : kernel) c = {.efficiency = 1.0, .softmax_cycles = 0.0, .block = Seconds(0), .rows = 0, .tensor_passes = 0.0, .launch = Seconds(0)};
  }
  return a;
}

AttentionShape Square(int64_t length, bool causal, bool backward) {
  return {1, 10, 10, length, length, 128, causal, backward, AttentionKernel::kFlash};
}

TEST_CASE("attention without overheads takes 4 b h s^2 d FLOPs, and 2.5 times that backward", "[kernel]") {
  const double forward = 4.0 * 10 * 1024 * 1024 * 128 / 10e12;
  CHECK(AttentionTime(Square(1024, false, false), DType::kBf16, Round()).value() == Approx(forward));
  CHECK(AttentionTime(Square(1024, false, true), DType::kBf16, Round()).value() == Approx(2.5 * forward));
}

TEST_CASE("values narrower than keys save their share of two products in two, backward of two in five", "[kernel]") {
  // d = 128 and v = 64: 2 (128 + 64) of 4 x 128 FLOPs a score, backward 2 (3 x 128 + 2 x 64) of 10 x 128.
  AttentionShape forward = Square(1024, false, false), backward = Square(1024, false, true);
  const double wide = AttentionTime(forward, DType::kBf16, Round()).value(), wide_backward = AttentionTime(backward, DType::kBf16, Round()).value();
  forward.value_dim = backward.value_dim = 64;
  CHECK(AttentionTime(forward, DType::kBf16, Round()).value() == Approx(wide * 0.75));
  CHECK(AttentionTime(backward, DType::kBf16, Round()).value() == Approx(wide_backward * 0.8));
  forward.value_dim = 128;
  CHECK(AttentionTime(forward, DType::kBf16, Round()).value() == wide);
}

TEST_CASE("a causal mask leaves n (n + 1) / 2 of n^2 blocks", "[kernel]") {
  const double full = AttentionTime(Square(1024, false, false), DType::kBf16, Round()).value();
  CHECK(AttentionTime(Square(1024, true, false), DType::kBf16, Round()).value() == Approx(full * 36 / 64));
}

KernelWork Memory(MemoryAccess access, int64_t rows, int64_t columns, int64_t read, int64_t written) {
  KernelWork w;
  w.kind = KernelKind::kMemory;
  w.access = access;
  w.rows = rows;
  w.columns = columns;
  w.read = Bytes(read);
  w.written = Bytes(written);
  return w;
}

TEST_CASE("arithmetic outweighs traffic where it takes longer", "[kernel]") {
  AcceleratorSpec a = Round();
  a.calibration.memory.access[static_cast<int>(MemoryAccess::kDropout)].cycles_per_element = 100;
  // 2^20 elements at 100 cycles on 10 units of 1 GHz: 10.5 ms; the traffic, 4 MiB, takes 4 us.
  const KernelWork w = Memory(MemoryAccess::kDropout, 1 << 10, 1 << 10, 1 << 21, 1 << 21);
  CHECK(MemoryTime(w, a).value() == Approx((1 << 20) * 100 / (10 * 1e9)));
}

TEST_CASE("log-softmax makes four passes, and a strided operand costs a sector per element", "[kernel]") {
  const int64_t n = int64_t{1} << 24;
  CHECK(MemoryTraffic(Memory(MemoryAccess::kLoss, 1 << 8, 1 << 16, 4 * n, 4 * n), Round()) == Approx(16.0 * n));
  CHECK(MemoryTraffic(Memory(MemoryAccess::kStrided, 1 << 12, 1 << 12, 4 * n, 2 * n), Round()) == Approx((6.0 + 32.0) * n));
}

TEST_CASE("half of the droop has come when a product lasts as long as the regulator takes", "[kernel]") {
  const PowerCalibration power{.droop = 0.4, .reaction = Microseconds(100)};
  CHECK(UnderPowerLimit(Microseconds(100), power).value() == Approx(120e-6));
  CHECK(UnderPowerLimit(Seconds(1), power).value() == Approx(1.4).epsilon(1e-3));
}

TEST_CASE("in a step a product's clock follows the share that products have of it", "[kernel]") {
  // Measured in a loop with pauses of 100 us: a product of 300 us had 0.75 of the time, where the clock loses 0.3 x (0.75 - 0.4).
  const PowerCalibration measured{.slope = 0.3, .free = 0.4, .rest = Microseconds(100)};
  CHECK(ProductLoss(0.2, measured) == 1.0);
  CHECK(ProductLoss(0.9, measured) == Approx(1.15));
  CHECK(InStep(Microseconds(300), 0.75, measured).value() == Approx(300e-6));
  CHECK(InStep(Microseconds(300), 0.2, measured).value() == Approx(300e-6 / 1.105));
  CHECK(InStep(Microseconds(300), 0.9, measured).value() == Approx(300e-6 * 1.15 / 1.105));
  // Short ones were measured at the full clock.
  CHECK(InStep(Microseconds(20), 0.9, measured).value() == Approx(20e-6 * 1.15));
}

TEST_CASE("a step's load moves products and attention, and nothing else", "[kernel]") {
  AcceleratorSpec a = Round();
  a.calibration.power = {.slope = 0.3, .free = 0.4, .attention_slope = 0.5, .attention_free = 0.3, .rest = Seconds(1)};
  // Everything here was measured at the full clock: a rest of a second.
  const KernelModel alone(a), busy(a, 1, {}, 0.9), idle(a, 1, {}, 0.1);
  KernelWork product, attention;
  product.kind = KernelKind::kGemm;
  product.gemm = {.m = 4096, .n = 4096, .k = 4096};
  attention.kind = KernelKind::kAttention;
  attention.attention = Square(1024, true, false);
  const KernelWork copy = Memory(MemoryAccess::kElementwise, 1 << 12, 1 << 12, 1 << 25, 1 << 25);
  for (const auto& [work, longer] : {std::pair{product, 1.15}, std::pair{attention, 1.30}, std::pair{copy, 1.0}}) {
    const double t = alone.Cost(work).time.value();
    CHECK(busy.Cost(work).time.value() == Approx(t * longer));
    CHECK(idle.Cost(work).time.value() == Approx(t));
  }
  // Where no slope is known the load says nothing.
  a.calibration.power = {};
  CHECK(KernelModel(a, 1, {}, 0.9).Cost(product).time.value() == KernelModel(a).Cost(product).time.value());
}

TEST_CASE("an implementation that takes twice as long as FlashAttention-2 draws half as much", "[kernel]") {
  PowerCalibration power;
  power.attention_draw = {0.5, 0.3, 0.2};
  CHECK(AttentionDraw(AttentionKernel::kFlash, power) == 0.5);
  CHECK(AttentionDraw(AttentionKernel::kMemoryEfficient, power) == 0.3);
  CHECK(AttentionDraw(AttentionKernel::kFlash2, power) == 0.2);
  CHECK(AttentionDraw(AttentionKernel::kFlash1, power) == Approx(0.1));
}

TEST_CASE("what a runtime spares the host", "[kernel]") {
  HostCalibration host;
  for (Seconds& cost : host.cost) cost = Microseconds(20);
  host.cost[static_cast<int>(HostCall::kCompiled)] = Microseconds(5);
  CHECK(HostModel(host, Runtime::kEager).Cost(HostCall::kOperator) == Microseconds(20));
  CHECK(HostModel(host, Runtime::kCompiled).Cost(HostCall::kOperator) == Microseconds(5));
  CHECK(HostModel(host, Runtime::kCompiled).Cost(HostCall::kView) == Seconds(0));
  CHECK(HostModel(host, Runtime::kCudaGraph).Cost(HostCall::kOperator) == Seconds(0));
  CHECK(HostModel(host, Runtime::kCudaGraph).Cost(HostCall::kIteration) == Microseconds(20));
  CHECK(HostModel(host, Runtime::kEager).launch_queue() == 1022);
  CHECK(HostModel(host, Runtime::kCudaGraph).launch_queue() == 0);  // one launch
}

}  // namespace
}  // namespace simulate
