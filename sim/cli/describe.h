// The commands and their options as plain values, read from CLI11's own definition, for shell completion and the man
// page: neither can go stale.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace simulate {

struct OptionText {
  std::vector<std::string> names;    // --json, -o; empty: positional
  std::string value;                 // FILE, N, ...; empty: a flag
  std::vector<std::string> choices;  // the values that it takes, if they are few
  std::string help;
  bool repeats = false;
};

struct CommandText {
  std::string name;                  // empty: the program itself
  std::string help;
  std::vector<OptionText> options;
  std::vector<OptionText> positionals;
};

// The program itself first, then its commands in order.
[[nodiscard]] std::vector<CommandText> DescribeCommands(const CLI::App& app);

[[nodiscard]] std::string BashCompletion(const std::vector<CommandText>& commands);
[[nodiscard]] std::string ZshCompletion(const std::vector<CommandText>& commands);
[[nodiscard]] std::string FishCompletion(const std::vector<CommandText>& commands);

// The manual page in roff's man macros.
[[nodiscard]] std::string ManPage(const std::vector<CommandText>& commands, const std::string& version,
                                  const std::string& footer);

}  // namespace simulate
