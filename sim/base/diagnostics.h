// Answers to bad input, in the manner of a good compiler.
//
//   error: tensor parallel size must divide the number of attention heads
//     --> scenarios/gpt3_tp10.yaml:14:11
//      |
//   14 |   tensor: 10
//      |           ^^ 96 heads cannot be split 10 ways
//   note: `num_attention_heads` is set here
//     --> models/gpt3-175b.yaml:6:18
//   help: divisors of 96 that fit one 8-device node: 1, 2, 4, 8
//
// Style: lower-case start, no final period, the user's text in backticks; only `help`
// proposes a fix. All errors of one input are collected and shown in one go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace simulate {

// A place in an input file. Lines and columns (of bytes) count from 1; 0 means unknown.
struct SourceLocation {
  std::string file;
  int line = 0;
  int column = 0;
  int length = 0;
};

enum class Severity { kError, kWarning };

struct Note {
  std::string message;
  SourceLocation where;  // may be unknown
};

struct Diagnostic {
  Severity severity = Severity::kError;
  std::string message;
  SourceLocation where;
  std::string label;  // printed beside the carets
  std::vector<Note> notes;
  std::vector<std::string> help;
};

// Collects diagnostics and the text of the files that they point into.
class Diagnostics {
 public:
  // Remembers a file's text so that its lines can be quoted.
  void AddSource(const std::string& file, std::string text);

  // The returned reference holds until the next call.
  Diagnostic& Error(std::string message, SourceLocation where = {});
  Diagnostic& Warning(std::string message, SourceLocation where = {});

  // Drops exact repetitions, as the points of a sweep make them.
  void Deduplicate();
  // Drops the warnings after the first `count` diagnostics: advice that comes too late for a run that was made.
  void DropWarningsAfter(size_t count);

  [[nodiscard]] bool HasErrors() const { return errors_ > 0; }
  [[nodiscard]] int64_t errors() const { return errors_; }
  [[nodiscard]] const std::vector<Diagnostic>& all() const { return diagnostics_; }

  // Every diagnostic, in order of file and position, as text ending in a newline; at most 50 in full.
  [[nodiscard]] std::string Render(bool color = false) const;

 private:
  [[nodiscard]] std::string Quote(const Diagnostic& d, bool color) const;
  [[nodiscard]] const std::string* Line(const SourceLocation& where) const;

  std::vector<Diagnostic> diagnostics_;
  int64_t errors_ = 0;              // those of diagnostics_ that are errors
  std::vector<std::string> files_;  // in the order in which they were read
  std::map<std::string, std::vector<std::string>> lines_by_file_;
};

// The candidate nearest to `name` by edit distance (at most a third of its length, and 3), where case,
// `-` and `_` make no difference; empty if none is near.
[[nodiscard]] std::string NearestName(const std::string& name, const std::vector<std::string>& candidates);

}  // namespace simulate
