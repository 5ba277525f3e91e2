// Runs a study's points with progress on a terminal, and keeps what is finished when it is interrupted.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/resume_file.h"
#include "sim/study/command.h"
#include "sim/study/simulate.h"

namespace simulate {

struct SweepOptions {
  SimulationOptions simulation;
  std::vector<std::string> set;  // for the sweep's identity
  std::string resume;            // file of `--resume`; empty: none
  int threads = 0;
  bool quiet = false;
};

struct SweepResult {
  std::vector<Report> reports;
  std::unique_ptr<ResumeFile> file;  // to be removed when everything has been written; may be null
};

// nullopt: an error or an interruption, which was said on command.err and set command.exit_code.
[[nodiscard]] std::optional<SweepResult> RunSweep(const Study& study, const SweepOptions& options, Command& command);

}  // namespace simulate
