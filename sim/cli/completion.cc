#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "sim/cli/describe.h"

namespace simulate {
namespace {

// What a value of this type is completed with.
enum class Source { kNothing, kFiles, kScenarios, kHardware, kNames };
Source SourceOf(const OptionText& option) {
  if (option.value == "SCENARIO" || option.value == "PATH") return Source::kScenarios;
  if (option.value == "HARDWARE") return Source::kHardware;
  if (option.value == "NAME") return Source::kNames;
  if (option.value.find("FILE") == 0 || option.value == "DIR") return Source::kFiles;
  return Source::kNothing;
}

// Names as `simulate list` prints them: the first column below each heading.
constexpr const char* kNamesOf = " 2>/dev/null | awk 'NR > 1 && NF { print $1 }'";
std::string ListCommand(const std::string& kind) { return absl::StrCat("simulate list ", kind, kNamesOf); }

std::string WordsOf(const CommandText& command) {
  std::vector<std::string> words;
  for (const OptionText& option : command.options) words.insert(words.end(), option.names.begin(), option.names.end());
  return absl::StrJoin(words, " ");
}

std::string CommandNames(const std::vector<CommandText>& commands) {
  std::vector<std::string> names;
  for (const CommandText& command : commands) {
    if (!command.name.empty()) names.push_back(command.name);
  }
  return absl::StrJoin(names, " ");
}

std::string BashReply(const OptionText& option) {
  if (!option.choices.empty()) return absl::StrCat("COMPREPLY=($(compgen -W '", absl::StrJoin(option.choices, " "), "' -- \"$word\"))");
  switch (SourceOf(option)) {
    case Source::kFiles: return "COMPREPLY=($(compgen -f -- \"$word\"))";
    case Source::kScenarios: return absl::StrCat("COMPREPLY=($(compgen -f -- \"$word\") $(compgen -W \"$(", ListCommand("scenarios"), ")\" -- \"$word\"))");
    case Source::kHardware: return absl::StrCat("COMPREPLY=($(compgen -f -- \"$word\") $(compgen -W \"$(", ListCommand("hardware"), ")\" -- \"$word\"))");
    case Source::kNames: return absl::StrCat("COMPREPLY=($(compgen -W \"$(", ListCommand(""), ")\" -- \"$word\"))");
    case Source::kNothing: return "COMPREPLY=()";
  }
  return "";
}

std::string QuoteZsh(const std::string& text) {
  return absl::StrReplaceAll(text, {{"'", "'\\''"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}});
}

std::string ZshAction(const OptionText& option) {
  if (!option.choices.empty()) return absl::StrCat("(", absl::StrJoin(option.choices, " "), ")");
  switch (SourceOf(option)) {
    case Source::kFiles: return "_files";
    case Source::kScenarios: return "_simulate_scenarios";
    case Source::kHardware: return "_simulate_hardware";
    case Source::kNames: return "_simulate_names";
    case Source::kNothing: return " ";
  }
  return " ";
}

std::string ZshArguments(const CommandText& command) {
  std::string text;
  for (const OptionText& option : command.options) {
    for (const std::string& name : option.names) {
      absl::StrAppend(&text, " \\\n        '", option.names.size() > 1 ? absl::StrCat("(", absl::StrJoin(option.names, " "), ")") : "*",
                      name, "[", QuoteZsh(option.help), "]");
      if (!option.value.empty()) absl::StrAppend(&text, ":", option.value, ":", ZshAction(option));
      absl::StrAppend(&text, "'");
    }
  }
  for (const OptionText& option : command.positionals) {
    absl::StrAppend(&text, " \\\n        '*:", option.value, ":", ZshAction(option), "'");
  }
  return text;
}

std::string QuoteFish(const std::string& text) { return absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}}); }

std::string FishValues(const OptionText& option) {
  if (!option.choices.empty()) return absl::StrCat(" -a '", absl::StrJoin(option.choices, " "), "'");
  switch (SourceOf(option)) {
    case Source::kFiles: return " -F";
    case Source::kScenarios: return " -F -a '(simulate list scenarios 2>/dev/null | awk \"NR > 1 && NF { print \\$1 }\")'";
    case Source::kHardware: return " -F -a '(simulate list hardware 2>/dev/null | awk \"NR > 1 && NF { print \\$1 }\")'";
    case Source::kNames: return " -f -a '(simulate list 2>/dev/null | awk \"NR > 1 && NF { print \\$1 }\")'";
    case Source::kNothing: return " -f";
  }
  return "";
}

}  // namespace

