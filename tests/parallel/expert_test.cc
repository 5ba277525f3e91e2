// Experts have fewer copies than the other parameters, and tensor-parallel ranks exchange their own tokens only.
#include <catch2/catch.hpp>

#include "tests/parallel/fixture.h"

using namespace simulate;

namespace {

constexpr int64_t kBlocks = 2, kHidden = 256, kWidth = 1024, kExperts = 8;

Scenario Moe(int64_t gpus, int64_t expert) {
  Scenario s = TinyGpt(gpus, kBlocks);
  s.model.family = ModelFamily::kMixtral;
  s.model.gated_mlp = true;
  s.model.attention_bias = s.model.mlp_bias = s.model.norm_bias = false;
  s.model.experts.num_local_experts = kExperts;
  s.model.experts.num_experts_per_tok = 2;
  s.training.runtime = Runtime::kMegatron;
  s.training.precision = {.name = "custom", .parameters = DType::kBf16, .compute = DType::kBf16, .gradients = DType::kFp32,
                          .gradient_reduction = DType::kFp32, .master_weights = DType::kFp32, .optimizer = DType::kFp32};
  s.parallelism.expert = expert;
  s.parallelism.data.strategy = DataStrategy::kZero1;
  return s;
}

// Of one expert in all blocks: gate, up and down.
constexpr int64_t kOneExpert = kBlocks * 3 * kHidden * kWidth;

int64_t DenseParameters(const Scenario& s) { return ParameterCount(s) - kExperts * kOneExpert; }

}  // namespace

TEST_CASE("the distributed optimizer divides an expert's state by its copies alone") {
  // 8 ranks. Experts over e of them: each rank holds 8 / e experts, of which there are 8 / e copies; so it keeps 12 bytes
  // for each weight of one expert, whatever e is, and 12 / 8 for each dense weight.
  for (const Runtime runtime : {Runtime::kMegatron, Runtime::kEager}) {
    for (const int64_t expert : {1, 2, 4, 8}) {
      Scenario s = Moe(8, expert);
      s.training.runtime = runtime;
      const MemoryTotals memory = MemoryOf(BuildProgram(s));
      const auto state = memory.persistent.at(MemoryCategory::kOptimizerState) + memory.persistent.at(MemoryCategory::kMasterWeights);
      const double expected = 12.0 * (static_cast<double>(DenseParameters(s)) / 8 + static_cast<double>(kOneExpert));
      CHECK(static_cast<double>(state.value()) == Approx(expected).margin(24));
      CHECK(memory.persistent.at(MemoryCategory::kParameters) ==
            SizeOf(DType::kBf16, DenseParameters(s) + kExperts / expert * kOneExpert));
    }
  }
}

TEST_CASE("Transformer Engine's workspaces: one of 32 MiB on Hopper, and four more for grouped products") {
  const auto more = [](Scenario s) {
    s.hardware.accelerator.peak_fp8 = TFlops(2000);
    const MemoryTotals plain = MemoryOf(BuildProgram(s));
    s.training.transformer_engine = true;
    return (MemoryOf(BuildProgram(s)).persistent.at(MemoryCategory::kWorkspace) - plain.persistent.at(MemoryCategory::kWorkspace)).value();
  };
  CHECK(more(Moe(8, 4)) == 5 * MiB(32).value());
  Scenario dense = TinyGpt(1, kBlocks);
  dense.training.runtime = Runtime::kMegatron;
  CHECK(more(dense) == MiB(32).value());
}

TEST_CASE("an expert's matrix has one dummy gradient, whatever the number of experts") {
  // Of a block: q, k, v, o of h^2 each (one product of 3 h^2 and one of h^2), the router's 8 h, and gate and up (2 h w) and down (h w).
  const MemoryTotals memory = MemoryOf(BuildProgram(Moe(8, 2)));
  const int64_t own = ParameterCount(Moe(8, 2)) - kExperts / 2 * kOneExpert;
  const int64_t dummies = 4 * kHidden * kHidden + 8 * kHidden + 3 * kHidden * kWidth;
  CHECK(memory.persistent.at(MemoryCategory::kGradients) == SizeOf(DType::kFp32, own) + SizeOf(DType::kBf16, dummies));
}

