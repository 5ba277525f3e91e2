// A100, which no run of ours stands behind: what other people measured, with the constants of the accelerator file.
#include <catch2/catch.hpp>

#include <absl/strings/str_cat.h>

#include <vector>

#include "sim/study/simulate.h"
#include "tests/study/scenarios.h"

namespace simulate {
namespace {

// Forward and backward of one layer of GPT 22B on 8 A100 (tensor parallelism 8, micro-batch 4, sequence 2048): the difference
// between a step of eight layers and one of four, without the optimizer.
double LayerSeconds(const char* checkpointing, const char* sequence_parallel) {
  std::vector<double> passes;
  for (const int layers : {4, 8}) {
    const Study study = Load(absl::StrCat(
        "model: {model_type: gpt2, hidden_size: 6144, num_attention_heads: 64, num_hidden_layers: ", layers,
        ", vocab_size: 51200, max_position_embeddings: 2048}\n"
        "cluster: {hardware: dgx-a100-80gb, gpus: 8}\n"
        "training: {micro_batch_size: 4, sequence_length: 2048, attention: eager, dropout: 0.1, runtime: megatron, host_waits: passes,\n"
        "           precision: {preset: fp16_mixed, gradients: fp32, gradient_reduction: fp32}, activation_checkpointing: ",
        checkpointing, "}\nparallelism: {tensor: 8, data: {strategy: ddp}, sequence_parallel: ", sequence_parallel, "}\n"));
    const Report report = Simulate(study.points[0], {}).report;
    passes.push_back((report.step_time - report.breakdown.optimizer).value());
  }
  return (passes[1] - passes[0]) / 4;
}

// Korthikanti et al., arXiv:2205.05198, table 4, "combined".
TEST_CASE("one layer of GPT 22B on 8 A100 takes what Korthikanti et al. measured") {
  CHECK(LayerSeconds("none", "false") == Approx(0.0196).epsilon(0.028));
  CHECK(LayerSeconds("none", "true") == Approx(0.0190).epsilon(0.028));
  CHECK(LayerSeconds("full", "false") == Approx(0.0272).epsilon(0.028));
  CHECK(LayerSeconds("selective", "false") == Approx(0.0209).epsilon(0.028));
  CHECK(LayerSeconds("selective", "true") == Approx(0.0203).epsilon(0.028));
}

}  // namespace
}  // namespace simulate
