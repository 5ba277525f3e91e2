#include "sim/cli/search_path.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace simulate {

SearchPath DefaultSearchPath() {
  namespace fs = std::filesystem;
  SearchPath path;
  path.roots.emplace_back(".");
  if (const char* listed = std::getenv("SIMULATE_PATH"); listed != nullptr) {
    std::istringstream folders{std::string(listed)};
    for (std::string folder; std::getline(folders, folder, ':');) {
      if (!folder.empty()) path.roots.push_back(folder);
    }
  }
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  if (!error) {
    const fs::path folder = program.parent_path();
    path.roots.push_back(folder.string());
    path.roots.push_back(folder.parent_path().string());
    path.roots.push_back((folder.parent_path() / "share" / "simulate").string());
  }
  return path;
}

}  // namespace simulate
