// The operators of one T5-11B step (24 + 24 blocks, batch 8, 512 + 512 tokens, every block checkpointed, eager
// attention, dropout 0.1) against the launches a profiler counted on 2 x H200 (PyTorch 2.11, transformers 5):
// which kernels run once, which twice because of recomputation, which once a layer in the backward.
#include <catch2/catch.hpp>

#include <functional>

#include "sim/model/liveness.h"
#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

using Visit = std::function<void(const Kernel&)>;

void VisitEvents(const Layer& layer, const std::vector<LayerEvent>& events, const Visit& visit) {
  for (const LayerEvent& e : events) {
    if (e.kind == LayerEventKind::kAccumulate) visit(AccumulateWork(layer.tensors[e.tensor]));
    if (e.kind != LayerEventKind::kRun) continue;
    const Operator& op = layer.operators[e.op];
    for (const Kernel& k : e.backward ? op.backward : op.forward) visit(k);
  }
}

// Every kernel of one checkpointed step.
void VisitStep(const Model& model, const Visit& visit) {
  std::vector<bool> external_gradient(model.uses.size() * 4, false);
  for (const LayerUse& use : model.uses) {
    const Layer& layer = model.layers[use.layer];
    VisitEvents(layer, ForwardEvents(layer, use.block ? ForwardMode::kKeepNothing : ForwardMode::kKeepSaved), visit);
  }
  for (size_t u = model.uses.size(); u > 0; --u) {
    const LayerUse& use = model.uses[u - 1];
    const Layer& layer = model.layers[use.layer];
    if (use.block) VisitEvents(layer, ForwardEvents(layer, ForwardMode::kRecompute), visit);
    BackwardOptions options;
    options.gradient_exists.assign(layer.inputs.size(), false);
    for (size_t i = 1; i < layer.inputs.size(); ++i) {
      const auto source = use.extra_inputs[i - 1];
      options.gradient_exists[i] = external_gradient[source.use * 4 + source.output];
      external_gradient[source.use * 4 + source.output] = true;
    }
    VisitEvents(layer, BackwardEvents(layer, options).events, visit);
  }
}

int Count(const Model& model, const std::function<bool(const Kernel&)>& matches) {
  int count = 0;
  VisitStep(model, [&](const Kernel& k) { count += matches(k) ? 1 : 0; });
  return count;
}

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

Model T511b(AttentionImplementation attention, double dropout) {
  TrainingSpec training = Training(512, 8, "bf16");
  training.activation_checkpointing = Checkpointing::kFull;
  training.attention = attention;
  training.dropout = dropout;
  return BuildModel(T5(24, 1024, 128, 128, 65536), training);
}

TEST_CASE("T5-11B's eager step launches what the profiler counted") {
  const Model model = T511b(AttentionImplementation::kEager, 0.1);
  const auto named = [&](const std::string& end) { return Count(model, [&](const Kernel& k) { return EndsWith(k.name, end); }); };
  const auto gemms = [&](GemmPass pass) {
    return Count(model, [&](const Kernel& k) { return k.work.kind == KernelKind::kGemm && k.work.gemm.pass == pass; });
  };
  // nvjet TNT and NNT/NNN forward: 769 linear, 288 in attention; backward data and weight gradients 385 + 144 each.
  CHECK(gemms(GemmPass::kForward) == 769 + 288);
  CHECK(gemms(GemmPass::kDataGradient) == 385 + 144);
  CHECK(gemms(GemmPass::kWeightGradient) == 385 + 144);
  // elementwise_kernel<128, 4, CUDAFunctor_add<bf16>>: 72 attentions twice, and 24 decoder masks twice.
  CHECK(named("score_bias") + named("mask_bias") == 192);
  // direct_copy between layouts, 4 an attention and pass: 866 less 2 outside of the blocks.
  CHECK(named("_heads") + named("_rows") + named("_heads.backward") + named("_rows.backward") == 864);
  CHECK(named("dropout") == 484);
  CHECK(named("dropout.backward") == 244);
  CHECK(named("softmax") - named("log_softmax") == 144);
  CHECK(named("softmax.backward") - named("log_softmax.backward") == 72);
  CHECK(named("activation") == 96);                                        // launch_clamp_scalar
  CHECK(named("score_scale") + named("score_scale.backward") + named("output_scale") + named("output_scale.backward") == 218);
  CHECK(named("softmax.backward_product") + named("activation.backward") + named(".weight_gradient_sum") == 242);
  CHECK(named(".weight_gradient_sum") + named("_bias.gradient") == 194);   // reduce_kernel<bf16>
  CHECK(named("norm.pow") + named(".rsqrt_pow") == 364);
  CHECK(named("norm.mean") == 242);
  CHECK(named("norm.weight") + named("norm.weight_backward") == 364);
  CHECK(named("norm.normalize") == 242);
  // vectorized add<bf16>: residual adds (the last of a block is not recomputed) and gradients that meet; the
  // profile's 648 hold 2 more, of the embedding's three uses, which parallel/ adds up.
  CHECK(named("residual") + named("gradient_sum") - named(".weight_gradient_sum") == 646);
}

TEST_CASE("T5-11B under scaled_dot_product_attention launches what the profiler counted") {
  const Model model = T511b(AttentionImplementation::kSdpa, 0.0);
  const auto named = [&](const std::string& end) { return Count(model, [&](const Kernel& k) { return EndsWith(k.name, end); }); };
  const auto gemms = [&](GemmPass pass, DType type) {
    return Count(model, [&](const Kernel& k) {
      return k.work.kind == KernelKind::kGemm && k.work.gemm.pass == pass && k.work.dtype == type;
    });
  };
  // Without dropout the last product of a block saves its input only, so its recomputation stops before it.
  CHECK(gemms(GemmPass::kForward, DType::kBf16) == 769 - 48);
  CHECK(gemms(GemmPass::kForward, DType::kFp32) == 192);
  CHECK(gemms(GemmPass::kDataGradient, DType::kFp32) == 96);
  CHECK(gemms(GemmPass::kWeightGradient, DType::kFp32) == 96);
  CHECK(Count(model, [](const Kernel& k) { return k.work.kind == KernelKind::kAttention && !k.work.attention.backward; }) == 48);
  CHECK(Count(model, [](const Kernel& k) { return k.work.kind == KernelKind::kAttention && k.work.attention.backward; }) == 24);
  CHECK(named("score_bias") == 96);
  CHECK(named(".is_masked") == 96);
  CHECK(named(".all_masked") == 96);
  CHECK(named("softmax") - named("log_softmax") == 96);
  CHECK(named("softmax.backward") - named("log_softmax.backward") == 48);
  CHECK(named("activation") == 96);
}

}  // namespace
}  // namespace simulate
