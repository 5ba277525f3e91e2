#include "sim/cli/resume_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "sim/base/hash.h"
#include "sim/output/report_record.h"

namespace simulate {
namespace {

constexpr const char* kHead = "simulate resume 1 ";

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

ResumeFile::~ResumeFile() {
  if (file_ >= 0) ::close(file_);
}

bool ResumeFile::Open(std::vector<std::optional<Report>>* reports, Diagnostics& diagnostics) {
  file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (file_ < 0) {
    diagnostics.Error(absl::StrCat("cannot write `", path_, "`: ", std::strerror(errno)));
    return false;
  }
  std::error_code unknown;
  const std::string text = std::filesystem::is_regular_file(path_, unknown) ? ReadAll(path_) : "";
  if (!Read(text, reports, diagnostics)) return false;
  const bool begins = text.empty();
  const bool cut_off = !text.empty() && text.back() != '\n';
  if (begins ? Write(absl::StrCat(kHead, identity_)) : !cut_off || Write("")) return true;
  diagnostics.Error(absl::StrCat("cannot write `", path_, "`: ", failure_));
  Remove();
  return false;
}

bool ResumeFile::Read(const std::string& text, std::vector<std::optional<Report>>* reports, Diagnostics& diagnostics) {
  if (text.empty()) return true;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  if (line.rfind(kHead, 0) != 0) {
    diagnostics.Error(absl::StrCat("`", path_, "` is not a file of an interrupted sweep"))
        .help.emplace_back("name a file that is not there yet; it is made");
    return false;
  }
  if (line != absl::StrCat(kHead, identity_)) {
    diagnostics.Error(absl::StrCat("`", path_, "` is of another sweep: the scenario, what it names, an option or the program has changed"))
        .help.emplace_back("remove it to begin anew, or name another file");
    return false;
  }
  while (std::getline(lines, line)) {
    const size_t space = line.find(' ');
    uint64_t point = 0;
    if (space == std::string::npos || !absl::SimpleAtoi(line.substr(0, space), &point) || point >= reports->size()) continue;
    std::optional<Report> report = ReadReportRecord(line.substr(space + 1));
    if (report) (*reports)[point] = std::move(report);
  }
  return true;
}

bool ResumeFile::Append(size_t point, const Report& report) {
  return Write(absl::StrCat(point, " ", RecordReport(report)));
}

bool ResumeFile::Write(const std::string& line) {
  if (!failure_.empty()) return false;
  const std::string text = line + "\n";
  size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(file_, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      failure_ = std::strerror(errno);
      return false;
    }
    written += static_cast<size_t>(n);
  }
  return true;
}

void ResumeFile::Remove() {
  std::error_code unknown;
  if (std::filesystem::is_regular_file(path_, unknown)) ::unlink(path_.c_str());
}

std::string SweepIdentity(const Study& study, const std::vector<std::string>& set, bool exact) {
  uint64_t hash = Hash(ReadAll("/proc/self/exe"));  // another build may predict something else
  for (const InputFile& file : study.files) hash = Hash(absl::StrCat(file.path, "\n", file.hash, "\n"), hash);
  for (const std::string& setting : set) hash = Hash(absl::StrCat(setting, "\n"), hash);
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16), " ", study.points.size(), exact ? " exact" : "");
}

}  // namespace simulate
