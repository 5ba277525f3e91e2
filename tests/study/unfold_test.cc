// Folded equals unfolded, of whole scenarios: collectives of parts of a group meet on links of accelerators that no
// representative stands for.
#include "sim/study/simulate.h"

#include "tests/study/scenarios.h"

namespace simulate {
namespace {

void CheckUnfolded(const std::string& settings) {
  INFO(settings);
  Scenario point = Load("model: llama-3-8b\n" + settings).points[0];
  point.model.num_hidden_layers = 2;
  const Report folded = Simulate(point).report, unfolded = Simulate(point, {.unfold = true}).report;
  CHECK(folded.stats.simulated_ranks < unfolded.stats.simulated_ranks);
  CHECK(folded.step_time.value() == unfolded.step_time.value());
  CHECK(folded.breakdown.compute.value() == unfolded.breakdown.compute.value());
  CHECK(folded.breakdown.contention.value() == unfolded.breakdown.contention.value());
  CHECK(folded.breakdown.exposed().value() == unfolded.breakdown.exposed().value());
  CHECK(folded.memory.peak_reserved == unfolded.memory.peak_reserved);
}

}  // namespace

TEST_CASE("tensor- and context-parallel groups within FSDP's group") {
  const std::string training = "training: {sequence_length: 8192, micro_batch_size: 1, precision: bf16, attention: flash2}\n";
  for (const char* layout : {"tensor: 2", "context: 2", "tensor: 2, context: 2", "context: 4, context_implementation: ring",
                             "tensor: 2, context: 2, context_implementation: ring_all_gather",
                             "tensor: 2, context: 2, context_implementation: all_to_all"}) {
    CheckUnfolded("cluster: {hardware: dgx-h100, gpus: 16}\n" + training + "parallelism: {data: {strategy: fsdp}, " + layout + "}\n");
  }
}

TEST_CASE("a pipeline of tensor- and context-parallel stages") {
  const std::string training =
      "training: {sequence_length: 8192, micro_batch_size: 1, gradient_accumulation_steps: 4, precision: bf16_mixed, runtime: megatron}\n";
  CheckUnfolded("cluster: {hardware: dgx-h100, gpus: 32}\n" + training +
                "parallelism: {data: {strategy: zero1}, tensor: 2, sequence_parallel: true, context: 2, context_implementation: ring, pipeline: 2}\n");
}

TEST_CASE("a straggler whose neighbour shares its NIC") {
  const std::string training = "training: {sequence_length: 1024, micro_batch_size: 1, gradient_accumulation_steps: 4, precision: bf16_mixed}\n";
  CheckUnfolded("cluster: {hardware: aws-p4d, gpus: 48}\n" + training +
                "parallelism: {data: {strategy: zero2}, pipeline: 2}\nperturb: {rank: 9, compute: 0.7}\n");
}

}  // namespace simulate
