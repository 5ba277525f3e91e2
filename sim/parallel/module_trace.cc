#include "sim/parallel/module_trace.h"

#include <algorithm>

#include "sim/model/liveness.h"
#include "sim/parallel/layer_runner.h"

namespace simulate {

Modules::Modules(const Environment& env, const std::function<bool(uint32_t)>& divided) : by_use_(env.model.uses.size()) {
  for (const uint32_t use : env.uses) {
    const Layer& layer = env.LayerOf(use);
    std::vector<ModuleCall>& calls = by_use_[use];
    std::vector<bool> owned(layer.parameters.size(), false);
    const auto add = [&](ModuleCall& call, uint32_t index) {
      owned[index] = true;
      const uint32_t parameter = env.parameters.Id(use, index);
      if (!divided(parameter)) return;
      call.parameters.push_back(parameter);
      call.elements += env.parameters.all()[parameter].elements;
    };
    for (uint32_t op = 0; op < layer.operators.size(); ++op) {
      calls.push_back({.use = use, .op = op, .parameters = {}});
      for (const uint32_t index : layer.operators[op].parameters) add(calls.back(), index);
    }
    calls.push_back({.use = use, .op = kWholeUse, .parameters = {}});
    for (uint32_t index = 0; index < owned.size(); ++index) {
      if (!owned[index]) add(calls.back(), index);
    }
  }
}

const ModuleCall& Modules::Of(uint32_t use, uint32_t op) const {
  const std::vector<ModuleCall>& calls = by_use_[use];
  return op == kWholeUse ? calls.back() : calls[op];
}

std::vector<ModuleCall> TraceModules(const Environment& env, const Modules& modules) {
  std::vector<ModuleCall> trace;
  const auto add = [&](uint32_t use, uint32_t op) {
    const ModuleCall& call = modules.Of(use, op);
    if (!call.parameters.empty()) trace.push_back(call);
  };
  const auto add_runs = [&](uint32_t use, const std::vector<LayerEvent>& events) {
    for (const LayerEvent& event : events) {
      if (event.kind == LayerEventKind::kRun) add(use, event.op);
    }
  };
  const TrainingSpec& training = env.scenario.training;
  const std::vector<bool> checkpointed = CheckpointedUses(env);
  for (const uint32_t use : env.uses) {
    add(use, kWholeUse);
    add_runs(use, ForwardEvents(env.LayerOf(use), ForwardModeOf(training, checkpointed[use])));
  }
  const BackwardOptions options{.gradient_exists = {}, .selective = training.activation_checkpointing == Checkpointing::kSelective};
  for (auto use = env.uses.rbegin(); use != env.uses.rend(); ++use) {
    add(*use, kWholeUse);
    if (checkpointed[*use]) add_runs(*use, ForwardEvents(env.LayerOf(*use), RecomputeModeOf(training)));
    add_runs(*use, BackwardEvents(env.LayerOf(*use), options).events);
  }
  return trace;
}

}  // namespace simulate
