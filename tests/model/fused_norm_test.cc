// training.fused_norm: false writes RMSNorm as LLaMA's own code does, even in a runtime that fuses elementwise chains.
#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/model/liveness.h"
#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

const Operator& NormOf(const Model& model) {
  const Layer& block = model.layers[model.uses[1].layer];
  for (const Operator& op : block.operators) {
    if (op.name == "attention_norm") return op;
  }
  FAIL("a block has no attention_norm");
  return block.operators.front();
}

Bytes ForwardTraffic(const Operator& op) {
  Bytes sum;
  for (const Kernel& k : op.forward) sum += k.work.read + k.work.written;
  return sum;
}

}  // namespace

TEST_CASE("an unfused RMSNorm launches a kernel per call and keeps its fp32 input") {
  TrainingSpec training = Training(2048, 1, "bf16_mixed");
  training.runtime = Runtime::kMegatron;
  const ModelSpec spec = Llama(2, 1024, 16, 16, 4096);
  const Model fused = BuildModel(spec, training);
  training.fused_norm = false;
  const Model composed = BuildModel(spec, training);
  CHECK(NormOf(fused).forward.size() == 1);
  // cast 2 + 4, square 4 + 4, mean 4, product 4 + 4, cast 4 + 2, weight 2 + 2 bytes an element: 36, where one kernel moves 4.
  const double ratio = static_cast<double>(ForwardTraffic(NormOf(composed)).value()) /
                       static_cast<double>(ForwardTraffic(NormOf(fused)).value());
  CHECK(ratio == Approx(9.0).epsilon(0.02));
  // The fp32 copy in the place of the 16-bit input, the scale, and the normalized numbers.
  CHECK(NormOf(composed).saved.size() == NormOf(fused).saved.size() + 1);
}

TEST_CASE("compiled code makes the sum that a norm reads in the norm's kernel, and keeps no unfused norm") {
  TrainingSpec training = Training(2048, 1, "bf16");
  training.runtime = Runtime::kCompiled;
  training.fused_norm = false;
  const Operator norm = NormOf(BuildModel(Llama(2, 1024, 16, 16, 4096), training));
  const Bytes x(2 * 2048 * 1024);
  REQUIRE(norm.forward.size() == 1);
  CHECK(norm.forward[0].work.read == Bytes(0));
  CHECK(norm.forward[0].work.written == x);
  // The gradient's kernel reads the norm's input and gradient; the weight's gradient is what 64 rows left of it.
  REQUIRE(norm.backward.size() == 2);
  CHECK(norm.backward[0].work.read == 2 * x);
  CHECK(norm.backward[1].work.read == Bytes(4 * (2048 / 64) * 1024));
  // A second gradient of one tensor is one operand more of the kernel that reads the sum.
  Tensor tensor;
  tensor.bytes = x;
  CHECK(AccumulateWork(tensor, true).work.read + AccumulateWork(tensor, true).work.written == x);
  CHECK(AccumulateWork(tensor, false).work.read + AccumulateWork(tensor, false).work.written == 3 * x);
}

TEST_CASE("a frozen norm makes no weight gradient, however it is written, and keeps nothing for it") {
  const ModelSpec spec = Llama(2, 1024, 16, 16, 4096);
  struct Case { Runtime runtime; bool fused_norm; NormArithmetic norm_arithmetic; size_t kernels, saved; };
  // Of the weight: in PyTorch's and in compiled code one kernel of the norm's backward; in the chain a product and a sum, and
  // the normalized numbers that the product reads.
  using enum NormArithmetic;
  for (const Case& c : {Case{Runtime::kEager, true, kFp32, 1, 0}, Case{Runtime::kCompiled, true, kFp32, 1, 0},
                        Case{Runtime::kEager, false, kFp32, 2, 1}, Case{Runtime::kEager, false, kInput, 2, 1}}) {
    TrainingSpec training = Training(2048, 1, "bf16");
    training.runtime = c.runtime;
    training.fused_norm = c.fused_norm;
    training.norm_arithmetic = c.norm_arithmetic;
    const Operator trained = NormOf(BuildModel(spec, training));
    training.lora.rank = 8;
    training.lora.targets = {"q"};
    const Operator frozen = NormOf(BuildModel(spec, training));
    CHECK(trained.backward.size() == frozen.backward.size() + c.kernels);
    CHECK(trained.saved.size() == frozen.saved.size() + c.saved);
    CHECK(std::ranges::none_of(frozen.backward, &Kernel::parameter_gradient));
  }
}

TEST_CASE("checkpointing by operators counts products, whether their weights are trained, frozen or cast") {
  // q, v, w1 (the gate), w2 of q, k, v, o, w1, w3, w2 are the odd ones; adapters on o add o.lora_a and o.lora_b behind it.
  ModelSpec spec = Llama(2, 1024, 16, 16, 4096);
  const auto kept = [&](const TrainingSpec& training) {
    std::vector<std::string> names;
    const Model model = BuildModel(spec, training);
    for (const Operator& op : model.layers[model.uses[1].layer].operators)
      if (op.linear && op.kept_by_operator_policy) names.push_back(op.name);
    return names;
  };
  const std::vector<std::string> every_second = {"attention.q", "attention.v", "mlp.w1", "mlp.w2"};
  TrainingSpec training = Training(2048, 1, "bf16");
  CHECK(kept(training) == every_second);
  CHECK(kept(Training(2048, 1, "autocast")) == every_second);
  training.lora.rank = 8;
  training.lora.targets = {"o"};
  CHECK(kept(training) == std::vector<std::string>{"attention.q", "attention.v", "attention.o.lora_a", "mlp.w1", "mlp.w2"});
}

}  // namespace simulate
