#include "sim/study/neighbours.h"

#include <algorithm>
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
  if (!t.expandable_segments && t.runtime != Runtime::kNeuron) {
    add("training.expandable_segments=true", [](Scenario& s) { s.training.expandable_segments = true; });
  }
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
  if (plain && !t.lora.on() && data.strategy == DataStrategy::kDdp && scenario.gpus > 1) {
    add("parallelism.data.strategy=fsdp", [](Scenario& s) { s.parallelism.data.strategy = DataStrategy::kFsdp; });
  }
  if (data.strategy == DataStrategy::kFsdp && data.sharding != Sharding::kFullShard) {
    add("parallelism.data.sharding=full_shard", [](Scenario& s) {
      s.parallelism.data.sharding = Sharding::kFullShard;
      s.parallelism.data.shard_size = 0;
    });
  }
  const NodeSpec& node = scenario.hardware.node;
  const bool host = node.pcie.bandwidth.value() > 0 && node.host_memory_bandwidth.value() > 0;
  const bool zero = data.strategy == DataStrategy::kZero2 || data.strategy == DataStrategy::kZero3;
  if (host && zero && data.offload == Offload::kNone) {
    add("parallelism.data.offload=optimizer", [](Scenario& s) { s.parallelism.data.offload = Offload::kOptimizer; });
  }
  if (host && (data.strategy == DataStrategy::kFsdp || data.strategy == DataStrategy::kZero3) && data.offload != Offload::kParameters) {
    add("parallelism.data.offload=parameters", [](Scenario& s) { s.parallelism.data.offload = Offload::kParameters; });
  }
  if (host && t.activation_checkpointing == Checkpointing::kFull && !t.offload_activations) {
    add("training.activation_checkpointing='{policy: full, offload: true}'", [](Scenario& s) { s.training.offload_activations = true; });
  }
  return found;
}

std::vector<Neighbour> Pairs(const std::vector<Neighbour>& neighbours) {
  std::vector<Neighbour> pairs;
  for (size_t i = 0; i < neighbours.size(); ++i) {
    for (const Neighbour& second : Neighbours(neighbours[i].scenario)) {
      // Each pair once, and nothing that undoes the first change or goes on with it.
      const auto place = std::find_if(neighbours.begin(), neighbours.end(), [&](const Neighbour& n) { return n.change == second.change; });
      const bool later = place == neighbours.end() || static_cast<size_t>(place - neighbours.begin()) > i;
      const std::string key = second.change.substr(0, second.change.find('='));
      if (!later || neighbours[i].change.find(key) != std::string::npos) continue;
      pairs.push_back({absl::StrCat(neighbours[i].change, " ", second.change), second.scenario});
    }
  }
  return pairs;
}

}  // namespace simulate
