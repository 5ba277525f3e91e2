// The numbers of a report by the names that JSON, CSV and `reference` blocks use.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/report/report.h"

namespace simulate {

// All names that Metric knows, in the order in which they are shown.
[[nodiscard]] const std::vector<std::string>& MetricNames();

// nullopt: no such name, or the run has no such number because it ran out of memory.
[[nodiscard]] std::optional<double> Metric(const Report& report, const std::string& name);

// Fills report.reference: the prediction for each of `points` (indices into reference.points), in that order.
void Compare(const ReferenceSpec& reference, const std::vector<size_t>& points, Report& report);

}  // namespace simulate
