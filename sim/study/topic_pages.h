// docs/accuracy/*.md, one page per topic out of one check:
//   simulate check scenarios/validation --pages docs/accuracy
// A topic is a choice of the compared points, and the classes that its page tells apart. The worst rows carry the
// suspected cause from suspects.csv in the same folder (columns table, row, of, cause; `row` is the beginning of a row's
// name, `of` time, memory or empty for both): what a person found out, not what the program guesses.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/study/check.h"

namespace simulate {

struct Suspect {
  std::string table, row, of, cause;
};
// Empty, without an error, if there is no such file.
[[nodiscard]] std::vector<Suspect> ReadSuspects(const std::string& path, Diagnostics& diagnostics);

// What is suspected behind the error of this point, or "not known".
[[nodiscard]] std::string CauseOf(const CheckedPoint& point, const std::vector<Suspect>& suspects);

struct PageFile {
  std::string name;   // "memory.md"
  std::string text;
};
// Every topic's page and its pictures. Topics without a point are left out.
[[nodiscard]] std::vector<PageFile> RenderTopicPages(const CheckResult& result, const std::vector<Suspect>& suspects);

}  // namespace simulate
