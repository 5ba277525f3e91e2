// The finished points of a sweep in a file, so that an interrupted sweep is gone on with: `--resume FILE`.
//
// A line of text says what the sweep is (a hash of every file that was read, of the overrides and of the program);
// then a line per finished point, each written in one go as the point is done. A line that was cut off (kill, power)
// is ignored; its point is simulated again. The file is removed when the whole result has been written.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/report/report.h"

namespace simulate {

class ResumeFile {
 public:
  // `identity` tells one sweep from another.
  ResumeFile(std::string path, std::string identity) : path_(std::move(path)), identity_(std::move(identity)) {}
  ~ResumeFile();
  ResumeFile(const ResumeFile&) = delete;
  ResumeFile& operator=(const ResumeFile&) = delete;

  // Reads the points that are there into `reports` (one per point) and opens the file for more; makes it if it is
  // not there. False after a diagnostic: not ours, of another sweep, not writable.
  bool Open(std::vector<std::optional<Report>>* reports, Diagnostics& diagnostics);
  // False once a write failed: Failure() says why, and the sweep goes on without the file.
  bool Append(size_t point, const Report& report);
  [[nodiscard]] const std::string& failure() const { return failure_; }
  void Remove();

 private:
  bool Read(const std::string& text, std::vector<std::optional<Report>>* reports, Diagnostics& diagnostics);
  bool Write(const std::string& line);

  std::string path_;
  std::string identity_;
  std::string failure_;
  int file_ = -1;
};

// The identity of a sweep: what was read, what was overridden, what simulates it.
[[nodiscard]] std::string SweepIdentity(const Study& study, const std::vector<std::string>& set, bool exact);

}  // namespace simulate
