#include "sim/cli/common.h"

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/study/simulate.h"

namespace simulate {
namespace {

bool SplitSettings(const std::vector<std::string>& texts, std::vector<Setting>* settings, Diagnostics& diagnostics) {
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      diagnostics.Error(absl::StrCat("`--set ", text, "` is not of the form key=value"))
          .help.emplace_back("for example --set cluster.gpus=64");
      continue;
    }
    settings->emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return !diagnostics.HasErrors();
}

}  // namespace

void AddCommonOptions(CLI::App& app, CommonOptions& options) {
  app.add_option("--set", options.set, "Override a dotted key, e.g. cluster.gpus=64; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("--color", options.color, "When to colour: auto, always, never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("WHEN");
  app.add_option("--threads", options.threads, "Points simulated at a time; 0: one per processor")
      ->check(CLI::Range(0, 1024))
      ->type_name("N");
}

std::optional<Study> ReadStudy(const std::string& scenario, const std::vector<std::string>& set, Command& command) {
  Diagnostics diagnostics;
  std::vector<Setting> overrides;
  std::optional<Study> study;
  if (SplitSettings(set, &overrides, diagnostics)) study = LoadStudy(scenario, command.search, overrides, diagnostics);
  if (study && !CheckLinks(study->points, diagnostics)) study.reset();
  command.err << diagnostics.Render();
  if (!study) command.exit_code = kExitBadInput;
  return study;
}

}  // namespace simulate
