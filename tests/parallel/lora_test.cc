#include <catch2/catch.hpp>

#include "tests/parallel/fixture.h"

using namespace simulate;

namespace {

Scenario Adapted(int64_t rank, std::vector<std::string> targets) {
  Scenario s = TinyGpt(1, 3);
  UseBf16(s);
  s.training.lora.rank = rank;
  s.training.lora.targets = std::move(targets);
  return s;
}

Bytes Persistent(const Scenario& s, MemoryCategory category) {
  const MemoryTotals memory = MemoryOf(BuildProgram(s));
  const auto found = memory.persistent.find(category);
  return found == memory.persistent.end() ? Bytes(0) : found->second;
}

// rank (in + out) for q, k, v, o (256 x 256) and w1, w2 (256 x 1024), three blocks.
int64_t AdapterWeights(int64_t rank) { return 3 * rank * (4 * (256 + 256) + 2 * (256 + 1024)); }

int64_t WeightGradients(const Program& program) {
  int64_t count = 0;
  for (const Instruction& i : program.programs[0].instructions) {
    if (i.kind != InstructionKind::kKernel) continue;
    const KernelWork& work = program.kernels[i.object];
    if (work.kind == KernelKind::kGemm && work.gemm.pass == GemmPass::kWeightGradient) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("LoRA trains its adapters alone: gradients, optimizer state and weight-gradient products are theirs") {
  Scenario s = Adapted(8, {"q", "k", "v", "o", "w1", "w2"});
  s.model.fused_qkv = false;
  const Program program = BuildProgram(s);
  Scenario whole = s;
  whole.training.lora = {};
  const int64_t adapters = AdapterWeights(8);
  CHECK(ParameterCount(s) == ParameterCount(whole) + adapters);
  CHECK(Persistent(s, MemoryCategory::kParameters) == Bytes(2 * (ParameterCount(whole) + adapters)));
  CHECK(Persistent(s, MemoryCategory::kOptimizerState) == Bytes(2 * 2 * adapters));
  CHECK(WeightGradients(program) == 3 * 6 * 2);  // two per adapter
  Bytes gradients;
  for (const Buffer& buffer : program.programs[0].buffers) {
    if (buffer.category == MemoryCategory::kGradients) gradients += buffer.bytes;
  }
  CHECK(gradients == Bytes(2 * adapters));
}

TEST_CASE("frozen products count two passes: model FLOPs lie between two thirds and all of full training's") {
  const Scenario s = Adapted(1, {"q"});
  Scenario whole = s;
  whole.training.lora = {};
  const double ratio = BuildProgram(s).totals.model_flops / BuildProgram(whole).totals.model_flops;
  CHECK(ratio > 2.0 / 3.0);
  CHECK(ratio < 0.72);  // attention keeps its three, and the adapter adds a little
}

TEST_CASE("a frozen layer without adapter does not keep its input") {
  // Adapters on q alone: the inputs of o, w1 and w2 are kept for nothing else but w1's, which the activation does not need.
  const Scenario some = Adapted(8, {"q"});
  Scenario whole = some;
  whole.training.lora = {};
  CHECK(MemoryOf(BuildProgram(some)).peak < MemoryOf(BuildProgram(whole)).peak);
  const Scenario all = Adapted(8, {"q", "k", "v", "o", "w1", "w2"});
  CHECK(MemoryOf(BuildProgram(some)).peak < MemoryOf(BuildProgram(all)).peak);
}

TEST_CASE("QLoRA's 4-bit weights take 4.127 bits, int8 and fp8 ones 8 and their scales") {
  // Blocks' matrices: 4 x 256 x 256 + 2 x 256 x 1024 each; all else stays in bf16.
  const int64_t matrices = 3 * (4 * 256 * 256 + 2 * 256 * 1024);
  Scenario s = Adapted(8, {"q"});
  s.model.fused_qkv = false;
  const Bytes plain = Persistent(s, MemoryCategory::kParameters);
  s.training.lora.base = DType::kInt4;
  const auto bits = [&](Bytes now) { return 16.0 - 8.0 * static_cast<double>((plain - now).value()) / static_cast<double>(matrices); };
  CHECK(bits(Persistent(s, MemoryCategory::kParameters)) == Approx(4.127).margin(0.001));
  s.training.lora.base = DType::kInt8;
  const int64_t outputs = 3 * (4 * 256 + 1024 + 256);
  CHECK(plain - Persistent(s, MemoryCategory::kParameters) == Bytes(matrices - 4 * outputs));
  s.training.lora.base = DType::kFp8;
  CHECK(plain - Persistent(s, MemoryCategory::kParameters) == Bytes(matrices - 4 * 3 * 6));
}

TEST_CASE("rules of thumb: a billion weights take 4 GB in fp32, 2 in 16 bits, 1 in int8; 16 with gradient and Adam in fp32") {
  CHECK(SizeOf(DType::kFp32, 1'000'000'000) == Bytes(4'000'000'000));
  CHECK(SizeOf(DType::kFp16, 1'000'000'000) == Bytes(2'000'000'000));
  CHECK(SizeOf(DType::kInt8, 1'000'000'000) == Bytes(1'000'000'000));
  Scenario s = TinyGpt(1, 3);
  UseBf16(s);
  const int64_t n = ParameterCount(s);
  CHECK(Persistent(s, MemoryCategory::kParameters) == Bytes(2 * n));
  s.training.precision = {.name = "fp32", .parameters = DType::kFp32, .compute = DType::kFp32, .gradients = DType::kFp32,
                          .gradient_reduction = DType::kFp32, .master_weights = {}, .optimizer = DType::kFp32};
  const Program program = BuildProgram(s);
  Bytes gradients;
  for (const Buffer& buffer : program.programs[0].buffers) {
    if (buffer.category == MemoryCategory::kGradients) gradients += buffer.bytes;
  }
  CHECK(Persistent(s, MemoryCategory::kParameters) == Bytes(4 * n));
  CHECK(Persistent(s, MemoryCategory::kParameters) + gradients + Persistent(s, MemoryCategory::kOptimizerState) == Bytes(16 * n));
  s.training.optimizer = Optimizer::kAdam8bit;  // two moments of a byte, a scale per 256 of each
  const double state = static_cast<double>(Persistent(s, MemoryCategory::kOptimizerState).value()) / static_cast<double>(n);
  CHECK(state == Approx(2.0 + 8.0 / 256.0).epsilon(0.01));
}

TEST_CASE("a frozen layer's bias has no gradient, in eager and in compiled code") {
  for (const Runtime runtime : {Runtime::kEager, Runtime::kCompiled}) {
    Scenario s = Adapted(8, {"q"});
    s.training.runtime = runtime;
    CHECK(CountNamed(BuildProgram(s), "w1.bias_gradient") == 0);
    s.training.lora = {};
    CHECK(CountNamed(BuildProgram(s), "w1.bias_gradient") == 3);
  }
}
