// When memory comes and goes: closed forms of small layers, laws of every layer, and published formulas.
#include <catch2/catch.hpp>

#include <set>

#include "sim/model/liveness.h"
#include "sim/model/operators.h"
#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

std::string Text(const Layer& layer, const std::vector<LayerEvent>& events) {
  const auto count = static_cast<uint32_t>(layer.tensors.size());
  const auto slot = [&](uint32_t s) {
    if (s < count) return layer.tensors[s].name;
    if (s < 2 * count) return "d" + layer.tensors[s - count].name;
    return std::string("temporary");
  };
  std::string text;
  for (const LayerEvent& e : events) switch (e.kind) {
      case LayerEventKind::kAllocate: text += "+" + slot(e.slot) + " "; break;
      case LayerEventKind::kFree: text += "-" + slot(e.slot) + " "; break;
      case LayerEventKind::kRun: text += (e.backward ? "backward:" : "") + layer.operators[e.op].name + " "; break;
      case LayerEventKind::kAccumulate: text += "add:d" + layer.tensors[e.tensor].name + " "; break;
      case LayerEventKind::kGradientAllocate: text += "+d" + layer.parameters[e.parameter].name + " "; break;
      case LayerEventKind::kGradientReady: text += "ready:" + layer.parameters[e.parameter].name + " "; break;
      case LayerEventKind::kBoundaryForward: text += "boundary "; break;
      case LayerEventKind::kBoundaryBackward: text += "boundary "; break;
    }
  if (!text.empty()) text.pop_back();
  return text;
}

// x + w(gelu(x)): a residual branch.
Layer Branch(double dropout) {
  LayerBuilder b("branch", NumericsOf(Training(4, 1, "bf16")));
  const Value x = b.Input("x", 4, 8, DType::kBf16);
  const Value w = Linear(b, "w", Activate(b, "gelu", Activation::kGelu, x), 8);
  b.Output(ResidualAdd(b, "y", x, Dropout(b, "dropout", w, dropout)));
  return std::move(b).Build();
}

TEST_CASE("an ordinary forward frees what nobody saved") {
  const Layer layer = Branch(0.0);
  CHECK(Text(layer, ForwardEvents(layer, ForwardMode::kKeepSaved)) == "+gelu gelu +w w +y y -w");
}

TEST_CASE("a checkpointed forward keeps its input and its output") {
  const Layer layer = Branch(0.0);
  CHECK(Text(layer, ForwardEvents(layer, ForwardMode::kKeepNothing)) == "+gelu gelu +w w -gelu +y y -w");
}

TEST_CASE("recomputation stops when the last saved tensor is back") {
  const Layer plain = Branch(0.0), dropped = Branch(0.1);
  // w saves its input, so its product is not needed again.
  CHECK(Text(plain, ForwardEvents(plain, ForwardMode::kRecompute)) == "+gelu gelu");
  // Dropout saves its mask, which its kernel makes.
  CHECK(Text(dropped, ForwardEvents(dropped, ForwardMode::kRecompute)) ==
        "+gelu gelu +w w +dropout.mask +dropout dropout -w -dropout");
}

TEST_CASE("a recomputation that does not stop early repeats the whole layer and drops its output") {
  const Layer plain = Branch(0.0);
  CHECK(Text(plain, ForwardEvents(plain, ForwardMode::kRecomputeAll)) == "+gelu gelu +w w +y y -w -y");
}

TEST_CASE("the gradient of a residual stream is one storage that is handed through") {
  const Layer layer = Branch(0.0);
  const BackwardPass pass = BackwardEvents(layer);
  CHECK(Text(layer, pass.events) ==
        "backward:y +dw.weight +dgelu backward:w -gelu ready:w.weight +temporary backward:gelu -dgelu -x add:dx -temporary");
  // The output's gradient became the input's.
  CHECK(pass.input_gradient_slots == std::vector<uint32_t>{GradientSlot(layer, layer.outputs[0])});
}

