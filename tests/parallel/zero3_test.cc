#include <catch2/catch.hpp>

#include "sim/parallel/parameter_coordinator.h"
#include "tests/parallel/fixture.h"

using namespace simulate;

namespace {

constexpr int64_t kHidden = 8192;
constexpr int64_t kSquare = kHidden * kHidden;  // fills a prefetch bucket

// Four matrices a block (3, 1, 4 and 4 h^2) and one embedding of 2 h^2, tied to the head, are divided; positions, norms and
// biases have less than 1e5 elements. Dropout's mask makes the recomputation run to its end.
Scenario Divided(int64_t gpus, int64_t blocks) {
  Scenario s = TinyGpt(gpus, blocks);
  s.model.hidden_size = kHidden;
  s.model.num_attention_heads = s.model.num_key_value_heads = 128;
  s.model.intermediate_size = 4 * kHidden;
  s.model.vocab_size = 2 * kHidden;
  s.model.max_position_embeddings = s.training.sequence_length = 8;
  s.model.fused_qkv = true;
  s.model.tie_word_embeddings = true;
  s.training.dropout = 0.1;
  s.training.activation_checkpointing = Checkpointing::kFull;
  s.parallelism.data.strategy = DataStrategy::kZero3;
  s.training.precision.parameters = DType::kBf16;
  return s;
}

// Bytes of the gathers that the forward and the backward ask for, in h^2 elements of a block's matrices.
int64_t SquaresGathered(const Program& program) {
  int64_t elements = 0;
  for (const CollectiveCall& call : Collectives(program)) {
    if (call.op == CollectiveOp::kAllGather && call.bytes >= Bytes(2 * kSquare)) elements += call.bytes.value() / 2;
  }
  return elements / kSquare;
}

int64_t HostCalls(const Program& program, HostCall call) {
  int64_t count = 0;
  for (const Instruction& i : program.programs[0].instructions) {
    if (i.host == call) count += i.host_count;
  }
  return count;
}

}  // namespace

TEST_CASE("a recomputed block's matrices are gathered again only if more than the reuse distance lies between") {
  // Per block of 12 h^2: 12 forward, 12 recomputed, and backward those that did not stay. From the recomputed product to its
  // backward lie, in h^2: fc2 0, fc1 4 + 4, proj 4 + 4 + 4 + 4, qkv 1 + 16 + 1. Embedding and head: 2 h^2 each time.
  constexpr int64_t kBlocks = 6;
  const auto per_block = [](int64_t distance) {
    Scenario one = Divided(8, kBlocks);
    Scenario more = Divided(8, kBlocks + 1);
    for (Scenario* s : {&one, &more}) s->parallelism.data.max_reuse_distance = distance;
    return SquaresGathered(BuildProgram(more)) - SquaresGathered(BuildProgram(one));
  };
  CHECK(per_block(0) == 12 + 12 + 8);
  CHECK(per_block(8 * kSquare) == 12 + 12 + 4);
  CHECK(per_block(16 * kSquare) == 12 + 12 + 3);
  CHECK(per_block(18 * kSquare) == 12 + 12);
}

TEST_CASE("asynchronous ZeRO-3 waits on the host only for its third fetch back, the synchronous one around every gather") {
  Scenario s = Divided(8, 6);
  s.parallelism.data.max_reuse_distance = 0;
  s.parallelism.data.reduce_bucket_size = int64_t{1} << 40;  // all gradients at once
  const int64_t gathers = 6 * (4 + 4 + 3) + 3;  // embedding forward, head (it stays for its backward), embedding's backward
  const Program asynchronous = BuildProgram(s);
  const auto big = [](const Program& p) {
    return std::ranges::count_if(Collectives(p), [](const CollectiveCall& c) { return c.op == CollectiveOp::kAllGather && c.bytes >= Bytes(2 * kSquare); });
  };
  CHECK(big(asynchronous) == gathers);
  // All but the first three; one at the end of the backward; one after the persistent parameters.
  CHECK(CountKind(asynchronous, InstructionKind::kHostWait) == gathers - 3 + 1 + 1);

  s.parallelism.data.zero3_implementation = Zero3Implementation::kSynchronous;
  const Program synchronous = BuildProgram(s);
  CHECK(big(synchronous) == gathers);
  CHECK(CountNamed(synchronous, "zero gathered parameters") == gathers);
  // Before each gather and each module that was fetched; then before and after the one bucket, and at the end.
  CHECK(CountKind(synchronous, InstructionKind::kHostWait) >= 2 * gathers);
  CHECK(BytesOf(synchronous, CollectiveOp::kReduceScatter) == Bytes(0));
  CHECK(BytesOf(synchronous, CollectiveOp::kAllReduce) == Bytes(2 * ParameterCount(s)));
}

