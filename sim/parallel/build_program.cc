#include "sim/parallel/build_program.h"

#include <algorithm>
#include <numeric>

#include "sim/base/check.h"
#include "sim/parallel/data_parallel.h"
#include "sim/parallel/environment.h"
#include "sim/parallel/layout.h"
#include "sim/parallel/pipeline.h"
#include "sim/parallel/stage_split.h"
#include "sim/parallel/training_loop.h"
#include "sim/parallel/wiring.h"

namespace simulate {

namespace {

Slice SliceOf(const Scenario& scenario, const Layout& layout) {
  const ParallelismSpec& asked = scenario.parallelism;
  return {.tensor = layout.tensor, .sequence_parallel = asked.sequence_parallel,
          .divide_vocabulary = asked.vocabulary_parallel, .gather_logits = asked.gather_logits,
          .shared_entry = asked.tensor_implementation == TensorImplementation::kDtensor, .context = layout.context,
          .context_implementation = asked.context_implementation, .expert = layout.expert};
}

// Forward FLOPs that are done a second time for one sample: checkpointed blocks, the part of them that
// is not kept, or attention cores.
double RecomputedShare(const Scenario& scenario, const Model& model) {
  const TrainingSpec& training = scenario.training;
  double all = 0.0;
  double again = 0.0;
  int64_t block = 0;
  for (const LayerUse& use : model.uses) {
    const Layer& layer = model.layers[use.layer];
    all += layer.forward_flops().value();
    if (!use.block) continue;
    const bool checkpointed = RecomputesBlocks(training.activation_checkpointing) && block++ % training.checkpoint_every == 0;
    for (const Operator& op : layer.operators) {
      const bool dropped = training.activation_checkpointing == Checkpointing::kSelective && op.recomputed_selectively;
      const bool kept = training.activation_checkpointing == Checkpointing::kSelectiveOperators && op.kept_by_operator_policy;
      if ((checkpointed && !kept) || dropped) again += op.model_flops.value();
    }
  }
  return all == 0.0 ? 0.0 : again / all;
}

// Forward FLOPs of products whose weight is frozen: their backward has the data gradient alone.
double FrozenShare(const Model& model) {
  const auto trains = [](const Operator& op) {
    return std::ranges::any_of(op.backward, [](const Kernel& k) { return k.parameter_gradient && k.work.kind == KernelKind::kGemm; });
  };
  double all = 0.0;
  double frozen = 0.0;
  for (const LayerUse& use : model.uses) {
    for (const Operator& op : model.layers[use.layer].operators) {
      all += op.model_flops.value();
      if (op.linear && !trains(op)) frozen += op.model_flops.value();
    }
  }
  return all == 0.0 ? 0.0 : frozen / all;
}

// Model FLOPs: forward, and twice that backward; hardware FLOPs add what is recomputed.
StepTotals TotalsOf(const Scenario& scenario, const Model& model, const Layout& layout) {
  const TrainingSpec& training = scenario.training;
  StepTotals totals;
  totals.samples = static_cast<double>(training.micro_batch_size * training.gradient_accumulation_steps * layout.data);
  totals.tokens = totals.samples * static_cast<double>(model.tokens_per_sample);
  totals.parameters = model.parameters;
  const Flops forward = totals.samples * model.forward_flops_per_sample;
  const double passes = 3.0 - (training.lora.on() ? FrozenShare(model) : 0.0);
  totals.model_flops = passes * forward;
  totals.hardware_flops = (passes + RecomputedShare(scenario, model)) * forward;
  return totals;
}

// One rank program: `write` is given the environment and its data-parallel wrapper.
template <typename Write>
uint32_t WriteRank(ProgramBuilder& program, const Scenario& scenario, const Model& model, const Layout& layout,
                   const Wiring& wires, const std::vector<uint32_t>& uses, const Write& write) {
  StepWriter writer(program);
  Environment environment{.scenario = scenario, .model = model, .layout = layout, .wiring = wires, .uses = uses,
                          .parameters = ParameterTable(model, uses), .writer = writer};
  write(environment, *MakeDataParallel(environment));
  return program.AddRankProgram(std::move(writer).Build());
}

// One rank program per pipeline stage.
void WriteStages(ProgramBuilder& program, const Scenario& scenario, const Model& model, const Layout& layout,
                 const Wiring& wires) {
  const PipelineShape shape = PipelineShapeOf(scenario);
  const auto split = SplitIntoStages(model, VirtualStages(shape), scenario.parallelism.pipeline);
  const auto schedule = MakeSchedule(shape);
  std::vector<uint32_t> program_of_stage;
  for (int64_t stage = 0; stage < shape.stages; ++stage) {
    program_of_stage.push_back(WriteRank(
        program, scenario, model, layout, wires, UsesOfStage(split, shape, stage),
        [&](Environment& environment, DataParallel& data_parallel) {
          WritePipelineStep(environment, data_parallel, shape, split, schedule, stage);
        }));
  }
  std::vector<uint32_t> program_of_rank;
  for (RankId rank = 0; rank < layout.world_size(); ++rank) {
    program_of_rank.push_back(program_of_stage[static_cast<size_t>(CoordinatesOf(layout, rank).pipeline)]);
  }
  program.AssignRanks(std::move(program_of_rank));
}

}  // namespace

Program BuildProgram(const Scenario& scenario) {
  return BuildProgram(scenario, BuildModel(scenario.model, scenario.training, SliceOf(scenario, LayoutOf(scenario))));
}

Program BuildProgram(const Scenario& scenario, const Model& model) {
  const Layout layout = LayoutOf(scenario);
  ProgramBuilder program;
  const Wiring wires = MakeWiring(program, scenario, layout);

  if (layout.pipeline == 1) {
    std::vector<uint32_t> uses(model.uses.size());
    std::iota(uses.begin(), uses.end(), 0U);
    const uint32_t index = WriteRank(program, scenario, model, layout, wires, uses, WriteTrainingStep);
    program.AssignRanks(std::vector<uint32_t>(static_cast<size_t>(layout.world_size()), index));
  } else {
    WriteStages(program, scenario, model, layout, wires);
  }
  program.SetTotals(TotalsOf(scenario, model, layout));
  program.SetExpandableSegments(scenario.training.expandable_segments);
  return std::move(program).Build();
}

}  // namespace simulate
