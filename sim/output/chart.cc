#include "sim/output/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "sim/output/format.h"
#include "sim/output/table.h"

namespace simulate {
namespace {

constexpr std::array<const char*, 6> kUnicodeMarks = {"●", "○", "▲", "△", "■", "□"};
constexpr std::array<const char*, 6> kAsciiMarks = {"*", "o", "#", "@", "%", "&"};

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
};

Range RangeOf(const Chart& chart) {
  Range range;
  for (const Series& series : chart.series) {
    for (const double value : series.values) {
      if (std::isnan(value)) continue;
      range.low = std::min(range.low, value);
      range.high = std::max(range.high, value);
    }
  }
  if (range.high <= range.low) {  // one value: give it room
    range.low *= 0.95;
    range.high *= 1.05;
  }
  return range;
}

}  // namespace

std::string RenderChart(const Chart& chart, bool unicode) {
  const Range range = RangeOf(chart);
  if (chart.categories.size() < 2 || !(range.high > range.low)) return "";
  const auto& marks = unicode ? kUnicodeMarks : kAsciiMarks;
  const char* cross = unicode ? "×" : "x";
  size_t step = 8;
  for (const std::string& category : chart.categories) step = std::max(step, DisplayWidth(category) + 2);

  const int rows = chart.height;
  const size_t columns = step * chart.categories.size();
  std::vector<std::vector<std::string>> grid(static_cast<size_t>(rows), std::vector<std::string>(columns, " "));
  const auto draw = [&](const Series& series, const char* mark) {
    for (size_t i = 0; i < series.values.size(); ++i) {
      if (std::isnan(series.values[i])) continue;
      const double share = (series.values[i] - range.low) / (range.high - range.low);
      const auto row = static_cast<size_t>(std::lround((1.0 - share) * (rows - 1)));
      grid[row][i * step + step / 2] = mark;
    }
  };
  std::string legend;
  size_t next = 0;
  for (const bool reference : {true, false}) {
    for (const Series& series : chart.series) {
      if (series.reference != reference) continue;
      const char* mark = reference ? cross : marks[next++ % marks.size()];
      draw(series, mark);
      if (reference && legend.find(cross) != std::string::npos) continue;
      legend += std::string(legend.empty() ? "" : "   ") + mark + " " + (reference ? "reference" : series.name);
    }
  }
  std::string out = chart.title + "   " + legend + "\n";
  const std::array<std::string, 3> labels = {ShowNumber(range.high, 4), ShowNumber((range.high + range.low) / 2, 4),
                                             ShowNumber(range.low, 4)};
  const size_t margin = std::max({labels[0].size(), labels[1].size(), labels[2].size()});
  for (int r = 0; r < rows; ++r) {
    const std::string label = r == 0 ? labels[0] : r == rows / 2 ? labels[1] : r == rows - 1 ? labels[2] : "";
    std::string line = std::string(margin - label.size(), ' ') + label + (unicode ? " │" : " |");
    for (const std::string& cell : grid[static_cast<size_t>(r)]) line += cell;
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  std::string axis(margin + 1, ' ');
  axis += unicode ? "└" : "+";
  for (size_t i = 0; i < columns; ++i) axis += unicode ? "─" : "-";
  std::string names(margin + 2, ' ');
  for (const std::string& category : chart.categories) {
    const size_t left = step / 2 - std::min(step / 2, category.size() / 2);
    names += std::string(left, ' ') + category + std::string(step - left - category.size(), ' ');
  }
  names.erase(names.find_last_not_of(' ') + 1);
  return out + axis + "\n" + names + "  " + chart.x_name + "\n";
}

}  // namespace simulate
