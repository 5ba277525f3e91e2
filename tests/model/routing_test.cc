// Megatron-LM's router, permutation and latent attention, against what its code of core 0.14 launches.
#include <catch2/catch.hpp>

#include "sim/model/routing.h"
#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

// One block of DeepSeek-V2: 160 experts, 6 a token, one shared; attention through latents of 1536 and 512.
ModelSpec OneBlock() {
  ModelSpec m = Llama(1, 5120, 128, 128, 12288);
  m.family = ModelFamily::kDeepseekV3;
  m.positions = Positions::kRotary;
  m.experts = {160, 6, 1536, 2, 0, 1.0};
  m.latent_attention = {1536, 512, 128, 64, 128};
  return m;
}

TrainingSpec Megatron() {
  TrainingSpec training = Training(4096, 1, "bf16_mixed");
  training.runtime = Runtime::kMegatron;
  training.fused_permutation = true;
  return training;
}

Slice EightRanks() {
  Slice slice;
  slice.expert = 8;
  return slice;
}

Operator Find(const Layer& layer, const std::string& name) {
  for (const Operator& op : layer.operators)
    if (op.name == name) return op;
  FAIL("no operator " << name);
  return layer.operators.front();
}

TEST_CASE("a capacity of 1 pads every expert to its share, rounded up") {
  // 4096 x 6 / 160 = 153.6 rows an expert: 154 x 160 = 24640 leave every rank, and as many come for its 20 experts.
  const ModelSpec m = OneBlock();
  const TrainingSpec training = Megatron();
  const Slice slice = EightRanks();
  const Routing r = RoutingOf({m, training, slice, NumericsOf(training)});
  CHECK(r.padded);
  CHECK(r.sent == 24640);
  CHECK(r.rows == 24640);
  ModelSpec free = m;
  free.experts.capacity_factor = 0.0;
  const Routing all = RoutingOf({free, training, slice, NumericsOf(training)});
  CHECK_FALSE(all.padded);
  CHECK(all.sent == 4096 * 6);
}

TEST_CASE("rows of padded experts are sorted by a strided copy, others by a gather") {
  ModelSpec m = OneBlock();
  const auto access = [&] {
    const Operator op = Find(BuildModel(m, Megatron(), EightRanks()).layers[1], "experts.sort_by_expert");
    CHECK(op.forward.size() == 1);
    CHECK(op.forward[0].work.access == op.backward[0].work.access);
    return op.forward[0].work.access;
  };
  CHECK(access() == MemoryAccess::kTranspose);
  m.experts.capacity_factor = 0.0;
  CHECK(access() == MemoryAccess::kGather);
}

TEST_CASE("Megatron-LM's router launches as many kernels as its calls do") {
  // Profiled on H100 (core 0.14's code under PyTorch 2.11): 51 forward and 21 backward beside the products for DeepSeek-V2 with a
  // capacity. Without groups and capacity 8 + 3 and 5 + 1 calls of topk and masks less.
  ModelSpec m = OneBlock();
  const auto count = [&] {
    const Operator op = Find(BuildModel(m, Megatron(), EightRanks()).layers[1], "experts.route");
    return std::make_pair(op.forward.size(), op.backward.size());
  };
  const auto [forward, backward] = count();
  CHECK(forward >= 44);
  CHECK(forward <= 52);
  CHECK(backward == 21);
  m.experts.capacity_factor = 0.0;
  m.family = ModelFamily::kMixtral;
  m.latent_attention = {};
  CHECK(count().first == forward - 11 - 6);
}

TEST_CASE("router weights travel beside the rows, and the sum that brings rows back keeps no rows") {
  const Model model = BuildModel(OneBlock(), Megatron(), EightRanks());
  const Layer& layer = model.layers[1];
  CHECK(Find(layer, "experts.dispatch").boundary_bytes == Bytes(2 * 24640 * 5120));
  CHECK(Find(layer, "experts.dispatch_weights").boundary_bytes == Bytes(4 * 24640));
  const Operator sum = Find(layer, "experts.unpermute");
  for (const TensorIndex saved : sum.saved) CHECK(layer.tensors[saved].bytes <= Bytes(4 * 24640));
  TrainingSpec apart = Megatron();
  apart.fused_permutation = false;
  const Model weighted = BuildModel(OneBlock(), apart, EightRanks());
  CHECK(Find(weighted.layers[1], "experts.unpermute").saved.size() == 2);
}

TEST_CASE("Megatron-LM rotates and assembles latent keys and values in one kernel each way") {
  const Model model = BuildModel(OneBlock(), Megatron(), EightRanks());
  const Operator op = Find(model.layers[1], "attention.keys_values");
  REQUIRE(op.forward.size() == 1);
  REQUIRE(op.backward.size() == 1);
  // 128 heads x (128 + 128) and a shared part of 64 in, 128 x (192 + 128) out.
  CHECK(op.forward[0].work.read == Bytes(2 * 4096 * (128 * 256 + 64)));
  CHECK(op.forward[0].work.written == Bytes(2 * 4096 * 128 * 320));
  CHECK(op.backward[0].work.read == op.forward[0].work.written);
  TrainingSpec eager = Training(4096, 1, "bf16");
  const Model plain = BuildModel(OneBlock(), eager, EightRanks());
  CHECK(Find(plain.layers[1], "attention.keys_values").forward.size() == 2);
}

TEST_CASE("a module of Transformer Engine adds two operators of Python and three views, a grouped one a launch per expert") {
  TrainingSpec training = Megatron();
  const Model plain = BuildModel(OneBlock(), training, EightRanks());
  training.transformer_engine = true;
  const Model engine = BuildModel(OneBlock(), training, EightRanks());
  const auto more = [&](const std::string& name) {
    const Operator a = Find(plain.layers[1], name), b = Find(engine.layers[1], name);
    CHECK(b.backward_views - a.backward_views == b.forward_views - a.forward_views);
    return std::vector<int>{b.forward_views - a.forward_views, b.forward_calls - a.forward_calls, b.backward_calls - a.backward_calls};
  };
  CHECK(more("attention.o") == std::vector<int>{3, 2, 2});
  CHECK(more("attention.attention") == std::vector<int>{3, 2, 2});
  CHECK(more("experts.w2") == std::vector<int>{3, 2 + 19 / 2, 2 + 2 * 19});  // 20 experts on a rank
  CHECK(more("experts.permute") == std::vector<int>{0, 0, 0});
}

TEST_CASE("queries of several groups become one tensor by a copy, and Transformer Engine's values another") {
  TrainingSpec training = Training(512, 1, "bf16_mixed");
  training.runtime = Runtime::kMegatron;
  const auto copies = [&](int64_t key_value_heads) {
    std::vector<std::string> names;
    ModelSpec m = Llama(1, 1024, 8, key_value_heads, 2048);
    m.positions = Positions::kRotary;
    const Operator op = Find(BuildModel(m, training).layers[1], "attention.rotary");
    for (const Kernel& k : op.forward)
      names.push_back(k.name);
    return std::vector<std::string>(names.begin() + 1, names.end());
  };
  CHECK(copies(8).empty());
  CHECK(copies(1).empty());  // one group: a view
  CHECK(copies(2) == std::vector<std::string>{"query_reshape"});
  training.transformer_engine = true;
  CHECK(copies(2) == std::vector<std::string>{"query_reshape", "value_contiguous"});
}

}  // namespace
}  // namespace simulate
