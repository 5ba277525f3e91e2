#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/cli/study_commands.h"
#include "sim/output/table.h"

namespace simulate {
namespace {

namespace fs = std::filesystem;
const std::vector<std::string> kKinds = {"models", "hardware", "scenarios"};

// Name -> file of one kind. The first folder of the search path that has a name wins, as it does when it is used.
std::map<std::string, std::string> Find(const std::string& kind, const SearchPath& search) {
  std::map<std::string, std::string> found;
  for (const std::string& root : search.roots) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(fs::path(root) / kind, error)) {
      if (entry.path().extension() == ".yaml") found.emplace(entry.path().stem().string(), entry.path().string());
    }
  }
  return found;
}

// The title, or else the first words of the comment at the head.
std::string Describe(const std::string& file) {
  std::ifstream in(file);
  std::string comment;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("title:", 0) == 0) return line.substr(line.find_first_not_of(' ', 6));
    if (comment.empty() && line.rfind("# ", 0) == 0) comment = line.substr(2);
  }
  const size_t end = comment.find(". ");
  if (end != std::string::npos) comment.resize(end);
  return comment.size() > 100 ? comment.substr(0, 97) + "..." : comment;
}

int List(const std::string& kind, Command& command) {
  for (const std::string& k : kKinds) {
    if (!kind.empty() && k != kind) continue;
    std::vector<std::vector<Cell>> rows;
    for (const auto& [name, file] : Find(k, command.search)) rows.push_back({Cell(name), Cell(Describe(file))});
    command.out << RenderTable({{k, "", true}, {"", "", true}}, rows, false) << (kind.empty() && k != kKinds.back() ? "\n" : "");
  }
  return kExitDone;
}

int Show(const std::string& name, Command& command) {
  std::vector<std::string> names;
  for (const std::string& kind : kKinds) {
    for (const auto& [found, file] : Find(kind, command.search)) {
      names.push_back(found);
      if (found != name) continue;
      std::ifstream in(file);
      std::ostringstream text;
      text << in.rdbuf();
      command.out << "# " << file << "\n" << text.str();
      return kExitDone;
    }
  }
  Diagnostics diagnostics;
  Diagnostic& error = diagnostics.Error(absl::StrCat("there is no model, hardware or scenario `", name, "`"));
  const std::string near = NearestName(name, names);
  if (!near.empty()) error.help.push_back(absl::StrCat("did you mean `", near, "`?"));
  error.help.emplace_back("`simulate list` names them all");
  command.err << diagnostics.Render();
  return kExitBadInput;
}

}  // namespace

void AddListCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("list", "Name the models, hardware and scenarios that can be used by name");
  auto kind = std::make_shared<std::string>();
  sub->add_option("kind", *kind, "models, hardware or scenarios")->check(CLI::IsMember(kKinds))->type_name("KIND");
  sub->callback([kind, &command] { command.exit_code = List(*kind, command); });
}

void AddShowCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("show", "Print the file behind a name");
  auto name = std::make_shared<std::string>();
  sub->add_option("name", *name, "A name that `simulate list` shows")->required()->type_name("NAME");
  sub->callback([name, &command] { command.exit_code = Show(*name, command); });
}

}  // namespace simulate
