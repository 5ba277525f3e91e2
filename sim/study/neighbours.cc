#include "sim/study/neighbours.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace simulate {

std::vector<Neighbour> Neighbours(const Scenario& scenario) {
  std::vector<Neighbour> found;
  const auto add = [&](std::string change, auto apply) {
    Neighbour n{std::move(change), scenario};
    apply(n.scenario);
    found.push_back(std::move(n));
  };
  const TrainingSpec& t = scenario.training;
  if (t.micro_batch_size % 2 == 0) {
    add(absl::StrCat("training.micro_batch_size=", t.micro_batch_size / 2,
                     " training.gradient_accumulation_steps=", t.gradient_accumulation_steps * 2),
        [](Scenario& s) {
          s.training.micro_batch_size /= 2;
          s.training.gradient_accumulation_steps *= 2;
        });
  }
  if (t.activation_checkpointing == Checkpointing::kNone) {
    add("training.activation_checkpointing=selective",
        [](Scenario& s) { s.training.activation_checkpointing = Checkpointing::kSelective; });
  }
  if (t.activation_checkpointing != Checkpointing::kFull) {
    add("training.activation_checkpointing=full",
        [](Scenario& s) { s.training.activation_checkpointing = Checkpointing::kFull; });
  }
  if (t.attention == AttentionImplementation::kEager && scenario.model.positions != Positions::kRelativeBias) {
    add("training.attention=flash", [](Scenario& s) { s.training.attention = AttentionImplementation::kFlash; });
  }
  const DataParallelSpec& data = scenario.parallelism.data;
  const bool plain = scenario.parallelism.tensor * scenario.parallelism.pipeline.stages == 1;
  if (plain && data.strategy == DataStrategy::kDdp && scenario.gpus > 1) {
    add("parallelism.data.strategy=fsdp", [](Scenario& s) { s.parallelism.data.strategy = DataStrategy::kFsdp; });
  }
  if (data.strategy == DataStrategy::kFsdp && data.sharding != Sharding::kFullShard) {
    add("parallelism.data.sharding=full_shard", [](Scenario& s) {
      s.parallelism.data.sharding = Sharding::kFullShard;
      s.parallelism.data.shard_size = 0;
    });
  }
  return found;
}

}  // namespace simulate
