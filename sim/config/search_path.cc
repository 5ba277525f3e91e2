#include "sim/config/search_path.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_split.h"

namespace simulate {
namespace {

namespace fs = std::filesystem;

bool HoldsFiles(const fs::path& root) {
  std::error_code ignored;
  return fs::is_directory(root / "models", ignored) || fs::is_directory(root / "hardware", ignored) ||
         fs::is_directory(root / "scenarios", ignored);
}

fs::path ProgramFolder(const std::string& program) {
  std::error_code error;
  fs::path path = fs::read_symlink("/proc/self/exe", error);
  if (error) path = fs::weakly_canonical(program, error);
  return error ? fs::path() : path.parent_path();
}

}  // namespace

SearchPath DiscoverSearchPath(const std::string& program) {
  std::vector<fs::path> candidates = {"."};
  if (const char* variable = std::getenv("SIMULATE_PATH"); variable != nullptr) {
    const std::vector<std::string> folders = absl::StrSplit(variable, ':', absl::SkipEmpty());
    candidates.insert(candidates.end(), folders.begin(), folders.end());
  }
  const fs::path folder = ProgramFolder(program);
  if (!folder.empty()) {
    candidates.insert(candidates.end(), {folder, folder.parent_path(), folder.parent_path() / "share" / "simulate",
                                         folder.parent_path().parent_path()});
  }
  SearchPath search;
  for (const fs::path& candidate : candidates) {
    const std::string root = candidate.lexically_normal().string();
    const bool known = std::find(search.roots.begin(), search.roots.end(), root) != search.roots.end();
    if (!known && HoldsFiles(candidate)) search.roots.push_back(root);
  }
  return search;
}

}  // namespace simulate
