// The result object: {"schema": 1, "title": ..., "runs": [...]}. The names are stable; docs/RESULT.md lists them.
#pragma once

#include <string>
#include <vector>

#include "sim/report/report.h"

namespace simulate {

inline constexpr int kResultSchema = 1;

// Ends in a newline. Numbers that an out-of-memory run does not have are null.
[[nodiscard]] std::string RenderJson(const std::string& title, const std::vector<Report>& reports);

}  // namespace simulate
