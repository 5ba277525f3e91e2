#include <algorithm>
#include <set>

#include "sim/model/families.h"
#include "sim/model/model.h"

namespace simulate {
namespace {

bool Launches(const Operator& op, KernelKind kind) {
  return std::any_of(op.forward.begin(), op.forward.end(), [&](const Kernel& k) { return k.work.kind == kind; });
}

// torchtitan's policy (parallelize_llama.py, _save_list): attention, what a tensor-parallel region reduces, and every
// second matrix product of a block, the first one included.
void MarkOperatorPolicy(Layer& layer) {
  int products = 0;
  for (Operator& op : layer.operators) {
    if (op.linear) ++products;
    const bool reduced = op.boundary == Boundary::kTensorLeave && !op.outputs.empty();
    op.kept_by_operator_policy = (op.linear && products % 2 == 1) || reduced || Launches(op, KernelKind::kAttention);
  }
}

// What a module of Transformer Engine (a linear layer of a block, attention) takes of the host beyond the operator that it launches:
// its forward and its backward are Python (prepare_forward, an autograd function, saved tensors sorted out). te.Linear takes 2.7
// times as long as torch's on GB200 and GH200 (100 and 91 us for 37 and 33; NVIDIA/TransformerEngine#2053): to torch's operator and
// three views come two more operators and three views. That its backward adds as much is taken for granted.
constexpr int kEngineCalls = 2, kEngineViews = 3;
// Its grouped product is a product per expert, each with a weight of its own: a launch forward, half an operator, and two launches
// and a gradient's hook backward.
constexpr int kExpertsPerCall = 2, kCallsPerExpert = 2;

void AddEngineHostTime(Layer& layer) {
  for (Operator& op : layer.operators) {
    if (!(op.linear && !op.parameters.empty()) && !Launches(op, KernelKind::kAttention)) continue;
    const int more = Launches(op, KernelKind::kGemm) ? static_cast<int>(op.forward.front().work.gemm.batch) - 1 : 0;
    op.forward_views += kEngineViews;
    op.backward_views += kEngineViews;
    op.forward_calls += kEngineCalls + more / kExpertsPerCall;
    op.backward_calls += kEngineCalls + more * kCallsPerExpert;
  }
}

Model BuildFamily(const LayerPlan& plan) {
  Model model = plan.spec.family == ModelFamily::kT5 ? BuildEncoderDecoder(plan) : BuildDecoder(plan);
  for (const LayerUse& use : model.uses)
    if (use.block) MarkOperatorPolicy(model.layers[use.layer]);
  std::set<uint32_t> blocks;  // several uses share a layer
  for (const LayerUse& use : model.uses)
    if (use.block && plan.training.transformer_engine && blocks.insert(use.layer).second) AddEngineHostTime(model.layers[use.layer]);
  return model;
}

// Counts of the undivided model. Layers do not depend on the batch in these.
void Count(Model& model, const Model& whole, int64_t samples, const ModelSpec& spec) {
  for (const LayerUse& use : whole.uses) {
    const Layer& layer = whole.layers[use.layer];
    model.parameters += layer.parameter_count();
    model.forward_flops_per_sample += layer.forward_flops() / static_cast<double>(samples);
  }
  model.embedding_parameters = spec.vocab_size * spec.hidden_size;
}

}  // namespace

int64_t Layer::parameter_count() const {
  int64_t count = 0;
  for (const Parameter& p : parameters)
    if (!p.tied) count += p.elements;
  return count;
}

Flops Layer::forward_flops() const {
  Flops flops;
  for (const Operator& op : operators) flops += op.model_flops;
  return flops;
}

void Loss(LayerBuilder& b, const LayerPlan& plan, const Value& logits, LossKernel usual) {
  switch (plan.training.loss) {
    case LossImplementation::kComposed: usual = LossKernel::kComposed; break;
    case LossImplementation::kDirect: usual = LossKernel::kDirect; break;
    case LossImplementation::kFused: usual = LossKernel::kFused; break;
    case LossImplementation::kDefault: break;
  }
  CrossEntropy(b, logits, usual, plan.training.loss_metrics);
}

Model BuildModel(const ModelSpec& spec, const TrainingSpec& training, const Slice& slice) {
  const Numerics numerics = NumericsOf(training);
  Model model = BuildFamily({spec, training, slice, numerics});
  model.name = spec.name;
  model.tied_embedding = spec.tie_word_embeddings;
  TrainingSpec one = training;
  one.micro_batch_size = 1;
  const Slice undivided;
  Count(model, BuildFamily({spec, one, undivided, numerics}), 1, spec);
  return model;
}

}  // namespace simulate
