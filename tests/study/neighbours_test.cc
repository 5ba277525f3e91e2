// What `simulate memory` proposes: each setting, given with --set, is what was simulated for it.
#include "sim/study/neighbours.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_split.h"
#include "sim/study/simulate.h"
#include "tests/study/scenarios.h"

namespace simulate {
namespace {

constexpr const char* kTooLarge =
    "model: llama-3-8b\n"
    "cluster: {hardware: dgx-a100-80gb, gpus: 8}\n"
    "training: {micro_batch_size: 2, sequence_length: 4096, precision: bf16_mixed}\n"
    "parallelism: {data: {strategy: ddp}}\n";

std::vector<Setting> SettingsOf(const std::string& change) {
  std::vector<Setting> settings;
  for (const std::string& one : std::vector<std::string>(absl::StrSplit(change, ' '))) {
    const size_t equals = one.find('=');
    REQUIRE(equals != std::string::npos);
    settings.emplace_back(one.substr(0, equals), one.substr(equals + 1));
  }
  return settings;
}

Scenario LoadWith(const std::vector<Setting>& overrides) {
  const auto file = std::filesystem::temp_directory_path() / ("simulate_neighbours_" + std::to_string(::getpid()) + ".yaml");
  std::ofstream(file) << kTooLarge;
  Diagnostics diagnostics;
  const auto study = LoadStudy(file.string(), SearchPath{{SIMULATE_SOURCE_DIR}}, overrides, diagnostics);
  std::filesystem::remove(file);
  INFO(diagnostics.Render());
  REQUIRE(study.has_value());
  return study->points.front();
}

}  // namespace

TEST_CASE("every proposal is accepted as --set, and predicts the same") {
  const Scenario point = LoadWith({});
  REQUIRE(Simulate(point).report.out_of_memory);
  const std::vector<Neighbour> near = Neighbours(point);
  REQUIRE(near.size() >= 4);
  int fit = 0;
  for (const Neighbour& n : near) {
    INFO(n.change);
    const Report proposed = Simulate(n.scenario).report, set = Simulate(LoadWith(SettingsOf(n.change))).report;
    CHECK(proposed.out_of_memory == set.out_of_memory);
    CHECK(proposed.step_time.value() == set.step_time.value());
    CHECK(proposed.memory.peak_reserved == set.memory.peak_reserved);
    fit += proposed.out_of_memory ? 0 : 1;
  }
  CHECK(fit > 0);  // sharding at least
}

TEST_CASE("pairs change two different settings, each once") {
  const std::vector<Neighbour> pairs = Pairs(Neighbours(LoadWith({})));
  REQUIRE(!pairs.empty());
  std::vector<std::string> seen;
  for (const Neighbour& pair : pairs) {
    INFO(pair.change);
    std::vector<std::string> keys;
    std::vector<Setting> settings = SettingsOf(pair.change);
    std::sort(settings.begin(), settings.end());
    std::string sorted;
    for (const auto& [key, value] : settings) {
      keys.push_back(key);
      sorted += key + "=" + value + " ";
    }
    CHECK(keys.size() >= 2);
    CHECK(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
    CHECK(std::find(seen.begin(), seen.end(), sorted) == seen.end());
    seen.push_back(sorted);
  }
}

TEST_CASE("half the micro-batch keeps the samples of a step") {
  const Scenario point = LoadWith({});
  const std::vector<Neighbour> near = Neighbours(point);
  const auto half = std::find_if(near.begin(), near.end(), [](const Neighbour& n) { return n.change.find("micro_batch_size") != std::string::npos; });
  REQUIRE(half != near.end());
  CHECK(half->scenario.training.micro_batch_size * half->scenario.training.gradient_accumulation_steps ==
        point.training.micro_batch_size * point.training.gradient_accumulation_steps);
}

}  // namespace simulate
