// What several commands share: reading a study with overrides, and the options that say so.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/config/config.h"
#include "sim/study/command.h"

namespace simulate {

struct CommonOptions {
  std::string scenario;
  std::vector<std::string> set;
  std::string color = "auto";
  int threads = 0;
};

void AddCommonOptions(CLI::App& app, CommonOptions& options);

// Reads the scenario with its overrides; on errors prints the diagnostics, sets the exit code and returns nullopt.
[[nodiscard]] std::optional<Study> ReadStudy(const std::string& scenario, const std::vector<std::string>& set, Command& command);

}  // namespace simulate