std::string BashCompletion(const std::vector<CommandText>& commands) {
  std::string out =
      "# Bash completion for simulate; put `source <(simulate completion bash)` into ~/.bashrc.\n"
      "_simulate() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case ${COMP_WORDS[i]} in\n"
      "      -*) ;;\n";
  absl::StrAppend(&out, "      ", absl::StrReplaceAll(CommandNames(commands), {{" ", "|"}}), ") command=${COMP_WORDS[i]}; break ;;\n",
                  "    esac\n  done\n  case $command:$before in\n");
  for (const CommandText& command : commands) {
    for (const OptionText& option : command.options) {
      if (option.value.empty()) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names) patterns.push_back(absl::StrCat(command.name, ":", name));
      absl::StrAppend(&out, "    ", absl::StrJoin(patterns, "|"), ") ", BashReply(option), "; return ;;\n");
    }
  }
  absl::StrAppend(&out, "  esac\n  case $command in\n");
  for (const CommandText& command : commands) {
    absl::StrAppend(&out, "    ", command.name.empty() ? "''" : command.name, ")\n      if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '",
                    WordsOf(command), "' -- \"$word\")); return; fi\n");
    if (!command.positionals.empty()) absl::StrAppend(&out, "      ", BashReply(command.positionals.front()), "\n");
    if (command.name.empty()) {
      absl::StrAppend(&out, "      COMPREPLY+=($(compgen -W '", CommandNames(commands), "' -- \"$word\"))\n");
    }
    absl::StrAppend(&out, "      ;;\n");
  }
  return absl::StrCat(out, "  esac\n}\ncomplete -o filenames -F _simulate simulate\n");
}

std::string ZshCompletion(const std::vector<CommandText>& commands) {
  std::string out =
      "#compdef simulate\n"
      "# Zsh completion for simulate; `simulate completion zsh > _simulate` in a folder of $fpath.\n";
  for (const auto& [name, kind] : {std::pair("scenarios", "scenarios"), std::pair("hardware", "hardware"), std::pair("names", "")}) {
    absl::StrAppend(&out, "_simulate_", name, "() { local -a names; names=(${(f)\"$(", ListCommand(kind), ")\"}); compadd -a names; _files }\n");
  }
  absl::StrAppend(&out, "_simulate() {\n  local context state line\n  local -a commands\n  commands=(\n");
  for (const CommandText& command : commands) {
    if (!command.name.empty()) absl::StrAppend(&out, "    '", command.name, ":", QuoteZsh(command.help), "'\n");
  }
  absl::StrAppend(&out, "  )\n  case $words[2] in\n");
  for (const CommandText& command : commands) {
    if (command.name.empty()) continue;
    absl::StrAppend(&out, "    ", command.name, ")\n      shift words; (( CURRENT-- ))\n      _arguments", ZshArguments(command), "\n      ;;\n");
  }
  absl::StrAppend(&out, "    *)\n      (( CURRENT == 2 )) && _describe command commands\n      _arguments", ZshArguments(commands.front()),
                  "\n      ;;\n  esac\n}\ncompdef _simulate simulate\n");
  return out;
}

std::string FishCompletion(const std::vector<CommandText>& commands) {
  std::string out = "# Fish completion for simulate; `simulate completion fish > ~/.config/fish/completions/simulate.fish`.\n"
                    "complete -c simulate -e\n";
  const std::string names = CommandNames(commands);
  for (const CommandText& command : commands) {
    const std::string when = command.name.empty() ? absl::StrCat(" -n 'not __fish_seen_subcommand_from ", names, "'")
                                                  : absl::StrCat(" -n '__fish_seen_subcommand_from ", command.name, "'");
    if (!command.name.empty()) {
      absl::StrAppend(&out, "complete -c simulate -n __fish_use_subcommand -a ", command.name, " -d '", QuoteFish(command.help), "'\n");
    }
    for (const OptionText& option : command.options) {
      absl::StrAppend(&out, "complete -c simulate", when);
      for (const std::string& name : option.names) {
        absl::StrAppend(&out, name.rfind("--", 0) == 0 ? " -l " : " -s ", name.substr(name.find_first_not_of('-')));
      }
      if (!option.value.empty()) absl::StrAppend(&out, " -r", FishValues(option));
      absl::StrAppend(&out, " -d '", QuoteFish(option.help), "'\n");
    }
    for (const OptionText& option : command.positionals) {
      const std::string values = FishValues(option);
      if (values != " -f") absl::StrAppend(&out, "complete -c simulate", when, values, "\n");
    }
  }
  return out;
}

}  // namespace simulate
