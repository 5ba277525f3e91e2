// `simulate collective all_reduce --hardware aws-p4d --gpus 32 --bytes 1KiB..4GiB`: predicted times in the manner of
// nccl-tests; `--measured FILE.csv` holds predictions against measurements instead and can write the accuracy page.
#pragma once

#include <string>
#include <vector>

#include "sim/study/command.h"

namespace simulate {

struct CollectiveOptions {
  std::string op = "all_reduce";
  std::string hardware;
  int64_t gpus = 0;                   // 0: one node
  std::string bytes = "1KiB..1GiB";   // one size, or a range in powers of two
  std::string algorithm;              // empty: the fastest
  std::string protocol;
  bool json = false;
  bool messages = false;              // replay every message as well (`fidelity: messages`)
  std::string measured;               // CSV of measurements
  std::string markdown;               // accuracy page to write
};

// Prints the table, or the JSON; returns the exit code.
[[nodiscard]] int RunCollective(const CollectiveOptions& options, Command& command);
void AddCollectiveCommand(CLI::App& app, Command& command);

// "64MiB" is one size, "1KiB..4GiB" all powers of two from the one to the other; empty with a diagnostic if neither.
[[nodiscard]] std::vector<Bytes> ParseSizes(const std::string& text, Diagnostics& diagnostics);

}  // namespace simulate
