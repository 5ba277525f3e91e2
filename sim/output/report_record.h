// A Report as one line of JSON and back, for sweeps that are gone on with later. Whole: every number keeps all its
// digits, so that what is printed of a report that was read back is what would have been printed of the first.
// Left out: the samples of memory over time (no result shows them) and the comparison with references (made anew).
#pragma once

#include <optional>
#include <string>

#include "sim/report/report.h"

namespace simulate {

[[nodiscard]] std::string RecordReport(const Report& report);                    // without a newline
[[nodiscard]] std::optional<Report> ReadReportRecord(const std::string& record);  // nullopt: not such a line

}  // namespace simulate
