#include "sim/cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace simulate {

bool UseColour(const std::string& mode, bool is_terminal) {
  if (mode != "auto") return mode == "always";
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  if (no_color != nullptr && *no_color != '\0') return false;
  return is_terminal && (term == nullptr || std::strcmp(term, "dumb") != 0);
}

int TerminalWidth(int otherwise) {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return otherwise;
  return size.ws_col;
}

bool SpeaksUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string lower = absl::AsciiStrToLower(value);
    return lower.find("utf-8") != std::string::npos || lower.find("utf8") != std::string::npos;
  }
  return false;
}

Progress::Progress(std::ostream& err, bool is_terminal, std::string what, size_t before)
    : err_(err), on_(is_terminal), what_(std::move(what)), before_(before), begin_(std::chrono::steady_clock::now()), last_(begin_) {}

Progress::~Progress() {
  if (shown_) err_ << "\r\x1b[K" << std::flush;
}

void Progress::Update(size_t done, size_t all) {
  if (!on_) return;
  const auto now = std::chrono::steady_clock::now();
  const double elapsed = std::chrono::duration<double>(now - begin_).count();
  if (elapsed < 1.0 || std::chrono::duration<double>(now - last_).count() < 0.1) return;
  last_ = now;
  shown_ = true;
  const double rate = static_cast<double>(done - before_) / elapsed;
  const double left = static_cast<double>(all - done) / rate;
  err_ << absl::StrFormat("\r\x1b[K%s %d of %d, %.3g a second, %.0f s left", what_, done, all, rate, left) << std::flush;
}

}  // namespace simulate
