#include "sim/base/diagnostics.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace simulate {
namespace {

constexpr size_t kMaxShown = 50;
constexpr size_t kMaxWidth = 120;  // of a quoted line; longer ones are cut around the place

bool StartsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

size_t CountCharacters(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), StartsCharacter));
}

// Control characters would move the cursor: each is shown as one space.
std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  }
  return text;
}

// A line, and where in it the carets go, both in characters on the screen.
struct Excerpt {
  std::string text;
  size_t indent = 0;
  size_t carets = 1;
};

// Moves `at` back to the start of the character that it lies in.
size_t CharacterStart(const std::string& line, size_t at) {
  while (at > 0 && at < line.size() && !StartsCharacter(line[at])) --at;
  return at;
}

Excerpt Cut(const std::string& line, const SourceLocation& where) {
  const size_t start = std::min(line.size(), static_cast<size_t>(std::max(where.column, 1) - 1));
  const size_t end = std::min(line.size(), start + static_cast<size_t>(std::max(where.length, 0)));
  size_t from = 0, to = line.size();
  if (line.size() > kMaxWidth) {
    from = start > kMaxWidth / 2 ? CharacterStart(line, start - kMaxWidth / 2) : 0;
    to = CharacterStart(line, std::min(line.size(), from + kMaxWidth));
  }
  const std::string before = from > 0 ? "..." : "";
  Excerpt excerpt;
  excerpt.text = absl::StrCat(before, Printable(line.substr(from, to - from)), to < line.size() ? "..." : "");
  excerpt.indent = before.size() + CountCharacters(line.substr(from, start - from));
  excerpt.carets = std::max<size_t>(1, CountCharacters(line.substr(start, std::min(end, to) - std::min(start, to))));
  return excerpt;
}

std::string Paint(const std::string& text, const char* code, bool color) {
  return color ? absl::StrCat("\x1b[", code, "m", text, "\x1b[0m") : text;
}

constexpr const char* kBold = "1";
constexpr const char* kRed = "1;31";
constexpr const char* kYellow = "1;33";
constexpr const char* kBlue = "1;34";
constexpr const char* kGreen = "1;32";

std::string Fold(const std::string& name) {
  std::string folded = absl::AsciiStrToLower(name);
  std::replace(folded.begin(), folded.end(), '-', '_');
  return folded;
}

// Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment).
size_t EditDistance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

void Diagnostics::AddSource(const std::string& file, std::string text) {
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  for (std::string& line : lines) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
  }
  if (lines_by_file_.emplace(file, std::move(lines)).second) files_.push_back(file);
}

Diagnostic& Diagnostics::Error(std::string message, SourceLocation where) {
  ++errors_;
  diagnostics_.push_back({Severity::kError, std::move(message), std::move(where), {}, {}, {}});
  return diagnostics_.back();
}

Diagnostic& Diagnostics::Warning(std::string message, SourceLocation where) {
  diagnostics_.push_back({Severity::kWarning, std::move(message), std::move(where), {}, {}, {}});
  return diagnostics_.back();
}

void Diagnostics::Deduplicate() {
  std::set<std::tuple<std::string, std::string, std::string, int, int>> seen;
  std::vector<Diagnostic> kept;
  for (Diagnostic& d : diagnostics_) {
    if (seen.emplace(d.message, d.label, d.where.file, d.where.line, d.where.column).second) kept.push_back(std::move(d));
  }
  diagnostics_ = std::move(kept);
  errors_ = std::count_if(diagnostics_.begin(), diagnostics_.end(),
                          [](const Diagnostic& d) { return d.severity == Severity::kError; });
}

void Diagnostics::DropWarningsAfter(size_t count) {
  const auto first = diagnostics_.begin() + static_cast<std::ptrdiff_t>(std::min(count, diagnostics_.size()));
  diagnostics_.erase(std::remove_if(first, diagnostics_.end(),
                                    [](const Diagnostic& d) { return d.severity == Severity::kWarning; }),
                     diagnostics_.end());
}

