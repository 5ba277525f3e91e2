// One or two sentences on what to try: a setting that attacks the largest part of the step that a setting can attack,
// and what faster operators or links could bring at most.
//
// The settings are those that framework users reach for: a larger micro-batch or less recomputation while memory is
// free, more micro-batches or virtual stages against a bubble, a captured graph against a slow host, sharding within
// the node against exposed communication. Nothing is simulated here: `simulate memory`, `compare` and `--set` do that.
#pragma once

#include <string>

#include "sim/report/report.h"

namespace simulate {

// Empty when there is nothing to say. REQUIRES: the report is complete (its path may be empty).
[[nodiscard]] std::string Advise(const Scenario& scenario, const Report& report);

}  // namespace simulate
