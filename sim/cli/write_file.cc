#include "sim/cli/write_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace simulate {
namespace {

bool WriteAll(int file, const std::string& content) {
  size_t written = 0;
  while (written < content.size()) {
    const ssize_t n = ::write(file, content.data() + written, content.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    written += static_cast<size_t>(n);
  }
  return true;
}

bool Fail(const std::string& path, int reason, Diagnostics& diagnostics) {
  diagnostics.Error(absl::StrCat("cannot write `", path, "`: ", std::strerror(reason)));
  return false;
}

}  // namespace

bool WriteFile(const std::string& path, const std::string& content, Diagnostics& diagnostics) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  const bool in_place = exists && !S_ISREG(status.st_mode);
  const std::string target = in_place ? path : absl::StrCat(path, ".", ::getpid(), ".tmp");
  const int file = ::open(target.c_str(), O_WRONLY | O_CREAT | (in_place ? 0 : O_EXCL) | O_CLOEXEC, 0666);
  if (file < 0) return Fail(path, errno, diagnostics);
  bool done = WriteAll(file, content);
  int reason = errno;
  if (::close(file) != 0 && done) {
    done = false;
    reason = errno;
  }
  if (in_place) return done || Fail(path, reason, diagnostics);
  if (done && std::rename(target.c_str(), path.c_str()) == 0) return true;
  if (done) reason = errno;
  ::unlink(target.c_str());
  return Fail(path, reason, diagnostics);
}

}  // namespace simulate
