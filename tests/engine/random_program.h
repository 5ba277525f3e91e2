// Random but sound programs: tensor x data x pipeline layouts with collectives on both kinds of groups,
// exchanges between stages, host waits and memory. For properties that must hold of any program.
#pragma once

#include <vector>

#include "sim/base/random.h"
#include "sim/program/builder.h"
#include "tests/engine/fake_costs.h"

namespace simulate {

struct RandomLayout {
  uint32_t tensor = 1, data = 1, stages = 1;
  [[nodiscard]] uint32_t world() const { return tensor * data * stages; }
  [[nodiscard]] RankId rank(uint32_t stage, uint32_t d, uint32_t t) const {
    return (stage * data + d) * tensor + t;
  }
};

inline RandomLayout LayoutFrom(Random& random) {
  return {1U << random.Below(3), 1U << random.Below(4), 1U + static_cast<uint32_t>(random.Below(3))};
}

// `speedup` divides every kernel's time.
inline Program RandomProgram(uint64_t seed, double speedup = 1.0) {
  Random random(seed);
  const RandomLayout layout = LayoutFrom(random);
  ProgramBuilder program;
  const StreamId compute = program.AddStream("compute", StreamKind::kCompute);
  const StreamId gather = program.AddStream("gather", StreamKind::kCommunication);
  const StreamId scatter = program.AddStream("scatter", StreamKind::kCommunication);
  const StreamId pipe = program.AddStream("pipe", StreamKind::kCommunication);
  std::vector<std::vector<RankId>> tensor, data, pipeline;
  for (uint32_t s = 0; s < layout.stages; ++s) {
    for (uint32_t d = 0; d < layout.data; ++d) {
      tensor.emplace_back();
      for (uint32_t t = 0; t < layout.tensor; ++t) tensor.back().push_back(layout.rank(s, d, t));
    }
    for (uint32_t t = 0; t < layout.tensor; ++t) {
      data.emplace_back();
      for (uint32_t d = 0; d < layout.data; ++d) data.back().push_back(layout.rank(s, d, t));
    }
  }
  for (uint32_t d = 0; d < layout.data; ++d) {
    for (uint32_t t = 0; t < layout.tensor; ++t) {
      pipeline.emplace_back();
      for (uint32_t s = 0; s < layout.stages; ++s) pipeline.back().push_back(layout.rank(s, d, t));
    }
  }
  const CommunicatorId tp = program.AddCommunicator("tensor", tensor);
  const CommunicatorId dp = program.AddCommunicator("data", data);
  const CommunicatorId pp = program.AddCommunicator("pipeline", pipeline);

  const auto work = [&] { return Work(static_cast<double>(1 + random.Below(20)) / speedup); };
  const auto bytes = [&] { return Bytes(static_cast<int64_t>(500 * (1 + random.Below(30)))); };
  const uint32_t layers = 2 + static_cast<uint32_t>(random.Below(4));
  const uint32_t microbatches = 1 + static_cast<uint32_t>(random.Below(3));
  const Bytes boundary = bytes();
  std::vector<uint32_t> program_of_stage;
  for (uint32_t s = 0; s < layout.stages; ++s) {
    RankProgramBuilder rank(program);
    const BufferId weights = rank.Allocate(bytes() * 1000, MemoryCategory::kParameters, compute, "weights");
    rank.BeginStep();
    for (uint32_t m = 0; m < microbatches; ++m) {
      TaskRef input;
      if (s > 0) {
        input = rank.Exchange(pipe, "receive",
                              {.communicator = pp, .receive_offset = -1, .receive_bytes = boundary});
      }
      TaskRef limiter;
      for (uint32_t l = 0; l < layers; ++l) {
        const BufferId gathered =
            rank.Allocate(bytes() * 100, MemoryCategory::kUnshardedParameters, gather, "full");
        const TaskRef ready = rank.Collective(
            gather, "gather", {.op = CollectiveOp::kAllGather, .communicator = dp, .bytes = bytes()},
            {&limiter, 1});
        const TaskRef waits[] = {ready, input};
        const TaskRef first = rank.Kernel(compute, "first", work(), HostCall::kOperator, waits);
        const TaskRef reduced =
            rank.Collective(scatter, "tensor", {.communicator = tp, .bytes = bytes()}, {&first, 1});
        rank.Kernel(compute, "beside", work(), HostCall::kInner);
        const TaskRef last = rank.Kernel(compute, "last", work(), HostCall::kOperator, {&reduced, 1});
        rank.Collective(scatter, "scatter",
                        {.op = CollectiveOp::kReduceScatter, .communicator = dp, .bytes = bytes()},
                        {&last, 1});
        rank.Free(gathered, {&last, 1});
        if (random.Below(3) == 0) rank.HostWait({&first, 1});
        limiter = last;
        input = TaskRef{};
      }
      if (s + 1 < layout.stages) {
        rank.Exchange(pipe, "send", {.communicator = pp, .send_offset = 1, .send_bytes = boundary},
                      {&limiter, 1});
      }
    }
    rank.Kernel(compute, "optimizer", work(), HostCall::kOptimizerStep);
    rank.Free(weights);
    program_of_stage.push_back(program.AddRankProgram(std::move(rank).Build()));
  }
  std::vector<uint32_t> program_of_rank(layout.world());
  for (uint32_t r = 0; r < layout.world(); ++r) {
    program_of_rank[r] = program_of_stage[r / (layout.data * layout.tensor)];
  }
  program.AssignRanks(program_of_rank);
  return std::move(program).Build();
}

inline FakeCosts RandomCosts(uint64_t seed) {
  Random random(seed, 7);
  FakeCosts costs;
  costs.host = Seconds(1e-7 * static_cast<double>(random.Below(40)));
  costs.launch = Seconds(1e-6 * static_cast<double>(random.Below(3)));
  costs.latency = Seconds(1e-7 * static_cast<double>(random.Below(30)));
  costs.kernel_slowdown = 1.0 + random.Unit() * 0.5;
  costs.collective_slowdown = 1.0 + random.Unit() * 2.0;
  costs.per_node = 1U << random.Below(4);
  return costs;
}

}  // namespace simulate
