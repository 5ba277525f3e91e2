#include "sim/parallel/fsdp_units.h"

#include "sim/parallel/offload.h"

namespace simulate {

FsdpUnits::FsdpUnits(const Environment& env)
    : unit_of_use(env.model.uses.size(), 0), unit_of_parameter(env.parameters.all().size(), 0) {
  const auto add = [&](const std::string& name) {
    units.push_back({.name = name, .parameters = {}, .shard = env.wiring.shard, .replica = env.wiring.replica});
    return static_cast<uint32_t>(units.size() - 1);
  };
  add("root");
  for (const uint32_t use : env.uses) {
    if (env.model.uses[use].block) unit_of_use[use] = add(env.model.uses[use].name);
  }
  blocks_end = units.size();
  const auto& parameters = env.parameters.all();
  for (uint32_t p = 0; p < parameters.size(); ++p) {
    uint32_t unit = unit_of_use[parameters[p].use];
    if (parameters[p].expert && env.wiring.expert.size > 1) {
      if (units[unit].experts == 0) {
        const uint32_t experts = add(units[unit].name + ".experts");
        units[unit].experts = experts;
        units[experts].shard = env.wiring.expert_data;
        units[experts].replica = Channel{};
      }
      unit = units[unit].experts;
    }
    unit_of_parameter[p] = unit;
    units[unit].parameters.push_back(p);
    units[unit].elements += parameters[p].elements;
  }
  for (FsdpUnit& unit : units) {
    unit.local = DivCeil(unit.elements, unit.shard.size);
    unit.padded = unit.local * unit.shard.size;
  }
}

int64_t FsdpUnits::local_elements() const {
  int64_t sum = 0;
  for (const FsdpUnit& unit : units) sum += unit.local;
  return sum;
}

FsdpTypes FsdpTypesOf(const PrecisionSpec& precision) {
  return {.storage = precision.master_weights.value_or(precision.parameters),
          .compute = precision.parameters,
          .reduce = precision.gradient_reduction};
}

void HoldShard(Environment& env, const FsdpTypes& types, int64_t elements) {
  if (OffloadsParameters(env)) {
    HoldOptimizerOnHost(env, elements, types.storage, types.storage);
    return;
  }
  env.writer.Allocate(SizeOf(types.storage, elements), MemoryCategory::kParameters, env.wiring.compute, "shard");
  AllocateOptimizerState(env.writer, env.scenario.training, elements, env.wiring.compute);
}

void StepShards(Environment& env, const FsdpTypes& types, int64_t elements, int64_t tensors, std::vector<BufferId>& gradients) {
  const OptimizerLoad load{.elements = elements, .tensors = tensors, .weights = types.storage, .gradients = types.storage, .copy = {}};
  if (OffloadsParameters(env)) {
    EmitHostOptimizerStep(env, load);
  } else {
    if (env.scenario.training.clip_grad_norm) EmitGradientClipping(env, env.wiring.shard, elements, types.storage);
    EmitOptimizerStep(env, load);
  }
  env.writer.HostWork(HostCall::kZeroGrad, static_cast<int>(tensors));
  if (!env.scenario.training.set_to_none) {
    if (!OffloadsParameters(env)) EmitZeroGradients(env, types.storage, elements);
    return;
  }
  for (BufferId& gradient : gradients) {
    if (gradient != kNoBuffer) env.writer.Free(gradient);
    gradient = kNoBuffer;
  }
}

}  // namespace simulate
