// Families beyond GPT, Llama and T5: parameter counts that their publishers state.
#include <catch2/catch.hpp>

#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

TEST_CASE("Mixtral 8x7B has 46.7 billion parameters, 12.9 of them at work on a token") {
  ModelSpec m = Llama(32, 4096, 32, 8, 14336);
  m.family = ModelFamily::kMixtral;
  m.vocab_size = 32000;
  m.positions = Positions::kRotary;
  m.experts.num_local_experts = 8;
  m.experts.num_experts_per_tok = 2;
  const Model model = BuildModel(m, Training(4096, 1, "bf16"));
  CHECK(model.parameters == 46702792704);  // as transformers counts it
  // Two FLOPs per active matrix parameter and token, and attention.
  const double active = 12.88e9 - 32000.0 * 4096;
  CHECK(model.forward_flops_per_sample.value() == Approx(4096 * (2 * active + 4.0 * 32 * 4096 * 4096)).epsilon(0.01));
}

TEST_CASE("DeepSeek-V3 has 671 billion parameters, 37 of them at work on a token") {
  ModelSpec m = Llama(61, 7168, 128, 128, 18432);
  m.family = ModelFamily::kDeepseekV3;
  m.vocab_size = 129280;
  m.positions = Positions::kRotary;
  m.experts = {256, 8, 2048, 1, 3, 0.0};
  m.latent_attention = {1536, 512, 128, 64, 128};
  const Model model = BuildModel(m, Training(4096, 1, "bf16"));
  CHECK(static_cast<double>(model.parameters) == Approx(671.03e9).epsilon(0.0001));
  const double active = 37.55e9 - 129280.0 * 7168;
  const double attention = 2.0 * 61 * 128 * (192 + 128) * 4096 * 4096;
  CHECK(model.forward_flops_per_sample.value() == Approx(4096 * 2 * active + attention).epsilon(0.01));
}

TEST_CASE("Megatron-LM joins the gate's projection and the other one") {
  TrainingSpec training = Training(512, 1, "bf16");
  const ModelSpec m = Llama(1, 1024, 8, 8, 2048);
  const auto products = [&] {
    std::vector<std::string> names;
    const Model model = BuildModel(m, training);
    for (const Operator& op : model.layers[1].operators)
      if (op.linear) names.push_back(op.name);
    return names;
  };
  const Flops apart = BuildModel(m, training).layers[1].forward_flops();
  CHECK(products() == std::vector<std::string>{"attention.q", "attention.k", "attention.v", "attention.o", "mlp.w1", "mlp.w3", "mlp.w2"});
  training.runtime = Runtime::kMegatron;
  CHECK(products() == std::vector<std::string>{"attention.qkv", "attention.o", "mlp.w1_w3", "mlp.w2"});
  CHECK(BuildModel(m, training).layers[1].forward_flops() == apart);
}

TEST_CASE("experts are divided over the ranks that share them, and tokens go there and back") {
  ModelSpec m = Llama(1, 1024, 8, 8, 2048);
  m.family = ModelFamily::kMixtral;
  m.experts.num_local_experts = 8;
  m.experts.num_experts_per_tok = 2;
  Slice slice;
  slice.expert = 4;
  const TrainingSpec training = Training(512, 1, "bf16");
  const Model whole = BuildModel(m, training), part = BuildModel(m, training, slice);
  const auto experts = [](const Model& model) {
    int64_t count = 0;
    for (const Parameter& p : model.layers[1].parameters) count += p.expert ? p.elements : 0;
    return count;
  };
  CHECK(experts(whole) == 8 * 3 * 1024 * 2048);
  CHECK(experts(part) == experts(whole) / 4);
  CHECK(part.layers[1].forward_flops() == whole.layers[1].forward_flops());
  int exchanges = 0;
  for (const Operator& op : part.layers[1].operators)
    if (op.boundary == Boundary::kExpertDispatch || op.boundary == Boundary::kExpertCombine) {
      ++exchanges;
      CHECK(op.boundary_bytes == Bytes(2 * 2 * 512 * 1024));
    }
  CHECK(exchanges == 2);
}

}  // namespace
}  // namespace simulate
