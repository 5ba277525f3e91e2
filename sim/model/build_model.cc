#include "sim/model/families.h"
#include "sim/model/model.h"

namespace simulate {
namespace {

Model BuildFamily(const Plan& plan) {
  return plan.spec.family == ModelFamily::kT5 ? BuildEncoderDecoder(plan) : BuildDecoder(plan);
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
