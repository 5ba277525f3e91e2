// A small chart for a terminal: series over the same categories, each point one mark.
#pragma once

#include <string>
#include <vector>

namespace simulate {

struct Series {
  std::string name;
  std::vector<double> values;  // one per category; NaN: no point
  bool reference = false;      // drawn with a cross, below the others
};

struct Chart {
  std::string title;
  std::string x_name;
  std::vector<std::string> categories;
  std::vector<Series> series;
  int height = 10;
};

// Unicode marks on a terminal, ASCII in a pipe. Empty when there are fewer than two categories.
[[nodiscard]] std::string RenderChart(const Chart& chart, bool unicode);

}  // namespace simulate
