// Ring attention on its own: kernels, FLOPs and what goes round.
#include <catch2/catch.hpp>

#include <algorithm>

#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

constexpr int64_t kRanks = 4, kLength = 4096, kLocal = kLength / kRanks, kHeads = 8, kKeyHeads = 4, kHeadDim = 128;

Slice Ring(ContextImplementation how) {
  Slice slice;
  slice.context = kRanks;
  slice.context_implementation = how;
  return slice;
}

Operator AttentionOf(Runtime runtime, ContextImplementation how) {
  TrainingSpec training = Training(kLength, 1, "bf16");
  training.runtime = runtime;
  const Model model = BuildModel(Llama(1, kHeads * kHeadDim, kHeads, kKeyHeads, 4096), training, Ring(how));
  for (const Operator& op : model.layers[1].operators)
    if (op.name == "attention.attention") return op;
  FAIL("no attention");
  return {};
}

std::vector<RingAction> Of(const std::vector<RingAction>& ring, RingAction::Kind kind, RingPayload what) {
  std::vector<RingAction> found;
  for (const RingAction& action : ring)
    if (action.kind == kind && action.what == what) found.push_back(action);
  return found;
}

Bytes Sum(const std::vector<RingAction>& ring, RingAction::Kind kind, RingPayload what) {
  Bytes sum;
  for (const RingAction& action : Of(ring, kind, what)) sum += action.bytes;
  return sum;
}

// Keys and values of one rank, in 2 or 4 bytes a number.
Bytes KeysAndValues(int64_t heads, int64_t width) { return Bytes(2 * kLocal * heads * kHeadDim * width); }

}  // namespace

TEST_CASE("ring attention runs a kernel for each rank's keys, together the rank's share of the triangle") {
  for (const Runtime runtime : {Runtime::kEager, Runtime::kCompiled, Runtime::kMegatron}) {
    for (const ContextImplementation how : {ContextImplementation::kRing, ContextImplementation::kRingAllGather}) {
      const Operator op = AttentionOf(runtime, how);
      for (const auto* kernels : {&op.forward, &op.backward}) {
        int64_t scores = 0, count = 0;
        Flops flops;
        for (const Kernel& kernel : *kernels) {
          if (kernel.work.kind != KernelKind::kAttention) continue;
          const AttentionShape& shape = kernel.work.attention;
          CHECK(shape.query_length == kLocal);
          scores += shape.query_length * shape.key_length / (shape.causal ? 2 : 1);
          flops += kernel.work.flops;
          ++count;
        }
        CHECK(count == kRanks);
        CHECK(scores == kLength * kLength / 2 / kRanks);
        // By convention two products of the whole square, 2 FLOPs each, and twice that backward.
        const double square = 4.0 * static_cast<double>(kHeads * kHeadDim * kLength * kLength) / kRanks;
        CHECK(flops.value() == Approx(kernels == &op.forward ? square : 2.0 * square));
        CHECK(op.model_flops.value() == Approx(square));
      }
    }
  }
}

TEST_CASE("PyTorch passes on every head's keys and values c - 1 times, and their fp32 gradients c times") {
  using Kind = RingAction::Kind;
  for (const Runtime runtime : {Runtime::kEager, Runtime::kCompiled}) {
    const Operator ring = AttentionOf(runtime, ContextImplementation::kRing);
    CHECK(Sum(ring.forward_ring, Kind::kPass, RingPayload::kKeysAndValues) == (kRanks - 1) * KeysAndValues(kHeads, 2));
    CHECK(Sum(ring.backward_ring, Kind::kPass, RingPayload::kKeysAndValues) == (kRanks - 1) * KeysAndValues(kHeads, 2));
    CHECK(Of(ring.forward_ring, Kind::kPass, RingPayload::kGradients).empty());
    CHECK(Of(ring.backward_ring, Kind::kPass, RingPayload::kGradients).size() == kRanks);
    CHECK(Sum(ring.backward_ring, Kind::kPass, RingPayload::kGradients) == kRanks * KeysAndValues(kHeads, 4));
    // Gathered once instead: the output of the gather, each way; the gradients go round as before.
    const Operator gather = AttentionOf(runtime, ContextImplementation::kRingAllGather);
    for (const auto* actions : {&gather.forward_ring, &gather.backward_ring}) {
      CHECK(Of(*actions, Kind::kGather, RingPayload::kKeysAndValues).size() == 1);
      CHECK(Sum(*actions, Kind::kGather, RingPayload::kKeysAndValues) == kRanks * KeysAndValues(kHeads, 2));
      CHECK(Of(*actions, Kind::kPass, RingPayload::kKeysAndValues).empty());
    }
    CHECK(Sum(gather.backward_ring, Kind::kPass, RingPayload::kGradients) == kRanks * KeysAndValues(kHeads, 4));
  }
}

TEST_CASE("Transformer Engine passes on 16-bit keys and values of their own heads, and with the next keys the last gradients") {
  using Kind = RingAction::Kind;
  const Operator op = AttentionOf(Runtime::kMegatron, ContextImplementation::kRing);
  CHECK(Sum(op.forward_ring, Kind::kPass, RingPayload::kKeysAndValues) == (kRanks - 1) * KeysAndValues(kKeyHeads, 2));
  // c exchanges: keys alone, c - 2 times both, gradients alone.
  const std::vector<RingAction> passes = Of(op.backward_ring, Kind::kPass, RingPayload::kGradients);
  REQUIRE(passes.size() == kRanks);
  CHECK(passes.front().bytes == KeysAndValues(kKeyHeads, 2));
  CHECK(passes[1].bytes == 2 * KeysAndValues(kKeyHeads, 2));
  CHECK(passes.back().bytes == KeysAndValues(kKeyHeads, 2));
  // The ring turns the other way: the backward ends with the rank's own keys, the causal square.
  const auto last = std::find_if(op.backward.rbegin(), op.backward.rend(), [](const Kernel& k) { return k.work.kind == KernelKind::kAttention; });
  CHECK(last->work.attention.causal);
}

