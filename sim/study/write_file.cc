#include "sim/study/write_file.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

#include "absl/strings/str_cat.h"

namespace simulate {
namespace {

// Read by a signal handler: a flag without a lock and a plain array.
std::atomic<bool> writing{false};
char being_written[PATH_MAX];

class BeingWritten {
 public:
  explicit BeingWritten(const std::string& path) {
    if (path.size() >= sizeof being_written) return;
    std::memcpy(being_written, path.c_str(), path.size() + 1);
    writing = true;
  }
  ~BeingWritten() { writing = false; }
  BeingWritten(const BeingWritten&) = delete;
  BeingWritten& operator=(const BeingWritten&) = delete;
};

bool Fail(const std::string& path, int reason, Diagnostics& diagnostics) {
  diagnostics.Error(absl::StrCat("cannot write `", path, "`: ", std::strerror(reason == 0 ? EIO : reason)));
  return false;
}

}  // namespace

const char* FileBeingWritten() { return writing.load() ? being_written : nullptr; }

bool CanWrite(const std::string& path, Diagnostics& diagnostics) {
  std::error_code unknown;
  const auto kind = std::filesystem::status(path, unknown).type();
  if (kind == std::filesystem::file_type::directory) return Fail(path, EISDIR, diagnostics);
  if (kind != std::filesystem::file_type::regular && kind != std::filesystem::file_type::not_found) return true;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (::access(folder.empty() ? "." : folder.c_str(), W_OK) == 0) return true;
  return Fail(path, errno, diagnostics);
}

bool WriteFile(const std::string& path, const std::function<void(std::ostream&)>& write, Diagnostics& diagnostics) {
  std::error_code unknown;
  const auto kind = std::filesystem::status(path, unknown).type();
  if (kind == std::filesystem::file_type::directory) return Fail(path, EISDIR, diagnostics);
  const bool in_place = kind != std::filesystem::file_type::regular && kind != std::filesystem::file_type::not_found;
  const std::string target = in_place ? path : absl::StrCat(path, ".", ::getpid(), ".tmp");
  std::optional<BeingWritten> guard;
  if (!in_place) guard.emplace(target);
  errno = 0;
  std::ofstream file(target, std::ios::binary | std::ios::trunc);
  if (!file) return Fail(path, errno, diagnostics);
  write(file);
  file.close();  // flushes; a full disk shows here at the latest
  int reason = errno;
  if (file && (in_place || std::rename(target.c_str(), path.c_str()) == 0)) return true;
  if (file) reason = errno;
  if (!in_place) ::unlink(target.c_str());
  return Fail(path, reason, diagnostics);
}

}  // namespace simulate
