// What `simulate SCENARIO` prints for a person: a table, a chart of the curve, where the time goes, one sentence.
#pragma once

#include <string>
#include <vector>

#include "sim/report/report.h"

namespace simulate {

struct TextStyle {
  bool colour = false;
  bool unicode = false;  // on a terminal; a pipe gets ASCII
  bool quiet = false;    // the table alone
};

[[nodiscard]] std::string RenderText(const std::string& title, const std::string& source,
                                     const std::vector<Report>& reports, const TextStyle& style);

}  // namespace simulate
