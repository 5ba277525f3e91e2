// Files that try to exhaust time, memory or stack end in one short diagnostic.
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <string>

#include "sim/config/config.h"

namespace simulate {
namespace {

namespace fs = std::filesystem;

std::string Repeat(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

// The answer to a scenario with this text; a study is never returned with it.
std::string Answer(const std::string& text) {
  Diagnostics diagnostics;
  const auto study = LoadStudyText("hostile.yaml", text, SearchPath{{"tests/config/fixture"}}, {}, diagnostics);
  CHECK_FALSE(study.has_value());
  return diagnostics.Render();
}

TEST_CASE("a file of 10 MB is refused by its size") {
  const fs::path path = fs::temp_directory_path() / "simulate_test_10mb.yaml";
  std::ofstream(path) << Repeat("key: value of some length\n", 400'000);
  Diagnostics diagnostics;
  CHECK_FALSE(LoadStudy(path.string(), {}, {}, diagnostics).has_value());
  CHECK(diagnostics.Render() == "error: this file is too large to be one of the simulator's\n  --> " + path.string() +
                                    "\nhelp: at most 4 MiB are read\n");
  fs::remove(path);
}

TEST_CASE("an endless file ends") {
  Diagnostics diagnostics;
  CHECK_FALSE(LoadStudy("/dev/zero", {}, {}, diagnostics).has_value());
  CHECK(diagnostics.Render() ==
        "error: this file is too large to be one of the simulator's\n  --> /dev/zero\nhelp: at most 4 MiB are read\n");
}

TEST_CASE("deep nesting is refused before it can exhaust the stack") {
  const std::string flow = Answer("a: " + Repeat("[", 100'000));
  CHECK(flow.find("error: nested too deeply\n --> hostile.yaml:1:") == 0);
  CHECK(flow.find("at most 32 levels are read\n") != std::string::npos);
  CHECK(Answer(Repeat("- ", 100'000)).find("error: nested too deeply\n") == 0);
  CHECK(Answer(Repeat("{a: ", 100'000)).find("error: nested too deeply\n") == 0);
  CHECK(Answer(Repeat("? ", 100'000)).find("error: nested too deeply\n") == 0);
}

TEST_CASE("an alias bomb does not go off") {
  std::string bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string last = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + Repeat(last + ", ", 8) + last + "]\n";
  }
  CHECK(Answer(bomb) ==
        R"(error: anchors and aliases (`&name`, `*name`) are not supported
 --> hostile.yaml:1:5
  |
1 | a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]
  |     ^
help: write the value out
)");
}

TEST_CASE("a hundred thousand unknown keys are summed up") {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "key" + std::to_string(i) + ": 1\n";
  const std::string answer = Answer(text);
  CHECK(answer.size() < 20'000);
  CHECK(answer.find("\n... and 99951 more\n") != std::string::npos);  // one more error: the keys that are missing
}

TEST_CASE("a hundred thousand duplicate keys are summed up") {
  const std::string answer = Answer(Repeat("key: 1\n", 100'000));
  CHECK(answer.size() < 20'000);
  CHECK(answer.find("\n... and 99949 more\n") != std::string::npos);
}

TEST_CASE("a hundred thousand bad reference points are summed up") {
  const std::string answer = Answer("reference:\n  source: x\n  points:\n" + Repeat("    - {}\n", 100'000));
  CHECK(answer.find("\n... and 99951 more\n") != std::string::npos);
}

TEST_CASE("one line of four megabytes is quoted in part") {
  const std::string answer = Answer("title: " + std::string(4'000'000, 'x') + ": y\n");
  CHECK(answer.size() < 1'000);
  CHECK(answer.find("error: this is not valid YAML\n") == 0);
}

TEST_CASE("a folder and a missing file are named") {
  Diagnostics folder;
  CHECK_FALSE(LoadStudy("/", {}, {}, folder).has_value());
  CHECK(folder.Render() == "error: `/` is a folder, not a file\n");
  Diagnostics missing;
  CHECK_FALSE(LoadStudy("no/such.yaml", {}, {}, missing).has_value());
  CHECK(missing.Render() ==
        "error: there is no scenario `no/such.yaml`\n"
        "help: a path is looked for beside the file that names it, and in the working directory\n");
}

}  // namespace
}  // namespace simulate
