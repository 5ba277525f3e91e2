// One line per run: the swept settings, the counts, every metric, the parts of the step. RFC 4180 quoting.
// docs/RESULT.md says what the columns are.
#pragma once

#include <string>
#include <vector>

#include "sim/report/report.h"

namespace simulate {

[[nodiscard]] std::string RenderCsv(const std::vector<Report>& reports);

// One field, quoted when it holds a comma, a quote or a line end.
[[nodiscard]] std::string CsvField(const std::string& text);

// The shortest decimal text that reads back as the same double.
[[nodiscard]] std::string CsvNumber(double value);

}  // namespace simulate
