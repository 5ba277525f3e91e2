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

// True if `where` names only settings that the report's point has, with the same values ("8" and "8.0" are).
[[nodiscard]] bool Matches(const Report& report, const std::vector<Setting>& where);

// Fills report.reference with the points that match it.
void Compare(const ReferenceSpec& reference, Report& report);

}  // namespace simulate
