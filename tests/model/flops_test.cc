// Model FLOPs against 6 N D plus attention, and slices against the whole.
#include <catch2/catch.hpp>

#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

// Forward: 2 FLOPs per parameter of a matrix and token, and 4 s^2 x width per layer of attention.
double ByHand(const Model& model, double lookups, double layers, double width, double length) {
  return 2.0 * (static_cast<double>(model.parameters) - lookups) * length + 4.0 * layers * width * length * length;
}

TEST_CASE("forward FLOPs are 2 N D and attention within 1 %") {
  const Model gpt = BuildModel(Gpt(24, 2048, 16, 2048), Training(2048, 3, "bf16"));
  CHECK(gpt.forward_flops_per_sample.value() ==
        Approx(ByHand(gpt, 50304.0 * 2048 + 2048.0 * 2048, 24, 2048, 2048)).epsilon(0.001));
  const Model llama = BuildModel(Llama(32, 4096, 32, 8, 14336), Training(8192, 1, "bf16"));
  CHECK(llama.forward_flops_per_sample.value() == Approx(ByHand(llama, 128256.0 * 4096, 32, 4096, 8192)).epsilon(0.001));
}

TEST_CASE("T5-11B's forward is 1.2816e13 FLOPs for 512 + 512 tokens") {
  TrainingSpec training = Training(512, 1, "bf16");
  training.attention = AttentionImplementation::kEager;
  const Model model = BuildModel(T5(24, 1024, 128, 128, 65536), training);
  CHECK(model.forward_flops_per_sample.value() == Approx(1.2816e13).epsilon(0.0001));
  CHECK(model.tokens_per_sample == 1024);
}

TEST_CASE("neither precision, attention, nor division changes the model's FLOPs") {
  const ModelSpec spec = Gpt(4, 1024, 16, 512);
  const Model plain = BuildModel(spec, Training(512, 2, "bf16"));
  TrainingSpec eager = Training(512, 2, "autocast");
  eager.attention = AttentionImplementation::kEager;
  Slice slice;
  slice.tensor = 4;
  slice.sequence_parallel = true;
  const Model other = BuildModel(spec, eager, slice);
  CHECK(other.forward_flops_per_sample == plain.forward_flops_per_sample);
  CHECK(other.parameters == plain.parameters);
}

TEST_CASE("a tensor-parallel slice does its share") {
  const ModelSpec spec = Gpt(1, 1024, 16, 512, 50304);
  const TrainingSpec training = Training(512, 2, "bf16");
  Slice slice;
  slice.tensor = 4;
  const Model whole = BuildModel(spec, training), part = BuildModel(spec, training, slice);
  for (size_t i = 1; i < whole.layers.size(); ++i)
    CHECK(part.layers[i].forward_flops().value() == Approx(whole.layers[i].forward_flops().value() / 4));
  // One enter and one leave for attention, the same for the feed-forward part, of the whole [tokens, hidden].
  int enters = 0, leaves = 0;
  for (const Operator& op : part.layers[1].operators) {
    enters += op.boundary == Boundary::kTensorEnter;
    leaves += op.boundary == Boundary::kTensorLeave;
    if (op.boundary != Boundary::kNone) CHECK(op.boundary_bytes == Bytes(2 * 512 * 2 * 1024));
  }
  CHECK(enters == 2);
  CHECK(leaves == 2);
}

TEST_CASE("context parallelism divides the queries and gathers the keys") {
  const ModelSpec spec = Llama(1, 1024, 8, 4, 4096);
  const TrainingSpec training = Training(4096, 1, "bf16");
  Slice slice;
  slice.context = 4;
  const Model whole = BuildModel(spec, training), part = BuildModel(spec, training, slice);
  CHECK(part.layers[1].forward_flops().value() == Approx(whole.layers[1].forward_flops().value() / 4));
  int gathers = 0;
  for (const Operator& op : part.layers[1].operators)
    if (op.boundary == Boundary::kContextKeyValue) {
      ++gathers;
      CHECK(op.boundary_bytes == Bytes(2 * 2 * 4096 * 4 * 128));  // keys and values of all 4096 tokens
    }
  CHECK(gathers == 1);
}

TEST_CASE("context parallelism balances a causal mask") {
  // Blocks of 128 x 128 scores below or on the diagonal: N (N + 1) / 2 of N = 32 rows of blocks; each of 4 ranks has a quarter,
  // 132. Its kernel: 8 rows of blocks against (1024 + 4096) / 2 keys, 20 columns, less the 8 x 7 / 2 above the diagonal.
  const ModelSpec spec = Llama(1, 1024, 8, 4, 4096);
  Slice slice;
  slice.context = 4;
  const Model part = BuildModel(spec, Training(4096, 1, "bf16"), slice);
  int kernels = 0;
  for (const Operator& op : part.layers[1].operators) {
    for (const auto* list : {&op.forward, &op.backward}) {
      for (const Kernel& kernel : *list) {
        if (kernel.work.kind != KernelKind::kAttention) continue;
        ++kernels;
        const int64_t rows = kernel.work.attention.query_length / 128, columns = kernel.work.attention.key_length / 128;
        CHECK(rows == 8);
        CHECK(rows * columns - rows * (rows - 1) / 2 == 32 * 33 / 2 / 4);
      }
    }
  }
  CHECK(kernels == 2);
}

TEST_CASE("fused permutations add nothing up by atomics") {
  ModelSpec spec = Llama(1, 1024, 8, 4, 4096);
  spec.family = ModelFamily::kMixtral;
  spec.experts.num_local_experts = 8;
  spec.experts.num_experts_per_tok = 2;
  TrainingSpec training = Training(4096, 1, "bf16");
  const auto scatters = [&] {
    int count = 0;
    const Model model = BuildModel(spec, training);
    for (const Operator& op : model.layers[1].operators) {
      for (const auto* list : {&op.forward, &op.backward}) {
        for (const Kernel& kernel : *list) count += kernel.work.access == MemoryAccess::kScatterAdd;
      }
    }
    return count;
  };
  CHECK(scatters() == 2);  // results back to their tokens, and the gradients of the copies
  training.fused_permutation = true;
  CHECK(scatters() == 0);
}

}  // namespace
}  // namespace simulate
