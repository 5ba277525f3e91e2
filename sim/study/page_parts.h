// Tables and plots of the accuracy pages (accuracy_page.h, topic_pages.h), in Markdown and SVG.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/study/check.h"

namespace simulate {

using ClassOf = std::function<std::string(const CheckedPoint&)>;

// "measured_single" of ".../measured_single.yaml".
[[nodiscard]] std::string TableOf(const std::string& file);
// Text for a cell of a Markdown table.
[[nodiscard]] std::string EscapeCell(std::string text);

// Errors by class, one row each.
[[nodiscard]] std::string ErrorTable(const std::string& name, const std::vector<CheckedPoint>& points, const ClassOf& class_of);

// The points that are furthest off. `why`, if given, adds a column with the suspected cause.
[[nodiscard]] std::string WorstTable(std::vector<CheckedPoint> points, size_t count, const ClassOf& why = {});

// Predicted over measured, both logarithmic, one dot per point, coloured by class; the diagonal is exact. Points that are
// missing are left out. `axis` names what is measured; `show` prints a tick.
struct Scatter {
  std::string axis;
  std::function<std::string(double)> show;
  ClassOf colour;
};
[[nodiscard]] std::string RenderScatter(const std::vector<CheckedPoint>& points, const Scatter& scatter);
// Step times, coloured by accelerator.
[[nodiscard]] std::string RenderTimeScatter(const std::vector<CheckedPoint>& points);

}  // namespace simulate
