// How a code base writes rotary positions, RMSNorm and the loss: training.rotary, norm_arithmetic, parallelism.gather_logits.
#include <catch2/catch.hpp>

#include <algorithm>

#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

const Operator& Named(const Layer& layer, const std::string& name) {
  const auto found = std::ranges::find(layer.operators, name, &Operator::name);
  REQUIRE(found != layer.operators.end());
  return *found;
}

Bytes Traffic(const std::vector<Kernel>& kernels) {
  Bytes sum;
  for (const Kernel& k : kernels) sum += k.work.read + k.work.written;
  return sum;
}

const Layer& Block(const Model& model) { return model.layers[model.uses[1].layer]; }

}  // namespace

TEST_CASE("rotary positions as four code bases apply them") {
  TrainingSpec training = Training(2048, 1, "bf16_mixed");
  ModelSpec spec = Llama(2, 1024, 16, 16, 4096);
  spec.positions = Positions::kRotary;
  const int64_t elements = 2048 * 1024;
  // Bytes an element of bf16. fused: 2 + 2 each way. rotate_half: in units of 2 bytes, products and concatenation 3 x 2, half
  // a negation 1, the sum 3; backward two products 4, the negation 1, two halves filled and copied 2 x (1 + 1), two sums 6.
  // complex: 2 + 4, 4 + 4, 4 + 2. matrix: 2 + 4, 4 + 8, 8 + 4, 4 + 2.
  struct Case { RotaryImplementation how; int64_t forward, backward; };
  for (const Case& c : {Case{RotaryImplementation::kFused, 4, 4}, Case{RotaryImplementation::kRotateHalf, 20, 30},
                        Case{RotaryImplementation::kComplex, 20, 20}, Case{RotaryImplementation::kMatrix, 36, 36}}) {
    training.rotary = c.how;
    const Model model = BuildModel(spec, training);
    const Operator& op = Named(Block(model), "attention.q_rotary");
    CHECK(Traffic(op.forward) == Bytes(c.forward * elements));
    CHECK(Traffic(op.backward) == Bytes(c.backward * elements));
    CHECK(op.saved.empty());
  }
}

TEST_CASE("views of a packed projection keep all of it beside the rotated queries and keys") {
  TrainingSpec training = Training(2048, 1, "bf16_mixed");
  ModelSpec spec = Llama(2, 1024, 16, 16, 4096);
  spec.fused_qkv = true;
  spec.positions = Positions::kRotary;
  const Model model = BuildModel(spec, training);
  const Layer& block = Block(model);
  // Kept by the views: three times the hidden state; by attention: rotated queries and keys, the values being a view.
  const auto kept = [&](const char* name) {
    Bytes sum;
    for (const TensorIndex t : Named(block, name).saved) sum += block.tensors[t].dtype == DType::kBf16 ? block.tensors[t].bytes : Bytes(0);
    return sum;
  };
  const Bytes hidden = SizeOf(DType::kBf16, 2048 * 1024);
  CHECK(kept("attention.view_qkv") == 3 * hidden);
  CHECK(kept("attention.attention") == 2 * hidden + hidden);  // and the result
}

TEST_CASE("an RMSNorm in the type of its input keeps 16 bits where the fp32 chain keeps 32") {
  TrainingSpec training = Training(2048, 1, "bf16_mixed");
  training.fused_norm = false;
  const ModelSpec spec = Llama(2, 1024, 16, 16, 4096);
  const auto kept = [&](const Model& model) {
    Bytes sum;
    for (const TensorIndex t : Named(Block(model), "attention_norm").saved) sum += Block(model).tensors[t].bytes;
    return sum.value();
  };
  const int64_t elements = 2048 * 1024;
  CHECK(kept(BuildModel(spec, training)) == (4 + 2) * elements + 4 * 2048);
  training.norm_arithmetic = NormArithmetic::kMixed;  // and the input, which the scale multiplies
  CHECK(kept(BuildModel(spec, training)) == (4 + 2 + 2) * elements + 4 * 2048);
  training.norm_arithmetic = NormArithmetic::kInput;
  const Model narrow = BuildModel(spec, training);
  CHECK(kept(narrow) == (2 + 2) * elements + 2 * 2048);
  // square 4, mean 2, product 4, to fp32 6, back 6, weight 4 bytes an element, and what is once a row.
  const Bytes forward = Traffic(Named(Block(narrow), "attention_norm").forward);
  CHECK(static_cast<double>(forward.value()) == Approx(26.0 * static_cast<double>(elements)).epsilon(0.01));
}

TEST_CASE("gathered logits: a divided product, a whole loss") {
  const TrainingSpec training = Training(2048, 1, "bf16_mixed");
  const ModelSpec spec = Llama(2, 1024, 16, 16, 4096);
  const Model model = BuildModel(spec, training, {.tensor = 4, .gather_logits = true});
  const Layer& head = model.layers.back();
  const Operator& gather = Named(head, "gather_logits");
  const Bytes whole = SizeOf(DType::kBf16, 2048 * spec.vocab_size);
  CHECK(gather.boundary == Boundary::kVocabGather);
  CHECK(gather.boundary_bytes == whole);
  CHECK(head.tensors[Named(head, "head").outputs[0]].bytes == SizeOf(DType::kBf16, 2048 * spec.vocab_size / 4));
  CHECK(head.tensors[Named(head, "log_softmax").outputs[0]].bytes == 2 * whole);
  CHECK(head.operators[head.loss_from - 1].name == "gather_logits");
}

}  // namespace simulate
