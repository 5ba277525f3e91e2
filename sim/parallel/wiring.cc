#include "sim/parallel/wiring.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

#include "sim/base/check.h"
#include "sim/parallel/layout.h"

namespace simulate {

int64_t ShardSize(const Scenario& scenario, const Layout& layout) {
  const DataParallelSpec& data = scenario.parallelism.data;
  const int64_t ranks = layout.data * layout.context;
  if (data.strategy == DataStrategy::kDdp) return 1;
  if (data.strategy == DataStrategy::kFsdp && data.sharding == Sharding::kNoShard) return 1;
  if (data.shard_size > 0) return std::min(data.shard_size, ranks);
  if (data.strategy == DataStrategy::kFsdp && data.sharding == Sharding::kHybridShard) {
    const int64_t inside = std::max<int64_t>(1, scenario.hardware.node.accelerators / layout.tensor);
    return std::min(inside, ranks);
  }
  return ranks;
}

namespace {

PipelineWire MakePipelineWire(ProgramBuilder& program, const std::string& name, const Layout& layout) {
  PipelineWire wire;
  wire.communicator = program.AddCommunicator(name, PipelineGroups(layout));
  const char* const neighbours[] = {"next", "previous"};
  for (size_t i = 0; i < 2; ++i) {
    wire.send[i] = program.AddStream(absl::StrCat(name, " send ", neighbours[i]), StreamKind::kCommunication);
    wire.receive[i] = program.AddStream(absl::StrCat(name, " receive ", neighbours[i]), StreamKind::kCommunication);
  }
  return wire;
}

}  // namespace

Wiring MakeWiring(ProgramBuilder& program, const Scenario& scenario, const Layout& layout) {
  Wiring wires;
  wires.compute = program.AddStream("compute", StreamKind::kCompute);
  const auto channel = [&](const char* name, Groups groups) {
    Channel result;
    SIM_CHECK(!groups.empty(), name, " has no groups");
    result.size = static_cast<int64_t>(groups.front().size());
    if (result.size == 1) return result;  // nobody to talk to
    result.communicator = program.AddCommunicator(name, std::move(groups));
    result.stream = program.AddStream(name, StreamKind::kCommunication);
    return result;
  };
  const bool fsdp = scenario.parallelism.data.strategy == DataStrategy::kFsdp ||
                    scenario.parallelism.data.strategy == DataStrategy::kZero3;
  if (fsdp) {
    wires.pre_unshard = program.AddStream("pre_unshard", StreamKind::kCompute);
    wires.unshard = program.AddStream("unshard", StreamKind::kCompute);
    wires.post_backward = program.AddStream("post_backward", StreamKind::kCompute);
    wires.all_reduce = program.AddStream("post_backward_all_reduce", StreamKind::kCompute);
  }
  if (scenario.parallelism.data.offload != Offload::kNone || scenario.training.offload_activations) {
    wires.copy_in = program.AddStream("copy in", StreamKind::kCopy);
    wires.copy_out = program.AddStream("copy out", StreamKind::kCopy);
  }

  const Groups data = DataGroups(layout);
  wires.data = channel("data_parallel", data);
  const int64_t shard = ShardSize(scenario, layout);
  if (shard == wires.data.size) {
    wires.shard = wires.data;
  } else {
    wires.shard = channel("shard", Consecutive(data, shard));
    wires.replica = shard == 1 ? wires.data : channel("replica", Strided(data, shard));
  }
  wires.tensor = channel("tensor_parallel", TensorGroups(layout));
  wires.context = channel("context_parallel", ContextGroups(layout));
  if (layout.pipeline > 1) {
    wires.forward = MakePipelineWire(program, "pipeline forward", layout);
    wires.backward = MakePipelineWire(program, "pipeline backward", layout);
    wires.embedding = channel("embedding", EmbeddingGroups(layout));
  }
  wires.expert = channel("expert_parallel", ExpertGroups(layout));
  if (layout.expert > 1) wires.expert_data = channel("expert_data_parallel", ExpertDataGroups(layout));
  return wires;
}

}  // namespace simulate
