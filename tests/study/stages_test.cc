// Where embedding and head stand in a pipeline, by the time of the whole step.
#include "sim/report/pipeline.h"
#include "sim/study/simulate.h"
#include "tests/study/scenarios.h"

namespace simulate {
namespace {

// Llama blocks of 218 M weights and a head that takes as long (45,056 x 4,096, and the loss) on 4 stages, 16 micro-batches.
PlayedPipeline Play(const std::string& pipeline, int layers) {
  const Scenario scenario = Load("model: {model_type: llama, hidden_size: 4096, intermediate_size: 14336, num_attention_heads: 32,\n"
                                 "        num_key_value_heads: 8, vocab_size: 45056, num_hidden_layers: " + std::to_string(layers) + "}\n"
                                 "cluster: {hardware: dgx-h100, gpus: 4}\n"
                                 "training: {micro_batch_size: 1, sequence_length: 4096, gradient_accumulation_steps: 16,\n"
                                 "           precision: bf16, runtime: megatron}\n"
                                 "parallelism: {pipeline: {stages: 4, " + pipeline + "}}\n")
                                .points[0];
  const Simulation simulation = Simulate(scenario);
  return PlayedPipelineOf(scenario, simulation.program, simulation.timeline);
}

TEST_CASE("a head that counts as a block leaves the bubble of equal stages") {
  // 15 blocks and the head: 4 each, (p-1)/(m+p-1) = 3/19.
  const PlayedPipeline counted = Play("partition: head", 15);
  CHECK(counted.bubble == Approx(3.0 / 19.0).margin(0.015));
  // 16 blocks and the head on top: the last stage has 5, so a step is 16 x 5 + 3 x 4 = 92, of which the others work 64.
  const PlayedPipeline on_top = Play("partition: blocks", 16);
  CHECK(on_top.stages.front().bubble == Approx(1.0 - 64.0 / 92.0).margin(0.015));
  CHECK(on_top.stages.back().bubble == Approx(1.0 - 80.0 / 92.0).margin(0.015));
}

TEST_CASE("a stage of the embedding alone stands still, and lets the others work") {
  // 12 blocks on the three other stages, of which the last has the head besides: 16 x 5 + 2 x 4 and next to nothing = 88.
  const PlayedPipeline played = Play("first_stage_layers: 0", 12);
  CHECK(played.stages[0].bubble > 0.95);
  CHECK(played.stages[1].bubble == Approx(1.0 - 64.0 / 88.0).margin(0.02));
  CHECK(played.stages[3].bubble == Approx(1.0 - 80.0 / 88.0).margin(0.02));
}

TEST_CASE("the less of a pipeline's messages overlaps, the longer it takes") {
  const auto time = [](const char* overlap) {  // a node a stage, so that messages cross the network
    return Simulate(Load(std::string("model: {model_type: llama, hidden_size: 8192, intermediate_size: 28672, num_attention_heads: 64,\n"
                                     "        num_key_value_heads: 8, vocab_size: 32000, num_hidden_layers: 16}\n"
                                     "cluster: {hardware: dgx-h100, gpus: 32}\n"
                                     "training: {micro_batch_size: 1, sequence_length: 4096, gradient_accumulation_steps: 8, precision: bf16,\n"
                                     "           runtime: megatron}\n"
                                     "parallelism: {tensor: 8, sequence_parallel: true,\n"
                                     "              pipeline: {stages: 4, virtual_stages: 4, overlap_p2p: ") + overlap + "}}\n")
                        .points[0])
        .report.step_time;
  };
  const Seconds all = time("all"), steady = time("steady");
  CHECK(all < steady);
  CHECK(steady < time("none"));
}

}  // namespace
}  // namespace simulate
