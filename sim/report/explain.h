// One sentence that says what limits a run, or what bends a curve over the number of accelerators.
//
// For a curve: the group of points that differ only in `cluster.gpus` and lose most throughput per accelerator from
// the smallest to the largest cluster. The longer step is divided among the parts of the breakdown that grew;
// contention is told apart from compute, and communication's latency from its transfer. Nothing is assumed.
#pragma once

#include <string>
#include <vector>

#include "sim/report/report.h"

namespace simulate {

inline constexpr const char* kGpusKey = "cluster.gpus";

// Points of a sweep that differ only in the number of accelerators, as indices in order of that number.
struct Curve {
  std::vector<Setting> fixed;   // the settings that its points share
  std::vector<size_t> points;
};
[[nodiscard]] std::vector<Curve> Curves(const std::vector<Report>& reports);

// The part of a step that a reader can act on, with its share; largest first. Parts below 1 ms per second are left out.
struct Part {
  std::string name;
  Seconds seconds;
};
[[nodiscard]] std::vector<Part> Parts(const Report& report);

[[nodiscard]] std::string Explain(const std::vector<Report>& reports);

// The run that the sentence ends at: the largest of the curve that it is about, or the best. nullptr without reports.
[[nodiscard]] const Report* Explained(const std::vector<Report>& reports);

}  // namespace simulate
