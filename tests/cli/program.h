// Runs the built program the way a shell does, in a folder of its own.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace simulate {

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class Sandbox {
 public:
  Sandbox() {
    std::string pattern = (std::filesystem::temp_directory_path() / "simulate_cli_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~Sandbox() { std::filesystem::remove_all(folder_); }
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  void Write(const std::string& name, const std::string& text) const { std::ofstream(folder_ / name) << text; }
  [[nodiscard]] std::string Read(const std::string& name) const {
    std::ifstream file(folder_ / name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // `$simulate` in the shell command is the program.
  [[nodiscard]] Outcome Shell(const std::string& command) const {
    const std::string whole = "cd '" + folder_.string() + "' && simulate='" SIMULATE_PROGRAM "' && ( " + command +
                              " ) >.out 2>.err </dev/null";
    const int status = std::system(whole.c_str());
    Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, Read(".out"), Read(".err")};
    std::filesystem::remove(folder_ / ".out");
    std::filesystem::remove(folder_ / ".err");
    return outcome;
  }
  [[nodiscard]] Outcome Run(const std::string& arguments) const { return Shell("$simulate " + arguments); }
  [[nodiscard]] size_t FileCount() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder_)) ++count;
    return count;
  }

 private:
  std::filesystem::path folder_;
};

// A scenario small enough to run many times.
inline constexpr const char* kSmall =
    "title: small\n"
    "model: gpt-125m\n"
    "cluster: {hardware: hgx-h200, gpus: 2}\n"
    "training: {micro_batch_size: 4, sequence_length: 1024, precision: bf16_mixed}\n"
    "parallelism: {data: {strategy: fsdp}}\n";

}  // namespace simulate