TEST_CASE("host time of the synchronous version's loops grows with the ranks and the gathers") {
  // Per gather one narrow and one copy for each rank (less the first copy, which launches itself), in a warm loop;
  // persistent parameters: a view, two narrows and a copy for each rank and parameter.
  const auto loops = [](int64_t gpus) {
    Scenario s = Divided(gpus, 6);
    s.parallelism.data.max_reuse_distance = 0;
    s.parallelism.data.zero3_implementation = Zero3Implementation::kSynchronous;
    return HostCalls(BuildProgram(s), HostCall::kView);
  };
  const int64_t gathers = 6 * (4 + 4 + 3) + 3;
  const int64_t persistent = 6 * 8 + 2 + 1;  // biases and norms; the last norm; positions
  const int64_t more = loops(104) - loops(52);
  CHECK(more == gathers * (80 - 40) + (3 * 80 - 3 * 40) * persistent);  // 104 / 1.3 = 80
}

TEST_CASE("a bucket of gradients is reduced when the next does not fit") {
  Scenario s = Divided(8, 2);
  s.parallelism.data.reduce_bucket_size = 4 * kSquare;
  const Program program = BuildProgram(s);
  CHECK(BytesOf(program, CollectiveOp::kReduceScatter) == SizeOf(s.training.precision.gradient_reduction, ParameterCount(s)));
  for (const CollectiveCall& call : Collectives(program)) {
    if (call.op == CollectiveOp::kReduceScatter) CHECK(call.bytes <= SizeOf(s.training.precision.gradient_reduction, 4 * kSquare));
  }
}

TEST_CASE("experts are divided by the ranks that hold the same ones") {
  // 8 ranks, experts over e of them: 8 / e experts a rank, each on 8 / e ranks, so that every rank keeps the state of one
  // expert's worth, 12 bytes a weight, and of an eighth of everything else.
  constexpr int64_t kBlocks = 2, kOneExpert = kBlocks * 3 * kHidden * 4 * kHidden;
  for (const int64_t expert : {1, 2, 4, 8}) {
    Scenario s = Divided(8, kBlocks);
    s.model.family = ModelFamily::kMixtral;
    s.model.gated_mlp = true;
    s.model.attention_bias = s.model.mlp_bias = s.model.norm_bias = false;
    s.model.experts.num_local_experts = 8;
    s.model.experts.num_experts_per_tok = 2;
    s.parallelism.expert = expert;
    s.parallelism.data.max_reuse_distance = 0;
    const Program program = BuildProgram(s);
    const int64_t dense = ParameterCount(s) - 8 * kOneExpert;
    const Bytes state = MemoryOf(program).persistent.at(MemoryCategory::kOptimizerState);
    CHECK(static_cast<double>(state.value()) == Approx(8.0 * static_cast<double>(dense / 8 + kOneExpert)).margin(64));
    // Gathers among the 8 / e ranks bring in the 8 / e experts that a rank holds: forward, recomputed and backward, less
    // the products that stay.
    int64_t experts = 0;
    for (const CollectiveCall& call : Collectives(program)) {
      if (call.op != CollectiveOp::kAllGather) continue;
      if (expert > 1 && program.communicators[call.communicator].groups.front().size() == static_cast<size_t>(8 / expert)) experts += call.bytes.value() / 2;
    }
    if (expert == 2 || expert == 4) {
      CHECK(experts > 2 * (8 / expert) * kOneExpert);
      CHECK(experts <= 3 * (8 / expert) * kOneExpert);
    }
  }
}

TEST_CASE("gradients that are zeroed, not freed, take one shard more when the backward begins") {
  for (const auto version : {FsdpVersion::kFsdp1, FsdpVersion::kFsdp2}) {
    Scenario s = Divided(8, 2);
    s.parallelism.data.strategy = DataStrategy::kFsdp;
    s.parallelism.data.version = version;
    const MemoryTotals freed = MemoryOf(BuildProgram(s));
    s.training.set_to_none = false;
    const Program program = BuildProgram(s);
    const MemoryTotals kept = MemoryOf(program);
    const Bytes shard = SizeOf(s.training.precision.master_weights.value_or(s.training.precision.parameters), ParameterCount(s) / 8);
    CHECK(static_cast<double>((kept.at_begin - freed.at_begin).value()) == Approx(static_cast<double>(shard.value())).epsilon(1e-5));
    CHECK(kept.at_end == kept.at_begin);
    CHECK(kept.peak > freed.peak);
    CHECK(CountNamed(program, "accumulate sharded gradient") == 3);  // two blocks and the root
    CHECK(CountNamed(program, "zero gradients") == 1);
  }
  Scenario ddp = TinyGpt(8);
  ddp.training.set_to_none = false;
  const MemoryTotals kept = MemoryOf(BuildProgram(ddp));
  CHECK(kept.persistent.at(MemoryCategory::kGradients) == SizeOf(ddp.training.precision.parameters, ParameterCount(ddp)));
  CHECK(kept.at_end == kept.at_begin);
}

TEST_CASE("FSDP1 before PyTorch 2.0 copies every unit's gradient before it is reduced") {
  Scenario s = Divided(8, 3);
  s.parallelism.data.strategy = DataStrategy::kFsdp;
  s.parallelism.data.version = FsdpVersion::kFsdp1;
  const MemoryTotals without = MemoryOf(BuildProgram(s));
  s.parallelism.data.pads_gradients = true;
  const Program program = BuildProgram(s);
  CHECK(CountNamed(program, "pad gradient") == 3 + 1);  // blocks and the root
  CHECK(MemoryOf(program).at_end == without.at_end);  // and gives it back
}
