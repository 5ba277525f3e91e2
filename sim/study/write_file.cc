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

// Where a path leads. Links are followed, not replaced; devices, pipes and what stands in /dev and /proc (/dev/stdout
// may lead to a regular file) are written to as they are.
struct Place {
  std::string path;
  bool is_folder = false;
  bool in_place = false;
};
Place PlaceOf(const std::string& named) {
  namespace fs = std::filesystem;
  std::error_code unknown;
  const auto kind = fs::status(named, unknown).type();
  Place place{named, kind == fs::file_type::directory, kind != fs::file_type::regular && kind != fs::file_type::not_found};
  if (named.rfind("/dev/", 0) == 0 || named.rfind("/proc/", 0) == 0) place.in_place = true;
  if (place.in_place || !fs::is_symlink(fs::symlink_status(named, unknown))) return place;
  const fs::path target = fs::weakly_canonical(named, unknown);
  if (!unknown && !target.empty()) place.path = target.string();
  return place;
}

bool Fail(const std::string& path, int reason, Diagnostics& diagnostics) {
  diagnostics.Error(absl::StrCat("cannot write `", path, "`: ", std::strerror(reason == 0 ? EIO : reason)));
  return false;
}

}  // namespace

const char* FileBeingWritten() { return writing.load() ? being_written : nullptr; }

bool CanWrite(const std::string& named, Diagnostics& diagnostics) {
  const Place place = PlaceOf(named);
  if (place.is_folder) return Fail(named, EISDIR, diagnostics);
  if (place.in_place) return true;
  const std::filesystem::path folder = std::filesystem::path(place.path).parent_path();
  if (::access(folder.empty() ? "." : folder.c_str(), W_OK) == 0) return true;
  return Fail(named, errno, diagnostics);
}

bool WriteFile(const std::string& named, const std::function<void(std::ostream&)>& write, Diagnostics& diagnostics) {
  const Place place = PlaceOf(named);
  if (place.is_folder) return Fail(named, EISDIR, diagnostics);
  const std::string target = place.in_place ? place.path : absl::StrCat(place.path, ".", ::getpid(), ".tmp");
  std::optional<BeingWritten> guard;
  if (!place.in_place) guard.emplace(target);
  errno = 0;
  std::ofstream file(target, std::ios::binary | std::ios::trunc);
  if (!file) return Fail(named, errno, diagnostics);
  write(file);
  file.close();  // flushes; a full disk shows here at the latest
  int reason = errno;
  if (file && (place.in_place || std::rename(target.c_str(), place.path.c_str()) == 0)) return true;
  if (file) reason = errno;
  if (!place.in_place) ::unlink(target.c_str());
  return Fail(named, reason, diagnostics);
}

}  // namespace simulate