TEST_CASE("only code that is not compiled computes while keys and values go round") {
  // Of every pass the wait: beside it in compiled code, else before the next step's kernel.
  const auto overlapped = [](Runtime runtime) {
    const Operator op = AttentionOf(runtime, ContextImplementation::kRing);
    int beside = 0;
    for (size_t a = 0; a + 1 < op.forward_ring.size(); a += 2) {
      REQUIRE(op.forward_ring[a].kind == RingAction::Kind::kPass);
      REQUIRE(op.forward_ring[a + 1].kind == RingAction::Kind::kWait);
      for (uint32_t k = op.forward_ring[a].kernel; k < op.forward_ring[a + 1].kernel; ++k)
        beside += op.forward[k].work.kind == KernelKind::kAttention ? 1 : 0;
    }
    return beside;
  };
  CHECK(overlapped(Runtime::kEager) == kRanks - 1);
  CHECK(overlapped(Runtime::kMegatron) == kRanks - 1);
  CHECK(overlapped(Runtime::kCompiled) == 0);
}

TEST_CASE("partial results are merged in fp32, in one kernel a step if compiled") {
  // An eager merge moves, of X fp32 bytes: to fp32 3/2 X, difference 3 X, weight 2 X, update 3 X; compiled: 1/2 X and X read, X written.
  const Bytes wide(4 * kLocal * kHeads * kHeadDim);
  const auto traffic = [](const Operator& op, const std::string& name) {
    Bytes sum;
    for (const Kernel& k : op.forward)
      if (k.name == name) sum += k.work.read + k.work.written;
    return sum;
  };
  const Operator eager = AttentionOf(Runtime::kEager, ContextImplementation::kRing);
  CHECK(2 * traffic(eager, "ring.to_fp32") == kRanks * 3 * wide);
  CHECK(traffic(eager, "ring.difference") + traffic(eager, "ring.weight") + traffic(eager, "ring.update") == (kRanks - 1) * 8 * wide);
  const Operator compiled = AttentionOf(Runtime::kCompiled, ContextImplementation::kRing);
  // The first merge reads two 16-bit results, the last writes one.
  CHECK(2 * traffic(compiled, "ring.merge") == (kRanks - 1) * 5 * wide - 2 * wide);
}

namespace {

// 8 heads of 96 + 32 numbers a key and 64 a value, from latents of 48.
Operator LatentOperator(Runtime runtime, ContextImplementation how, const std::string& name) {
  ModelSpec m = Llama(1, 1024, kHeads, kHeads, 4096);
  m.family = ModelFamily::kDeepseekV3;
  m.latent_attention = {64, 48, 96, 32, 64};
  m.experts = {8, 2, 128, 1, 1, 0.0};
  TrainingSpec training = Training(kLength, 1, "bf16");
  training.runtime = runtime;
  const Model model = BuildModel(m, training, Ring(how));
  for (const Operator& op : model.layers[1].operators)
    if (op.name == "attention." + name) return op;
  FAIL("no " << name);
  return {};
}

}  // namespace

TEST_CASE("of latent attention every head's keys and values are communicated, not the latents they come from") {
  using Kind = RingAction::Kind;
  const Bytes both(2 * kLocal * kHeads * (96 + 32 + 64));
  const Operator gather = LatentOperator(Runtime::kEager, ContextImplementation::kAllGather, "context_keys_values");
  CHECK(gather.boundary == Boundary::kContextKeyValue);
  CHECK(gather.boundary_bytes == kRanks * both);
  for (const Runtime runtime : {Runtime::kEager, Runtime::kMegatron}) {
    const Operator ring = LatentOperator(runtime, ContextImplementation::kRing, "attention");
    CHECK(Sum(ring.forward_ring, Kind::kPass, RingPayload::kKeysAndValues) == (kRanks - 1) * both);
    const auto first = std::find_if(ring.forward.begin(), ring.forward.end(), [](const Kernel& k) { return k.work.kind == KernelKind::kAttention; });
    REQUIRE(first != ring.forward.end());
    CHECK(first->work.attention.head_dim == 128);
    CHECK(first->work.attention.value_dim == 64);
    // Two products of the whole square: 2 (128 + 64) FLOPs a score.
    CHECK(ring.model_flops.value() == Approx(2.0 * (128 + 64) * static_cast<double>(kHeads * kLength * kLength) / kRanks));
  }
  // Merged are results, 64 numbers a head: of X fp32 bytes 8 X a merge.
  Bytes merged;
  const Operator eager = LatentOperator(Runtime::kEager, ContextImplementation::kRing, "attention");
  for (const Kernel& k : eager.forward)
    if (k.name == "ring.difference" || k.name == "ring.weight" || k.name == "ring.update") merged += k.work.read + k.work.written;
  CHECK(merged == (kRanks - 1) * 8 * Bytes(4 * kLocal * kHeads * 64));
}

TEST_CASE("latent attention shares the causal work among the ranks that gather its keys") {
  // L queries and (c + 1) L / 2 keys.
  const Operator op = LatentOperator(Runtime::kEager, ContextImplementation::kAllGather, "attention");
  CHECK(op.forward.front().work.attention.query_length == kLocal);
  CHECK(op.forward.front().work.attention.key_length == (kRanks + 1) * kLocal / 2);
}

}  // namespace simulate
