// `simulate calibrate --nccl-tests OUTPUT.txt --hardware NAME`: fits a cluster's link constants to the raw output of
// nccl-tests or nccom-test, and shows what is left over.
//
// Two numbers are fitted, by the least squares of log(predicted / measured): the achievable share of the bandwidth
// (`efficiency`) and the latency of the links that bound the collective: the scale-up links within a node, the
// NICs and the fabric between nodes. All else stays as the hardware file has it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/study/collective_table.h"
#include "sim/study/command.h"

namespace simulate {

struct NcclTestRow {
  Bytes bytes;
  Seconds time;           // out of place
};

struct NcclTestOutput {
  int64_t ranks = 0;      // from its header; 0: not printed
  std::optional<CollectiveOp> op;   // from its header or the name of the program; often not printed
  std::vector<NcclTestRow> rows;
};

// Takes every line that reads size, ..., time in us, size / time in GB/s; ignores all others.
[[nodiscard]] NcclTestOutput ParseNcclTests(const std::string& text);

struct NcclFit {
  bool network = false;             // the fabric's links were fitted, not those inside the node
  LinkSpec before, after;           // efficiency and latency
  std::vector<CollectiveRow> rows_before, rows_after;
  double error_before = 0.0, error_after = 0.0;  // mean absolute relative
};
[[nodiscard]] NcclFit FitLinks(const HardwareSpec& hardware, int64_t gpus, CollectiveOp op, const std::vector<NcclTestRow>& rows);

struct NcclCalibrationOptions {
  std::string file;
  std::string hardware;
  std::string op;         // empty: as the output says, or all_reduce
  int64_t gpus = 0;       // 0: as the output says
};
[[nodiscard]] int RunNcclCalibration(const NcclCalibrationOptions& options, Command& command);

}  // namespace simulate