TEST_CASE("gradients of experts are summed over their copies") {
  // One set of experts: nothing to sum but the dense gradients. Two sets: each rank's four experts between two ranks.
  const auto scattered = [](const Scenario& s) { return BytesOf(BuildProgram(s), CollectiveOp::kReduceScatter).value(); };
  const Scenario one = Moe(8, 8), two = Moe(8, 2);
  CHECK(scattered(one) == Approx(4 * DenseParameters(one)).margin(4 * 8));
  CHECK(scattered(two) == Approx(4 * (DenseParameters(two) + 4 * kOneExpert)).margin(4 * 16));
  Scenario ddp = Moe(8, 8);
  ddp.training.runtime = Runtime::kEager;
  ddp.parallelism.data.strategy = DataStrategy::kDdp;
  CHECK(BytesOf(BuildProgram(ddp), CollectiveOp::kAllReduce) == SizeOf(DType::kBf16, DenseParameters(ddp)));
}

TEST_CASE("with sequence parallelism every rank exchanges its part of the sequence") {
  // 2 x 128 tokens of 256 in 16 bits, each to two experts; there and back, forward and backward, per block. Under Megatron-LM the
  // weights of the router, 4 bytes a row, go along.
  constexpr int64_t kRows = 2 * 128 * 2 * kHidden * 2, kWeights = 2 * 128 * 2 * 4;
  CHECK(BytesOf(BuildProgram(Moe(8, 4)), CollectiveOp::kAllToAll) == Bytes(kBlocks * (4 * kRows + 2 * kWeights)));
  Scenario eager = Moe(8, 4);
  eager.training.runtime = Runtime::kEager;
  CHECK(BytesOf(BuildProgram(eager), CollectiveOp::kAllToAll) == Bytes(4 * kBlocks * kRows));
  Scenario s = Moe(8, 4);
  s.parallelism.tensor = 2;
  s.parallelism.sequence_parallel = true;
  const Program program = BuildProgram(s);
  CHECK(BytesOf(program, CollectiveOp::kAllToAll) == Bytes(kBlocks * (4 * kRows + 2 * kWeights) / 2));
  // What arrived is gathered over the tensor-parallel ranks, twice the sequence (two experts a token), and scattered back.
  const auto calls = Collectives(program);
  const auto whole = [&](CollectiveOp op) { return std::ranges::count_if(calls, [&](const CollectiveCall& c) { return c.op == op && c.bytes == Bytes(kRows); }); };
  CHECK(whole(CollectiveOp::kAllGather) == 2 * kBlocks);
  CHECK(whole(CollectiveOp::kReduceScatter) == 2 * kBlocks);
}

TEST_CASE("FSDP shards experts over the ranks that hold the same ones") {
  // 8 ranks, experts over e of them: 8 / e experts a rank on 8 / e ranks: every rank's shard is one expert's worth and an
  // eighth of everything else, in fp32 with Adam: 4 + 8 bytes. Of the experts, a rank gathers the 8 / e that it computes with,
  // forward and backward, and nothing if it has the only copy.
  for (const auto version : {FsdpVersion::kFsdp1, FsdpVersion::kFsdp2}) {
    for (const int64_t expert : {1, 2, 4, 8}) {
      Scenario s = Moe(8, expert);
      s.training.runtime = Runtime::kEager;
      s.training.precision.master_weights = DType::kFp32;
      s.parallelism.data.strategy = DataStrategy::kFsdp;
      s.parallelism.data.version = version;
      const Program program = BuildProgram(s);
      const MemoryTotals memory = MemoryOf(program);
      const double each = static_cast<double>(DenseParameters(s)) / 8 + static_cast<double>(kOneExpert);
      CHECK(static_cast<double>(memory.persistent.at(MemoryCategory::kParameters).value()) == Approx(4 * each).margin(4 * 64));
      CHECK(static_cast<double>(memory.persistent.at(MemoryCategory::kOptimizerState).value()) == Approx(8 * each).margin(8 * 64));
      CHECK(memory.at_end == memory.at_begin);
      if (expert == 1) continue;
      int64_t gathered = 0, reduced = 0;
      for (const CollectiveCall& call : Collectives(program)) {
        if (program.communicators[call.communicator].groups.front().size() != static_cast<size_t>(8 / expert)) continue;
        if (call.op == CollectiveOp::kAllGather) gathered += call.bytes.value() / 2;
        if (call.op == CollectiveOp::kReduceScatter) reduced += call.bytes.value() / 4;
      }
      CHECK(gathered == (expert == 8 ? 0 : 2 * (8 / expert) * kOneExpert));
      CHECK(reduced == (expert == 8 ? 0 : (8 / expert) * kOneExpert));
    }
  }
}
