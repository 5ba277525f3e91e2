#include "sim/cli/describe.h"

#include "CLI/CLI.hpp"
#include "absl/strings/str_split.h"

namespace simulate {
namespace {

// "WHEN:{auto,always,never}" or "TEXT:{a,b}": CLI11 appends what a validator says of itself to the type's name.
void ReadType(const std::string& type, OptionText& text) {
  const size_t brace = type.find('{');
  if (brace != std::string::npos && type.back() == '}') {
    text.choices = absl::StrSplit(type.substr(brace + 1, type.size() - brace - 2), ',');
  }
  text.value = type.substr(0, type.find_first_of(":{ "));
  if (text.value.empty()) text.value = "VALUE";
}

OptionText Describe(const CLI::Option& option) {
  OptionText text;
  for (const std::string& name : option.get_lnames()) text.names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) text.names.push_back("-" + name);
  text.help = option.get_description();
  if (option.get_items_expected_max() > 0) ReadType(option.get_type_name(), text);
  text.repeats = option.get_items_expected_max() > 1;
  return text;
}

CommandText Describe(const CLI::App& app, bool root) {
  CommandText text;
  text.name = root ? "" : app.get_name();
  text.help = app.get_description();
  for (const CLI::Option* option : app.get_options()) {
    (option->nonpositional() ? text.options : text.positionals).push_back(Describe(*option));
  }
  return text;
}

}  // namespace

std::vector<CommandText> DescribeCommands(const CLI::App& app) {
  std::vector<CommandText> commands = {Describe(app, true)};
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) commands.push_back(Describe(*sub, false));
  return commands;
}

}  // namespace simulate
