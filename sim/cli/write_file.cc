#include "sim/cli/write_file.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace simulate {
namespace {

bool Fail(const std::string& path, int reason, Diagnostics& diagnostics) {
  diagnostics.Error(absl::StrCat("cannot write `", path, "`: ", std::strerror(reason == 0 ? EIO : reason)));
  return false;
}

}  // namespace

bool WriteFile(const std::string& path, const std::function<void(std::ostream&)>& write, Diagnostics& diagnostics) {
  std::error_code unknown;
  const auto kind = std::filesystem::status(path, unknown).type();
  if (kind == std::filesystem::file_type::directory) return Fail(path, EISDIR, diagnostics);
  const bool in_place = kind != std::filesystem::file_type::regular && kind != std::filesystem::file_type::not_found;
  const std::string target = in_place ? path : absl::StrCat(path, ".", ::getpid(), ".tmp");
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
