// docs/ACCURACY.md and its picture: predictions beside what was published, written by
//   simulate check scenarios/validation --page docs/ACCURACY.md
#pragma once

#include <string>

#include "sim/study/check.h"
#include "sim/study/topic_pages.h"

namespace simulate {

// Markdown; `picture` is the name of the SVG beside it; the worst rows and the tables above 12 % carry what is suspected.
[[nodiscard]] std::string RenderAccuracyPage(const CheckResult& result, const std::string& picture, const std::vector<Suspect>& suspects);

}  // namespace simulate