TEST_CASE("gradients that are shared are not added to in place") {
  // y = x + a(x), with the sum's own gradient still needed by a's backward when x's second one comes: z = y + y2(y).
  LayerBuilder b("shared", NumericsOf(Training(4, 1, "bf16")));
  const Value x = b.Input("x", 4, 8, DType::kBf16);
  const Value left = Scale(b, "left", x);
  const Value sum = ResidualAdd(b, "sum", x, left);
  b.Output(ResidualAdd(b, "y", sum, x));
  const Layer layer = std::move(b).Build();
  // dy goes to dsum and dx; dsum is dy itself, so dx gets it twice: a new tensor is made for the sum, while left
  // still holds the old one.
  CHECK(Text(layer, BackwardEvents(layer).events) ==
        "backward:y backward:sum +temporary add:dx +temporary backward:left -dy add:dx -temporary");
}

// Laws that hold for any layer in any mode.
void CheckLaws(const Model& model, ForwardMode mode, bool selective, ForwardMode recomputation = ForwardMode::kRecompute) {
  for (const Layer& layer : model.layers) {
    std::set<uint32_t> alive(layer.inputs.begin(), layer.inputs.end());
    const auto run = [&](const std::vector<LayerEvent>& events) {
      for (const LayerEvent& e : events) {
        CHECK(e.slot < SlotCount(layer));
        if (e.kind == LayerEventKind::kAllocate) CHECK(alive.insert(e.slot).second);
        if (e.kind == LayerEventKind::kFree) CHECK(alive.erase(e.slot) == 1);
        if (e.kind != LayerEventKind::kRun) continue;
        const Operator& op = layer.operators[e.op];
        for (TensorIndex t : e.backward ? op.saved : op.inputs) CHECK(alive.count(t) == 1);
        for (TensorIndex t : op.outputs)
          if (!e.backward) CHECK(alive.count(t) == 1);
      }
    };
    INFO(layer.name);
    run(ForwardEvents(layer, mode));
    if (mode == ForwardMode::kKeepNothing) {
      for (uint32_t slot : AutocastCopies(layer)) alive.erase(slot);
      const bool again = recomputation == ForwardMode::kRecomputeAll && !layer.outputs.empty();
      if (again) alive.erase(layer.outputs[0]);  // its reader's backward has freed it
      run(ForwardEvents(layer, recomputation));
      if (again) alive.insert(layer.outputs[0]);
    }
    if (mode == ForwardMode::kKeepSelected) {
      for (uint32_t slot : AutocastCopies(layer)) alive.erase(slot);
      run(ForwardEvents(layer, ForwardMode::kRecomputeRest));
    }
    BackwardOptions options;
    options.selective = selective;
    for (TensorIndex t : layer.outputs)
      if (layer.tensors[t].differentiable) alive.insert(GradientSlot(layer, t));
    const BackwardPass pass = BackwardEvents(layer, options);
    run(pass.events);
    // What is left: outputs, inputs that belong to others, and the inputs' gradients.
    std::set<uint32_t> expected(layer.outputs.begin(), layer.outputs.end());
    for (size_t i = 1; i < layer.inputs.size(); ++i) expected.insert(layer.inputs[i]);
    for (uint32_t slot : pass.input_gradient_slots)
      if (slot != kNoSlot) expected.insert(slot);
    CHECK(alive == expected);
  }
}

std::vector<Model> Examples(const TrainingSpec& training, const Slice& slice) {
  ModelSpec packed = Gpt(2, 256, 8, 64, 1024), experts = Llama(2, 256, 8, 4, 512), latent = experts;
  packed.fused_qkv = true;
  packed.positions = Positions::kRotary;
  packed.family = ModelFamily::kGptNeox;
  packed.parallel_residual = true;
  experts.family = ModelFamily::kMixtral;
  experts.experts.num_local_experts = 8;
  experts.experts.num_experts_per_tok = 2;
  experts.positions = Positions::kRotary;
  latent.family = ModelFamily::kDeepseekV3;
  latent.experts = {8, 2, 128, 1, 1, 0.0};
  latent.latent_attention = {96, 64, 32, 16, 32};
  return {BuildModel(Gpt(2, 256, 8, 64, 1024), training, slice), BuildModel(Llama(2, 256, 8, 4, 512), training, slice),
          BuildModel(T5(2, 256, 32, 8, 512), training, slice),   BuildModel(packed, training, slice),
          BuildModel(experts, training, slice),                  BuildModel(latent, training, slice)};
}

