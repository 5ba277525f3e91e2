// Scenarios from YAML text, read the way the program reads them, with the repository's models and hardware.
#pragma once

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "sim/config/config.h"

namespace simulate {

inline Study Load(const std::string& yaml) {
  const auto file = std::filesystem::temp_directory_path() / ("simulate_study_" + std::to_string(::getpid()) + ".yaml");
  std::ofstream(file) << yaml;
  Diagnostics diagnostics;
  const auto study = LoadStudy(file.string(), SearchPath{{SIMULATE_SOURCE_DIR}}, {}, diagnostics);
  std::filesystem::remove(file);
  INFO(diagnostics.Render());
  REQUIRE(study.has_value());
  return *study;
}

inline constexpr const char* kPipeline =
    "model: gpt-350m\n"
    "cluster: {hardware: dgx-a100-80gb, gpus: 8}\n"
    "training: {micro_batch_size: 1, gradient_accumulation_steps: 40, sequence_length: 1024, precision: bf16_mixed,\n"
    "           runtime: megatron}\n"
    "parallelism: {tensor: 2, pipeline: {stages: 4}}\n";

}  // namespace simulate
