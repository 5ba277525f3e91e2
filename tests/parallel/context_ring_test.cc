// Ring attention inside of a step: who sends to whom, and that it goes with the other ways to divide a model.
#include <catch2/catch.hpp>

#include "tests/parallel/fixture.h"

using namespace simulate;

namespace {

Scenario Ring(int64_t context, int64_t blocks = 3) {
  Scenario s = TinyGpt(context, blocks);
  UseBf16(s);
  s.parallelism.context = context;
  s.parallelism.context_implementation = ContextImplementation::kRing;
  return s;
}

int64_t Passes(const Program& program, size_t rank_program = 0) {
  return CountNamed(program, "context keys and values", rank_program) + CountNamed(program, "context gradients", rank_program);
}

}  // namespace

TEST_CASE("each block's keys and values go round once each way, and their gradients home") {
  for (const int64_t c : {2, 4}) {
    const Program program = BuildProgram(Ring(c));
    CHECK(CountNamed(program, "context keys and values") == 3 * 2 * (c - 1));
    CHECK(CountNamed(program, "context gradients") == 3 * c);
    CHECK(CountNamed(program, "context all_gather") == 0);
    for (const Transfer& t : program.transfers) {
      CHECK(t.send_offset == 1);
      CHECK(t.receive_offset == -1);
      CHECK(t.send_bytes == t.receive_bytes);
      CHECK(program.communicators[t.communicator].name == "context_parallel");
    }
  }
  Scenario gathered = Ring(4);
  gathered.parallelism.context_implementation = ContextImplementation::kRingAllGather;
  const Program program = BuildProgram(gathered);
  CHECK(CountNamed(program, "context all_gather") == 3 * 2);
  CHECK(CountNamed(program, "context keys and values") == 0);
  CHECK(CountNamed(program, "context gradients") == 3 * 4);
}

TEST_CASE("heads for positions: queries, keys, values and results are exchanged, their gradients back") {
  Scenario s = Ring(4);
  s.parallelism.context_implementation = ContextImplementation::kAllToAll;
  const Program program = BuildProgram(s);
  CHECK(CountNamed(program, "context heads") == 3 * (4 + 4));
  CHECK(CountNamed(program, "context keys and values") == 0);
  int64_t attention = 0;
  for (const KernelWork& w : program.kernels) {
    if (w.kind != KernelKind::kAttention) continue;
    ++attention;
    CHECK(w.attention.query_heads == 1);  // of 4
    CHECK(w.attention.query_length == w.attention.key_length);
    CHECK(w.attention.query_length == s.training.sequence_length);
  }
  CHECK(attention == 2);

  // Megatron-LM's packed projection is exchanged in three parts all the same, of as many bytes as when they lie apart.
  const auto bytes = [](const Program& p) { return BytesOf(p, CollectiveOp::kAllToAll); };
  Scenario packed = s;
  packed.training.runtime = Runtime::kMegatron;
  const Program parts = BuildProgram(packed);
  CHECK(CountNamed(parts, "context heads") == 3 * (4 + 4));
  CHECK(bytes(parts) == bytes(program));
}

TEST_CASE("recomputation sends keys and values round once more") {
  Scenario s = Ring(4);
  s.training.activation_checkpointing = Checkpointing::kFull;
  CHECK(CountNamed(BuildProgram(s), "context keys and values") == 3 * 3 * 3);
  CHECK(CountNamed(BuildProgram(s), "context gradients") == 3 * 4);
}

TEST_CASE("the next step's kernel waits for its keys, the first for nobody") {
  const Program program = BuildProgram(Ring(4, 1));
  const RankProgram& rank = program.programs[0];
  std::vector<int> waits;  // of the forward's attention kernels: transfers waited for since the one before
  int pending = 0;
  for (const Instruction& i : rank.instructions) {
    if (i.phase != Phase::kForward || !IsLaunch(i.kind) || i.kind == InstructionKind::kTransfer) continue;
    for (const uint32_t wait : rank.Waits(i)) pending += rank.instructions[wait].kind == InstructionKind::kTransfer ? 1 : 0;
    if (program.kernels[i.object].kind == KernelKind::kAttention) waits.push_back(std::exchange(pending, 0));
  }
  CHECK(waits == std::vector<int>{0, 1, 1, 1});
}

TEST_CASE("ring attention goes with tensor, pipeline and sharded data parallelism") {
  Scenario s = Ring(2, 4);
  s.gpus = 16;
  s.parallelism.tensor = 2;
  s.parallelism.pipeline.stages = 2;
  s.training.gradient_accumulation_steps = 2;
  s.parallelism.data.strategy = DataStrategy::kZero1;
  s.training.runtime = Runtime::kMegatron;
  const Program program = BuildProgram(s);  // checks its invariants
  // Two blocks a stage, two micro-batches: one pass forward, and backward one of keys and one of gradients.
  for (size_t stage = 0; stage < 2; ++stage) CHECK(Passes(program, stage) == 2 * 2 * 3);
  Scenario fsdp = Ring(2, 4);
  fsdp.gpus = 8;
  fsdp.parallelism.data.strategy = DataStrategy::kFsdp;
  fsdp.parallelism.data.version = FsdpVersion::kFsdp2;
  CHECK(Passes(BuildProgram(fsdp)) == 4 * (2 * 1 + 2));
  CHECK(BuildProgram(fsdp).totals.model_flops.value() == Approx(4.0 * BuildProgram(TinyGpt(1, 4)).totals.model_flops.value()));
}
