#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "sim/cli/describe.h"

namespace simulate {
namespace {

// Roff takes a backslash, a hyphen and a leading dot or quote for its own.
std::string Escape(const std::string& text) {
  std::string escaped = absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}});
  if (!escaped.empty() && (escaped[0] == '.' || escaped[0] == '\'')) escaped = "\\&" + escaped;
  return escaped;
}

std::string Usage(const CommandText& command) {
  std::string text = ".B simulate";
  if (!command.name.empty()) absl::StrAppend(&text, " ", command.name);
  absl::StrAppend(&text, "\n.RI [ option ...]\n");
  for (const OptionText& positional : command.positionals) {
    absl::StrAppend(&text, ".I ", Escape(positional.value), positional.repeats ? " ..." : "", "\n");
  }
  return text;
}

std::string Options(const std::vector<OptionText>& options) {
  std::string text;
  for (const OptionText& option : options) {
    std::vector<std::string> names;
    for (const std::string& name : option.names) names.push_back(absl::StrCat("\\fB", Escape(name), "\\fR"));
    absl::StrAppend(&text, ".TP\n", absl::StrJoin(names, ", "));
    if (!option.value.empty()) absl::StrAppend(&text, " \\fI", Escape(option.value), "\\fR");
    absl::StrAppend(&text, "\n", Escape(option.help), "\n");
    if (!option.choices.empty()) absl::StrAppend(&text, "One of ", Escape(absl::StrJoin(option.choices, ", ")), ".\n");
  }
  return text;
}

}  // namespace

std::string ManPage(const std::vector<CommandText>& commands, const std::string& version, const std::string& footer) {
  std::string page = absl::StrCat(".TH SIMULATE 1 \"\" \"simulate ", version, "\" \"User Commands\"\n.SH NAME\n",
                                  "simulate \\- a discrete\\-event simulator of training clusters\n.SH SYNOPSIS\n");
  for (const CommandText& command : commands) {
    absl::StrAppend(&page, Usage(command), &command == &commands.back() ? "" : ".br\n");
  }
  absl::StrAppend(&page, ".SH DESCRIPTION\n", Escape(commands.front().help), "\n.SH OPTIONS\n", Options(commands.front().options),
                  ".SH COMMANDS\n");
  for (const CommandText& command : commands) {
    if (command.name.empty()) continue;
    absl::StrAppend(&page, ".SS ", Escape(command.name), "\n", Escape(command.help), ".\n", Options(command.options));
  }
  absl::StrAppend(&page, ".SH NOTES\n.nf\n");
  for (const auto& line : absl::StrSplit(footer, '\n')) absl::StrAppend(&page, Escape(std::string(line)), "\n");
  return absl::StrCat(page, ".fi\n");
}

}  // namespace simulate
