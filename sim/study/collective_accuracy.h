// Predicted collectives beside measured ones, row by row, and how far they are off per class of machine.
//
// The measurements are a CSV with the columns class, hardware, gpus, op, bytes, time_us, host_floor_us, run,
// source. A framework that enqueues collective after collective cannot measure less than its own call takes:
// host_floor_us, where a source was measured that way, bounds the prediction from below.
#pragma once

#include <string>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/config/config.h"
#include "sim/study/collective_table.h"

namespace simulate {

struct MeasuredCollective {
  std::string machine_class;      // NVLink, InfiniBand, EFA, RoCE, NVL72, ...
  std::string hardware;
  int64_t gpus = 0;
  CollectiveOp op = CollectiveOp::kAllReduce;
  Bytes bytes;
  Seconds measured;
  Seconds host_floor;
  std::string run;
  std::string source;
  CollectiveRow predicted;
  [[nodiscard]] double Error() const;   // predicted over measured, minus one
};

// Reads the measurements and prices each. Empty with diagnostics if a row cannot be read.
[[nodiscard]] std::vector<MeasuredCollective> PriceMeasured(const std::string& csv_path, const SearchPath& search,
                                                            Diagnostics& diagnostics);

struct ClassAccuracy {
  std::string name;
  int rows_large = 0, rows_small = 0;            // 64 MiB and above; below
  double median_large = 0.0, median_small = 0.0; // of absolute relative errors
  double mean_large = 0.0;
};
inline constexpr int64_t kLargeCollective = int64_t{64} << 20;
[[nodiscard]] std::vector<ClassAccuracy> Summarise(const std::vector<MeasuredCollective>& rows);

// The page docs/accuracy/collectives.md; its plot is an SVG of predicted against measured bus bandwidth.
[[nodiscard]] std::string AccuracyMarkdown(const std::vector<MeasuredCollective>& rows, const std::string& plot_file);
[[nodiscard]] std::string AccuracyPlotSvg(const std::vector<MeasuredCollective>& rows);

}  // namespace simulate
