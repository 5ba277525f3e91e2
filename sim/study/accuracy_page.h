// docs/ACCURACY.md and its picture: predictions beside what was published, written by
//   simulate check scenarios/validation --page docs/ACCURACY.md
#pragma once

#include <string>

#include "sim/study/check.h"

namespace simulate {

// Markdown; `picture` is the name of the SVG beside it.
[[nodiscard]] std::string RenderAccuracyPage(const CheckResult& result, const std::string& picture);

}  // namespace simulate