const std::string* Diagnostics::Line(const SourceLocation& where) const {
  const auto found = lines_by_file_.find(where.file);
  if (found == lines_by_file_.end() || where.line < 1) return nullptr;
  const auto index = static_cast<size_t>(where.line) - 1;
  return index < found->second.size() ? &found->second[index] : nullptr;
}

// `file:line:column`, with the column in characters as editors count it.
static std::string Place(const SourceLocation& where, const std::string* line) {
  if (where.line < 1) return where.file;
  size_t column = static_cast<size_t>(std::max(where.column, 1));
  if (line != nullptr) column = CountCharacters(line->substr(0, std::min(line->size(), column - 1))) + 1;
  return absl::StrCat(where.file, ":", where.line, ":", column);
}

std::string Diagnostics::Quote(const Diagnostic& d, bool color) const {
  if (d.where.file.empty()) return "";
  const std::string* line = Line(d.where);
  const std::string number = absl::StrCat(d.where.line);
  const std::string margin(line == nullptr ? 2 : number.size(), ' ');
  std::string out = absl::StrCat(margin, Paint("-->", kBlue, color), " ", Place(d.where, line), "\n");
  if (line == nullptr) return out;
  const Excerpt excerpt = Cut(*line, d.where);
  const std::string bar = Paint("|", kBlue, color);
  absl::StrAppend(&out, margin, " ", bar, "\n");
  absl::StrAppend(&out, Paint(number, kBlue, color), " ", bar, excerpt.text.empty() ? "" : " ", excerpt.text, "\n");
  const std::string carets = absl::StrCat(std::string(excerpt.carets, '^'), d.label.empty() ? "" : " ", d.label);
  absl::StrAppend(&out, margin, " ", bar, " ", std::string(excerpt.indent, ' '),
                  Paint(carets, d.severity == Severity::kError ? kRed : kYellow, color), "\n");
  return out;
}

std::string Diagnostics::Render(bool color) const {
  std::vector<const Diagnostic*> sorted;
  for (const Diagnostic& d : diagnostics_) sorted.push_back(&d);
  const auto place = [this](const Diagnostic* d) {
    const auto file = d->where.file.empty() ? std::ptrdiff_t{-1}
                                            : std::find(files_.begin(), files_.end(), d->where.file) - files_.begin();
    return std::tuple(file, d->where.line, d->where.column);
  };
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](const Diagnostic* a, const Diagnostic* b) { return place(a) < place(b); });

  std::string out;
  for (size_t i = 0; i < std::min(sorted.size(), kMaxShown); ++i) {
    const Diagnostic& d = *sorted[i];
    const bool error = d.severity == Severity::kError;
    absl::StrAppend(&out, i == 0 ? "" : "\n", Paint(error ? "error" : "warning", error ? kRed : kYellow, color),
                    Paint(absl::StrCat(": ", d.message), kBold, color), "\n", Quote(d, color));
    for (const Note& note : d.notes) {
      absl::StrAppend(&out, Paint("note", kBold, color), ": ", note.message, "\n");
      if (note.where.file.empty()) continue;
      absl::StrAppend(&out, "  ", Paint("-->", kBlue, color), " ", Place(note.where, Line(note.where)), "\n");
    }
    for (const std::string& help : d.help) absl::StrAppend(&out, Paint("help", kGreen, color), ": ", help, "\n");
  }
  if (sorted.size() > kMaxShown) absl::StrAppend(&out, "\n... and ", sorted.size() - kMaxShown, " more\n");
  return out;
}

std::string NearestName(const std::string& name, const std::vector<std::string>& candidates) {
  const std::string folded = Fold(name);
  if (name.size() > 100) return "";  // no name of ours is near it, and the distance is quadratic
  size_t best_distance = std::min<size_t>(3, name.size() / 3) + 1;
  std::string best;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(folded, Fold(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace simulate
