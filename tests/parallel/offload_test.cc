#include <catch2/catch.hpp>

#include "tests/parallel/fixture.h"

using namespace simulate;

namespace {

// 16-bit weights and gradients beside fp32 masters and Adam: 2 + 2 + 12 bytes per weight.
Scenario Offloaded(DataStrategy strategy, Offload offload) {
  Scenario s = TinyGpt(8, 4);
  s.model.hidden_size = 512;  // matrices of at least 1e5 elements, which ZeRO-3 divides
  s.model.num_attention_heads = s.model.num_key_value_heads = 8;
  s.model.intermediate_size = 2048;
  s.parallelism.data.strategy = strategy;
  s.parallelism.data.offload = offload;
  return s;
}

Bytes WorkOf(const Program& program, KernelKind kind) {
  Bytes sum;
  for (const Instruction& i : program.programs[0].instructions) {
    if (i.kind != InstructionKind::kKernel || program.kernels[i.object].kind != kind) continue;
    sum += program.kernels[i.object].read + program.kernels[i.object].written;
  }
  return sum;
}

Bytes Persistent(const Program& program, MemoryCategory category) {
  const MemoryTotals memory = MemoryOf(program);
  const auto found = memory.persistent.find(category);
  return found == memory.persistent.end() ? Bytes(0) : found->second;
}

}  // namespace

TEST_CASE("ZeRO-Offload holds 16 bytes per weight of a rank's part on the host: fp32 weight, gradient and two moments") {
  const Scenario s = Offloaded(DataStrategy::kZero2, Offload::kOptimizer);
  const Program program = BuildProgram(s);
  const int64_t local = DivCeil(ParameterCount(s), int64_t{8});
  CHECK(program.programs[0].host_memory == Bytes(16 * local));
  CHECK(Persistent(program, MemoryCategory::kParameters) == Bytes(2 * ParameterCount(s)));
  for (const auto category : {MemoryCategory::kOptimizerState, MemoryCategory::kMasterWeights, MemoryCategory::kGradients}) {
    CHECK(Persistent(program, category) == Bytes(0));
  }
  // CPU-Adam: 16 bytes read, 12 and a 16-bit copy written; the gradients scaled in place before, 4 read and 4 written;
  // the link: fp32 gradients out, 16-bit weights in.
  CHECK(WorkOf(program, KernelKind::kHostOptimizer) == Bytes((16 + 14 + 8) * local));
  CHECK(WorkOf(program, KernelKind::kHostCopy) == Bytes((4 + 2) * local));
  CHECK(CountNamed(program, "optimizer") == 0);
}

TEST_CASE("stage 3 with offloaded weights holds 18 bytes per weight there and copies them in before each gather") {
  Scenario s = Offloaded(DataStrategy::kZero3, Offload::kParameters);
  s.parallelism.data.max_reuse_distance = 0;
  const Program program = BuildProgram(s);
  const auto local = static_cast<double>(ParameterCount(s)) / 8.0;
  CHECK(static_cast<double>(program.programs[0].host_memory.value()) == Approx(18.0 * local).epsilon(0.01));
  // Gradients 2 out, 2 back for the norm, 4 out; weights 2 each for about twice all (norms stay, and the head until its backward).
  const double copied = static_cast<double>(WorkOf(program, KernelKind::kHostCopy).value()) / local;
  CHECK(copied > 8.0 + 2.0);
  CHECK(copied < 8.0 + 4.1);
  CHECK(Persistent(program, MemoryCategory::kOptimizerState) == Bytes(0));
}

TEST_CASE("FSDP's CPU offload leaves nothing of the model on the device between steps, and the same collectives") {
  for (const auto version : {FsdpVersion::kFsdp1, FsdpVersion::kFsdp2}) {
    Scenario s = Offloaded(DataStrategy::kFsdp, Offload::kParameters);
    s.parallelism.data.version = version;
    const Program program = BuildProgram(s);
    const auto local = static_cast<double>(ParameterCount(s)) / 8.0;
    CHECK(Persistent(program, MemoryCategory::kParameters) == Bytes(0));
    CHECK(Persistent(program, MemoryCategory::kOptimizerState) == Bytes(0));
    CHECK(static_cast<double>(program.programs[0].host_memory.value()) == Approx(16.0 * local).epsilon(0.01));
    const MemoryTotals memory = MemoryOf(program);
    CHECK(memory.at_begin == memory.at_end);
    const std::string letters = Letters(program);
    s.parallelism.data.offload = Offload::kNone;
    CHECK(letters == Letters(BuildProgram(s)));
  }
}

TEST_CASE("offloaded checkpoints cross the link twice and leave the device") {
  Scenario s = TinyGpt(1, 6);
  UseBf16(s);
  s.training.micro_batch_size = 64;
  s.training.activation_checkpointing = Checkpointing::kFull;
  const Bytes before = MemoryOf(BuildProgram(s)).peak;
  s.training.offload_activations = true;
  const Program program = BuildProgram(s);
  const Bytes input(2 * 64 * 128 * 256);  // bf16, 64 sequences of 128 positions, 256 wide
  CHECK(WorkOf(program, KernelKind::kHostCopy) == 2 * 6 * input);
  CHECK(program.programs[0].host_memory == 6 * input);
  CHECK(MemoryOf(program).peak + 3 * input < before);  // of six, the one in use comes back, and the peak moves
}
