// What `simulate check` prints: text for a person, JUnit for CI servers, JSON, CSV, and the baseline file.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/study/check.h"

namespace simulate {

[[nodiscard]] std::string RenderCheckText(const CheckResult& result, const std::vector<Moved>& moved, bool colour);
[[nodiscard]] std::string RenderCheckJunit(const CheckResult& result);
[[nodiscard]] std::string RenderCheckJson(const CheckResult& result, const std::vector<Moved>& moved);
[[nodiscard]] std::string RenderCheckCsv(const CheckResult& result);

// The baseline is CSV: file, point, metric, predicted.
[[nodiscard]] std::string RenderBaseline(const CheckResult& result);
using Baseline = std::vector<std::pair<std::string, double>>;
[[nodiscard]] std::optional<Baseline> ReadBaseline(const std::string& path, Diagnostics& diagnostics);

}  // namespace simulate