TEST_CASE("every family allocates before use, frees once, and leaves only what it must") {
  for (const char* precision : {"bf16", "autocast"})
    for (const auto attention : {AttentionImplementation::kFlash, AttentionImplementation::kEager, AttentionImplementation::kSdpa})
      for (const auto runtime : {Runtime::kEager, Runtime::kMegatron})
        for (const int64_t tensor : {1, 2})
          for (const double dropout : {0.0, 0.1}) {
            TrainingSpec training = Training(64, 2, precision);
            training.attention = attention;
            training.runtime = runtime;
            training.dropout = dropout;
            Slice slice;
            slice.tensor = tensor;
            slice.sequence_parallel = tensor > 1;
            slice.expert = tensor;
            for (const Model& model : Examples(training, slice)) {
              CheckLaws(model, ForwardMode::kKeepSaved, false);
              CheckLaws(model, ForwardMode::kKeepNothing, false);
              CheckLaws(model, ForwardMode::kKeepNothing, false, ForwardMode::kRecomputeAll);
              CheckLaws(model, ForwardMode::kSelective, true);
              CheckLaws(model, ForwardMode::kKeepSelected, false);
            }
          }
}

// torchtitan's policy on Llama's block: q, v, w1 and w2 of the seven products, and attention, are kept.
TEST_CASE("checkpointing by operators keeps attention and every second product") {
  const Layer block = BuildModel(Llama(1, 256, 8, 4, 512), Training(64, 2, "bf16")).layers[1];
  std::vector<std::string> kept, again;
  std::set<uint32_t> run;
  for (const LayerEvent& e : ForwardEvents(block, ForwardMode::kRecomputeRest))
    if (e.kind == LayerEventKind::kRun) run.insert(e.op);
  for (uint32_t i = 0; i < block.operators.size(); ++i) {
    const Operator& op = block.operators[i];
    if (op.forward.empty() || op.forward[0].work.kind == KernelKind::kMemory) continue;
    (op.kept_by_operator_policy ? kept : again).push_back(op.name);
    CHECK(run.count(i) == (op.kept_by_operator_policy ? 0 : 1));
  }
  CHECK(kept == std::vector<std::string>{"attention.q", "attention.v", "attention.attention", "mlp.w1", "mlp.w2"});
  CHECK(again == std::vector<std::string>{"attention.k", "attention.o", "mlp.w3"});
}

// Korthikanti et al. 2022, table 2: activation bytes of one layer, in units of s b h (statistics of norms left out).
TEST_CASE("a layer keeps what Korthikanti et al. say") {
  const int64_t s = 1024, batch = 4, h = 2048, a = 16;
  const double sbh = static_cast<double>(s * batch * h), scores = static_cast<double>(a * s) / static_cast<double>(h);
  TrainingSpec training = Training(s, batch, "bf16");
  training.attention = AttentionImplementation::kEager;
  training.runtime = Runtime::kMegatron;
  training.dropout = 0.1;
  const auto saved = [&](int64_t tensor, bool sequence_parallel) {
    Slice slice;
    slice.tensor = tensor;
    slice.sequence_parallel = sequence_parallel;
    return static_cast<double>(SavedBytes(BuildModel(Gpt(1, h, a, s), training, slice).layers[1]).value()) / sbh;
  };
  CHECK(saved(1, false) == Approx(34 + 5 * scores).epsilon(0.001));                 // no parallelism
  CHECK(saved(8, false) == Approx(10 + 24.0 / 8 + 5 * scores / 8).epsilon(0.001));  // tensor
  CHECK(saved(8, true) == Approx((34 + 5 * scores) / 8).epsilon(0.001));            // tensor and sequence
}

}  // namespace
}  // namespace simulate
