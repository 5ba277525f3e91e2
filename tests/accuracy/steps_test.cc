// Whole steps against measurement. Bounds are a little looser than today's errors: a change that worsens one shows here, and
// one that betters it tightens the bound. Means of |error| of step time and peak memory, per table of scenarios/validation.
#include <catch2/catch.hpp>

#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/config/config.h"
#include "sim/study/check.h"
#include "sim/study/predict.h"

namespace simulate {
namespace {

// `every`: one of so many rows.
CheckResult CheckFile(const std::string& path, size_t every = 1) {
  Diagnostics diagnostics;
  auto study = LoadStudy(std::string(SIMULATE_SOURCE_DIR "/") + path, SearchPath{{SIMULATE_SOURCE_DIR}}, {}, diagnostics);
  INFO(diagnostics.Render());
  REQUIRE(study.has_value());
  std::vector<Scenario> kept;
  for (size_t i = 0; i < study->points.size(); i += every) kept.push_back(study->points[i]);
  study->points = std::move(kept);
  return Check({*study}, 0);
}

double Mean(const CheckResult& result, Measure measure) {
  const auto all = Summarise(PointsOf(result, measure), [](const CheckedPoint&) { return std::string("all"); });
  REQUIRE(all.size() == 1);
  return all[0].mean;
}

struct Bounds {
  const char* table;
  size_t runs;      // at least: a table that loses its rows must not pass
  double time;      // mean |error| of step time
  double memory;    // mean |error| of peak memory; 0: not measured
};

TEST_CASE("mean errors of the measured and published tables") {
  const auto bounds = GENERATE(
      Bounds{"measured_single", 54, 0.017, 0.009}, Bounds{"measured_ddp_fsdp", 20, 0.0245, 0.012}, Bounds{"measured_t5", 20, 0.085, 0.018},
      Bounds{"measured_tp_pp", 7, 0.025, 0.110}, Bounds{"measured_variants", 16, 0.027, 0.038}, Bounds{"korthikanti2022", 4, 0.008, 0.0},
      Bounds{"fsdp_paper_t5", 14, 0.029, 0.043}, Bounds{"fsdp_paper_gpt175b", 5, 0.009, 0.065}, Bounds{"llmfoundry_head", 106, 0.05, 0.0}, Bounds{"llmfoundry_older", 46, 0.046, 0.0},
      Bounds{"torchtitan", 23, 0.063, 0.085}, Bounds{"ibm_aws", 9, 0.074, 0.0}, Bounds{"vtrain_single", 741, 0.061, 0.0},
      Bounds{"vtrain_multi", 54, 0.071, 0.0}, Bounds{"dgxc", 117, 0.044, 0.0}, Bounds{"megatron_bridge", 8, 0.023, 0.0}, Bounds{"trainium", 23, 0.128, 0.0}, Bounds{"narayanan2021", 16, 0.046, 0.0},
      Bounds{"simumax", 15, 0.039, 0.004}, Bounds{"deepspeed_zero", 31, 0.132, 0.0});
  INFO(bounds.table);
  const CheckResult result = CheckFile(std::string("scenarios/validation/") + bounds.table + ".yaml");
  CHECK(result.runs >= bounds.runs);
  CHECK(Mean(result, Measure::kTime) <= bounds.time);
  if (bounds.memory > 0) CHECK(Mean(result, Measure::kMemory) <= bounds.memory);
}

// An eighth of the layouts, through all models, kernels and sizes: times of those that ran, and what ran out of memory.
TEST_CASE("Hagemann's layouts: step times and outcomes") {
  const CheckResult result = CheckFile("scenarios/validation/hagemann2023.yaml", 8);
  CHECK(result.runs >= 60);
  CHECK(Mean(result, Measure::kTime) <= 0.047);
  size_t outcomes = 0, right = 0;
  for (const CheckedPoint& p : result.points) {
    if (MeasureOf(p.metric) != Measure::kOutcome) continue;
    ++outcomes;
    if (p.error == 0.0) ++right;
  }
  CHECK(outcomes >= 60);
  CHECK(static_cast<double>(right) >= 0.90 * static_cast<double>(outcomes));
}

// Figure 7c: 14 points relative to 8 GPUs at their batch size.
TEST_CASE("T5-11B's curve from 8 to 512 GPUs has the published shape") {
  const CheckResult result = CheckFile("scenarios/t5_11b_fsdp.yaml");
  std::map<std::string, std::pair<double, double>> first;  // by batch: predicted and published on 8 GPUs
  int points = 0;
  double level = 0.0;
  for (const CheckedPoint& p : result.points) {
    if (p.metric != "step_time_s") continue;
    ++points;
    const bool sixteen = p.id.find("16") != std::string::npos && p.expected > 5.0;
    const auto& base = first.try_emplace(sixteen ? "16" : "8", p.predicted, p.expected).first->second;
    const double shape = (p.predicted / base.first) / (p.expected / base.second) - 1.0;
    INFO(p.id << ": shape " << shape << ", level " << p.error);
    CHECK(std::fabs(shape) <= 0.010);
    CHECK(std::fabs(p.error) <= 0.037);
    level += p.error;
  }
  REQUIRE(points == 14);
  CHECK(std::fabs(level / points) <= 0.03);
}

// Figure 8c on 512 GPUs: 20 and 40 GB allocated at batch 8 and 16, read to +-1 GB.
TEST_CASE("T5-11B's memory grows with its batch as published, most of it by what past_key_values names") {
  const auto peak = [](int batch, bool use_cache) {
    Diagnostics diagnostics;
    const auto study = LoadStudy(SIMULATE_SOURCE_DIR "/scenarios/t5_11b_fsdp.yaml", SearchPath{{SIMULATE_SOURCE_DIR}},
                                 {{"cluster.gpus", "512"}, {"training.micro_batch_size", std::to_string(batch)}, {"training.use_cache", use_cache ? "true" : "false"}},
                                 diagnostics);
    INFO(diagnostics.Render());
    REQUIRE(study.has_value());
    return Predict(study->points.at(0)).memory.peak_allocated;
  };
  const Bytes eight = peak(8, true), sixteen = peak(16, true);
  CHECK(static_cast<double>((sixteen - eight).value()) / 8 == Approx(2.5e9).epsilon(0.10));
  CHECK(static_cast<double>(eight.value()) == Approx(20e9).epsilon(0.08));
  CHECK(static_cast<double>(sixteen.value()) == Approx(40e9).epsilon(0.08));
  // Keys and values of 24 decoder blocks, of themselves and of the encoder's output: 128 heads of 128 in 16 bits for each of 8 x 512 tokens.
  CHECK(eight - peak(8, false) == Bytes(int64_t{24} * 4 * 8 * 512 * 128 * 128 * 2));
}

}  // namespace
}  // namespace simulate
