// Studies: sweeps, overrides, tables, and what follows from a few keys.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "sim/config/config.h"

namespace simulate {
namespace {

const std::string kBase =
    "title: test\nmodel: gpt-tiny\ncluster: {hardware: tiny, gpus: 8}\n"
    "training: {micro_batch_size: 2, sequence_length: 64}\n";

Study Load(const std::string& text, const std::vector<Setting>& overrides = {}) {
  Diagnostics diagnostics;
  const SearchPath search{{SIMULATE_SOURCE_DIR "/tests/config/fixture"}};
  const auto study = LoadStudyText("test.yaml", text, search, overrides, diagnostics);
  INFO(diagnostics.Render());
  REQUIRE(study.has_value());
  return *study;
}

TEST_CASE("a scenario without a sweep is one point with the defaults") {
  const Study study = Load(kBase);
  REQUIRE(study.points.size() == 1);
  const Scenario& s = study.points[0];
  CHECK(s.title == "test");
  CHECK(s.model.name == "gpt-tiny");
  CHECK(s.gpus == 8);
  CHECK(s.settings.empty());
  CHECK(s.training.precision.name == "bf16_mixed");
  CHECK(s.training.precision.master_weights == DType::kFp32);
  CHECK(s.parallelism.data.strategy == DataStrategy::kDdp);
}

TEST_CASE("several swept keys make a grid, the first varies slowest") {
  const Study study = Load(kBase + "sweep:\n  cluster.gpus: [8, 16]\n  training.micro_batch_size: [1, 2, 4]\n");
  REQUIRE(study.points.size() == 6);
  CHECK(study.points[0].gpus == 8);
  CHECK(study.points[2].training.micro_batch_size == 4);
  CHECK(study.points[3].gpus == 16);
  CHECK(study.points[3].settings == std::vector<Setting>{{"cluster.gpus", "16"}, {"training.micro_batch_size", "1"}});
}

TEST_CASE("a job may get a part of every node, with its share of the network interfaces") {
  // 12 of nodes of 8 do not fit; of 6 each, two nodes with 6 interfaces.
  const Study study = Load(kBase, {{"cluster.gpus", "12"}, {"cluster.gpus_per_node", "6"}});
  CHECK(study.points[0].hardware.node.accelerators == 6);
  CHECK(study.points[0].hardware.node.nics == 6);
  // Another point of the same hardware keeps all of them.
  const Study swept = Load(kBase + "sweep: {cluster.gpus_per_node: [4, 8]}\n");
  CHECK(swept.points[0].hardware.node.accelerators == 4);
  CHECK(swept.points[1].hardware.node.accelerators == 8);
}

TEST_CASE("keys separated by commas are swept together, and values may be mappings") {
  const Study study = Load(kBase +
                           "sweep:\n  model, training.precision: [[gpt-tiny, fp32], [moe-tiny, bf16]]\n"
                           "  parallelism.data: [{strategy: ddp}, {strategy: fsdp, sharding: no_shard}]\n");
  REQUIRE(study.points.size() == 4);
  CHECK(study.points[1].model.name == "gpt-tiny");
  CHECK(study.points[1].training.precision.name == "fp32");
  CHECK(study.points[1].parallelism.data.sharding == Sharding::kNoShard);
  CHECK(study.points[2].model.name == "moe-tiny");
  CHECK(study.points[2].settings[2] == Setting{"parallelism.data", "{strategy: ddp}"});
}

TEST_CASE("an override changes the file, a model that it names, or the sweep") {
  const std::string swept = kBase + "sweep: {cluster.gpus: [8, 16]}\n";
  CHECK(Load(kBase, {{"training.micro_batch_size", "7"}}).points[0].training.micro_batch_size == 7);
  const Study deeper = Load(kBase, {{"model.n_layer", "24"}});
  CHECK(deeper.points[0].model.num_hidden_layers == 24);
  CHECK(deeper.points[0].model.name == "gpt-tiny");
  CHECK(Load(swept, {{"cluster.gpus", "32"}}).points.size() == 1);
  CHECK(Load(swept, {{"cluster.gpus", "[1, 2, 4]"}}).points.size() == 3);
  CHECK(Load(kBase, {{"sweep.training.micro_batch_size", "[1, 2]"}}).points.size() == 2);
  // A whole sweep takes the place of the file's; an empty one leaves a single point.
  CHECK(Load(std::string(kBase) + "sweep: {training.micro_batch_size: [1, 2, 4]}\n", {{"sweep", "{training.dropout: [0, 0.1]}"}}).points.size() == 2);
  CHECK(Load(std::string(kBase) + "sweep: {training.micro_batch_size: [1, 2, 4]}\n", {{"sweep", "{}"}}).points.size() == 1);
  CHECK(Load(kBase, {{"cluster.hardware.node.nic.bandwidth", "200 Gb/s"}}).points[0].hardware.node.nic.bandwidth.value() ==
        Approx(25e9));
}

TEST_CASE("a short form gives way to a mapping when one of its keys is set") {
  const Study study = Load(kBase + "parallelism: {data: fsdp, pipeline: 2}\n",
                           {{"parallelism.data.sharding", "shard_grad_op"}, {"parallelism.pipeline.schedule", "gpipe"},
                            {"training.gradient_accumulation_steps", "4"}});
  const ParallelismSpec& p = study.points[0].parallelism;
  CHECK(p.data.strategy == DataStrategy::kFsdp);
  CHECK(p.data.sharding == Sharding::kShardGradOp);
  CHECK(p.pipeline.stages == 2);
  CHECK(p.pipeline.schedule == PipelineScheduleKind::kGpipe);
}

TEST_CASE("virtual stages make a schedule that was not chosen interleaved") {
  const Study study = Load(kBase + "parallelism: {data: zero1, pipeline: 2}\n",
                           {{"parallelism.pipeline.virtual_stages", "3"}, {"training.gradient_accumulation_steps", "4"}});
  CHECK(study.points[0].parallelism.pipeline.schedule == PipelineScheduleKind::kInterleaved1F1B);
}

TEST_CASE("the accumulation steps follow from the global batch") {
  // 16 accelerators split 2 ways: 8 data-parallel ranks of 2 sequences, so 64 take 4 steps.
  const Study study = Load("model: gpt-tiny\ncluster: {hardware: tiny, gpus: 16}\nparallelism: {tensor: 2}\n"
                           "training: {micro_batch_size: 2, global_batch_size: 64, sequence_length: 64}\n");
  CHECK(study.points[0].training.gradient_accumulation_steps == 4);
}

TEST_CASE("precision presets can be changed in part") {
  const Study study = Load(kBase, {{"training.precision", "{preset: bf16_mixed, gradient_reduction: fp32}"}});
  const PrecisionSpec& p = study.points[0].training.precision;
  CHECK(p.name == "custom");
  CHECK(p.parameters == DType::kBf16);
  CHECK(p.gradient_reduction == DType::kFp32);
  CHECK(p.master_weights == DType::kFp32);
  const Study plain = Load(kBase, {{"training.precision", "bf16"}});
  CHECK_FALSE(plain.points[0].training.precision.master_weights.has_value());
}

TEST_CASE("reference points find their point of the sweep") {
  const Study study = Load(kBase +
                           "sweep: {cluster.gpus: [8, 16]}\nreference:\n  source: nobody\n  tolerance: 10%\n  points:\n"
                           "    - {where: {cluster.gpus: 16}, metric: peak_allocated_bytes, value: 2 GB, tolerance: 5%}\n"
                           "    - {where: {cluster.gpus: 8.0}, metric: status, value: out_of_memory}\n");
  CHECK(study.points[0].reference == std::vector<size_t>{1});
  CHECK(study.points[1].reference == std::vector<size_t>{0});
  CHECK(study.reference.points[0].value == 2e9);
  CHECK(study.reference.points[0].tolerance == 0.05);
  CHECK(study.reference.points[1].value == 1.0);
  CHECK(study.reference.points[1].tolerance == 0.1);
}

TEST_CASE("each row of a reference table is a point") {
  const Study study = Load(kBase + "reference: {source: nobody, tolerance: 10%, table: " SIMULATE_SOURCE_DIR
                                   "/tests/config/fixture/runs.csv}\n");
  REQUIRE(study.points.size() == 2);
  CHECK(study.points[0].gpus == 16);
  CHECK(study.points[0].training.micro_batch_size == 2);  // an empty cell leaves the scenario's own value
  CHECK(study.points[0].reference == std::vector<size_t>{0, 1});
  CHECK(study.points[1].training.precision.name == "custom");
  CHECK(study.points[1].reference == std::vector<size_t>{2});
  REQUIRE(study.reference.points.size() == 3);
  CHECK(study.reference.points[0].id == "a");
  CHECK(study.reference.points[0].note == "says \"hello\", twice");
  CHECK(study.reference.points[1].metric == "peak_allocated_bytes");
  CHECK(study.reference.points[1].value == 1.5e9);
  CHECK(study.reference.points[1].tolerance == 0.1);
  CHECK(study.reference.points[2].tolerance == 0.02);
  REQUIRE(study.reference.excluded.size() == 1);
  CHECK(study.reference.excluded[0].id == "c");
  CHECK(study.reference.excluded[0].reason == "machine not stated");
}

TEST_CASE("a config.json of Hugging Face is read as it is") {
  const Study study = Load(kBase, {{"model", SIMULATE_SOURCE_DIR "/tests/config/fixture/config.json"}});
  const ModelSpec& m = study.points[0].model;
  CHECK(m.family == ModelFamily::kLlama);
  CHECK(m.num_key_value_heads == 8);
  CHECK(m.head_dim == 128);
  CHECK(m.vocab_size == 128256);
}

TEST_CASE("every scenario in the repository is read without an error") {
  for (const char* name : {"t5_11b_fsdp", "t5_scale_ddp_fsdp", "gpt_175b_fsdp"}) {
    Diagnostics diagnostics;
    const auto study = LoadStudy(name, SearchPath{{SIMULATE_SOURCE_DIR}}, {}, diagnostics);
    INFO(diagnostics.Render());
    REQUIRE(study.has_value());
    CHECK_FALSE(study->reference.points.empty());
  }
}

}  // namespace
}  // namespace simulate
