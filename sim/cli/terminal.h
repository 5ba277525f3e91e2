// What the terminal can show, and one line of progress on it.
#pragma once

#include <chrono>
#include <ostream>
#include <string>

namespace simulate {

// `mode` is auto, always or never. auto: a terminal that is not dumb, unless NO_COLOR is set (no-color.org).
[[nodiscard]] bool UseColour(const std::string& mode, bool is_terminal);

// Columns of the terminal that standard output is; `otherwise` if it is none.
[[nodiscard]] int TerminalWidth(int otherwise);

// True if the locale's character set is UTF-8.
[[nodiscard]] bool SpeaksUtf8();

// A line that overwrites itself on a terminal: done, rate, time left. Silent elsewhere and during the first second.
class Progress {
 public:
  // `before`: how many were done already; they do not count for the rate.
  Progress(std::ostream& err, bool is_terminal, std::string what, size_t before = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void Update(size_t done, size_t all);

 private:
  std::ostream& err_;
  bool on_;
  bool shown_ = false;
  std::string what_;
  size_t before_;
  std::chrono::steady_clock::time_point begin_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace simulate
