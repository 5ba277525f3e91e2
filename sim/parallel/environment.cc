#include "sim/parallel/environment.h"

#include "sim/base/check.h"

namespace simulate {

ParameterTable::ParameterTable(const Model& model, const std::vector<uint32_t>& uses) : ids_(model.uses.size()) {
  const auto add = [&](uint32_t use, uint32_t index, const Parameter& parameter) {
    ids_[use][index] = static_cast<uint32_t>(parameters_.size());
    parameters_.push_back({.use = use, .index = index, .elements = parameter.elements, .contributions = 1,
                           .expert = parameter.expert, .block = model.uses[use].block,
                           .frozen = parameter.frozen, .of_product = parameter.of_product, .stored = parameter.stored});
  };
  for (const uint32_t use : uses) ids_[use].resize(model.layers[model.uses[use].layer].parameters.size());
  for (const bool tied : {false, true}) {
    for (const uint32_t use : uses) {
      const auto& layer = model.layers[model.uses[use].layer];
      for (uint32_t index = 0; index < layer.parameters.size(); ++index) {
        const Parameter& parameter = layer.parameters[index];
        if (parameter.tied != tied) continue;
        // A tied weight's owner is the table of equal size outside of the blocks; a pipeline stage
        // without the owner keeps a copy of its own.
        ParameterInfo* owner = nullptr;
        if (tied) {
          for (auto& other : parameters_) {
            if (!other.block && other.elements == parameter.elements) owner = &other;
          }
        }
        if (owner == nullptr) {
          add(use, index, parameter);
        } else {
          ++owner->contributions;
          owner->of_product = owner->of_product && parameter.of_product;
          ids_[use][index] = static_cast<uint32_t>(owner - parameters_.data());
        }
      }
    }
  }
}

int64_t ParameterTable::elements() const { return elements(false) + elements(true); }

int64_t ParameterTable::elements(bool of_experts) const {
  int64_t sum = 0;
  for (const auto& parameter : parameters_) sum += parameter.expert == of_experts ? parameter.elements : 0;
  return sum;
}

int64_t ParameterTable::trained_elements() const {
  int64_t sum = 0;
  for (const auto& parameter : parameters_) sum += parameter.frozen ? 0 : parameter.elements;
  return sum;
}

int64_t ParameterTable::trained_tensors() const {
  return std::ranges::count_if(parameters_, [](const ParameterInfo& p) { return !p.frozen; });
}

}  // namespace simulate
