// Bad input is answered with exactly the text in tests/config/errors/NAME.expected, and never with a study.
//
// A new case is two files: NAME.yaml and NAME.expected. A line `# --set key=value` in the YAML file is an override.
// SIMULATE_UPDATE_EXPECTED=1 writes the .expected files anew; read the difference before committing it.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "sim/config/config.h"

namespace simulate {
namespace {

namespace fs = std::filesystem;

std::string ReadText(const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

std::vector<Setting> Overrides(const std::string& text) {
  const std::string mark = "# --set ";
  std::vector<Setting> overrides;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, mark.size(), mark) != 0) continue;
    const size_t equals = line.find('=');
    overrides.emplace_back(line.substr(mark.size(), equals - mark.size()), line.substr(equals + 1));
  }
  return overrides;
}

std::vector<fs::path> Cases() {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator("tests/config/errors")) {
    if (entry.path().extension() == ".yaml") paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

TEST_CASE("bad input is answered with the whole expected text") {
  fs::current_path(SIMULATE_SOURCE_DIR);  // so that the quoted paths are the same everywhere
  const std::vector<fs::path> cases = Cases();
  CHECK(cases.size() >= 80);
  for (const fs::path& path : cases) {
    DYNAMIC_SECTION(path.stem().string()) {
      Diagnostics diagnostics;
      const auto study = LoadStudy(path.string(), SearchPath{{"tests/config/fixture"}}, Overrides(ReadText(path)), diagnostics);
      const std::string text = diagnostics.Render();
      fs::path expected = path;
      expected.replace_extension(".expected");
      if (std::getenv("SIMULATE_UPDATE_EXPECTED") != nullptr) std::ofstream(expected, std::ios::binary) << text;
      CHECK(diagnostics.HasErrors());
      CHECK_FALSE(study.has_value());
      CHECK(text == ReadText(expected));
    }
  }
}

}  // namespace
}  // namespace simulate
