#include "sim/cli/write_folder.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "sim/study/write_file.h"

namespace simulate {
namespace {

namespace fs = std::filesystem;

bool Fail(const std::string& path, const std::string& why, Diagnostics& diagnostics) {
  diagnostics.Error(absl::StrCat("cannot write the folder `", path, "`: ", why));
  return false;
}

// Removes what is left of an unfinished folder.
struct Remover {
  std::string path;
  ~Remover() {
    std::error_code ignored;
    if (!path.empty()) fs::remove_all(path, ignored);
  }
};

}  // namespace

bool WriteFolder(const std::string& given, const std::function<bool(const std::string& name)>& replaceable,
                 const std::function<bool(const FolderFile& file)>& write, Diagnostics& diagnostics) {
  std::string path = given;
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  std::error_code error;
  const bool exists = fs::exists(path, error);
  if (exists && !fs::is_directory(path, error)) return Fail(path, "it is a file", diagnostics);
  if (exists) {
    std::string other;
    for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
      const std::string name = entry.path().filename().string();
      if (!replaceable(name) && (other.empty() || name < other)) other = name;
    }
    if (error) return Fail(path, error.message(), diagnostics);
    if (!other.empty()) return Fail(path, absl::StrCat("it holds other files, such as `", other, "`"), diagnostics);
  }
  const Remover fresh{absl::StrCat(path, ".", ::getpid(), ".tmp")};
  if (!fs::create_directory(fresh.path, error)) return Fail(path, error ? error.message() : "it is being written", diagnostics);
  const FolderFile file = [&](const std::string& name, const std::function<void(std::ostream&)>& content) {
    return WriteFile((fs::path(fresh.path) / name).string(), content, diagnostics);
  };
  if (!write(file)) return false;
  Remover old;
  if (exists) {
    old.path = absl::StrCat(path, ".", ::getpid(), ".old");
    fs::rename(path, old.path, error);
    if (error) {
      old.path.clear();
      return Fail(path, error.message(), diagnostics);
    }
  }
  fs::rename(fresh.path, path, error);
  if (!error) return true;
  std::error_code ignored;
  if (exists) fs::rename(old.path, path, ignored);
  if (!ignored) old.path.clear();
  return Fail(path, error.message(), diagnostics);
}

}  // namespace simulate
