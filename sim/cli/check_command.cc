#include "sim/cli/check_command.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/cli/terminal.h"
#include "sim/study/write_file.h"
#include "sim/study/accuracy_page.h"
#include "sim/study/check.h"
#include "sim/study/check_output.h"
#include "sim/study/page_parts.h"
#include "sim/study/simulate.h"
#include "sim/study/topic_pages.h"

namespace simulate {
namespace {

struct Options {
  std::vector<std::string> paths;
  bool json = false;
  bool csv = false;
  std::string junit;
  std::string page;
  std::string pages;
  std::string baseline;
  bool update = false;
  double threshold = 0.001;
  std::string color = "auto";
  int threads = 0;
};

// Files as they are named; of folders every *.yaml below, in order of path.
std::vector<std::string> Expand(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    std::vector<std::string> inside;
    for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
      if (entry.path().extension() == ".yaml") inside.push_back(entry.path().string());
    }
    std::sort(inside.begin(), inside.end());
    files.insert(files.end(), inside.begin(), inside.end());
  }
  return files;
}

// The studies that hold reference points. Every file is read, so that all diagnostics come in one go.
std::vector<Study> Load(const Options& options, const Command& command, Diagnostics& diagnostics) {
  std::vector<Study> studies;
  for (const std::string& file : Expand(options.paths)) {
    std::optional<Study> study = LoadStudy(file, command.search, {}, diagnostics);
    if (study && !CheckLinks(study->points, diagnostics)) study.reset();
    if (study && (!study->reference.points.empty() || !study->reference.excluded.empty())) studies.push_back(std::move(*study));
  }
  if (!diagnostics.HasErrors() && studies.empty()) {
    diagnostics.Error(absl::StrCat("no scenario with a `reference` block under `", options.paths.front(), "`"));
  }
  return studies;
}

// docs/ACCURACY.md with its picture, and docs/accuracy/*.md; both carry the suspected causes that stand with the latter.
void WritePages(const Options& options, const CheckResult& result, Diagnostics& diagnostics) {
  const std::filesystem::path page(options.page);
  const std::filesystem::path folder = options.pages.empty() ? page.parent_path() / "accuracy" : std::filesystem::path(options.pages);
  const std::vector<Suspect> suspects = ReadSuspects((folder / "suspects.csv").string(), diagnostics);
  if (!options.page.empty()) {
    const std::filesystem::path picture = std::filesystem::path(page).replace_extension(".svg");
    WriteFile(picture.string(), [&](std::ostream& out) { out << RenderTimeScatter(PointsOf(result, Measure::kTime)); }, diagnostics);
    WriteFile(options.page, [&](std::ostream& out) { out << RenderAccuracyPage(result, picture.filename().string(), suspects); }, diagnostics);
  }
  if (options.pages.empty()) return;
  for (const PageFile& file : RenderTopicPages(result, suspects)) {
    WriteFile((folder / file.name).string(), [&](std::ostream& out) { out << file.text; }, diagnostics);
  }
}

int Run(const Options& options, Command& command) {
  Diagnostics diagnostics;
  const std::vector<Study> studies = Load(options, command, diagnostics);
  std::optional<Baseline> baseline;
  if (!options.baseline.empty() && !options.update) baseline = ReadBaseline(options.baseline, diagnostics);
  command.err << diagnostics.Render();
  if (diagnostics.HasErrors()) return kExitBadInput;

  Diagnostics unwritable;
  for (const std::string& path : {options.junit, options.page, options.update ? options.baseline : std::string()}) {
    if (!path.empty()) CanWrite(path, unwritable);  // rather now than after all runs
  }
  command.err << unwritable.Render();
  if (unwritable.HasErrors()) return kExitBadInput;

  CheckResult result;
  {
    Progress progress(command.err, command.err_is_terminal, "run");
    result = Check(studies, options.threads, [&](size_t done, size_t all) { progress.Update(done, all); });
  }
  const std::vector<Moved> moved = baseline ? Compare(result, *baseline, options.threshold) : std::vector<Moved>{};

  Diagnostics files;
  if (options.update) WriteFile(options.baseline, [&](std::ostream& out) { out << RenderBaseline(result); }, files);
  if (!options.junit.empty()) WriteFile(options.junit, [&](std::ostream& out) { out << RenderCheckJunit(result); }, files);
  if (!options.page.empty() || !options.pages.empty()) WritePages(options, result, files);
  command.err << files.Render();
  if (files.HasErrors()) return kExitBadInput;

  if (options.json) {
    command.out << RenderCheckJson(result, moved);
  } else if (options.csv) {
    command.out << RenderCheckCsv(result);
  } else {
    command.out << RenderCheckText(result, moved, UseColour(options.color, command.out_is_terminal));
  }
  const bool fell_short = std::any_of(result.points.begin(), result.points.end(), [](const auto& p) { return p.fell_short(); });
  return fell_short || !moved.empty() ? kExitFellShort : kExitDone;
}

}  // namespace

void AddCheckCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("check", "Hold scenarios to published or measured points; exit code 1 if one falls short");
  auto options = std::make_shared<Options>();
  sub->add_option("paths", options->paths, "Scenario files, or folders of them")->required()->type_name("PATH");
  auto* json = sub->add_flag("--json", options->json, "Print every point as JSON");
  sub->add_flag("--csv", options->csv, "Print every point as comma-separated values")->excludes(json);
  sub->add_option("--junit", options->junit, "Also write a JUnit report for CI servers")->type_name("FILE");
  sub->add_option("--page", options->page, "Also write the accuracy page, and its picture beside it")->type_name("FILE.md");
  sub->add_option("--pages", options->pages, "Also write the pages by topic (data parallelism, memory, ...) and their pictures")
      ->type_name("FOLDER");
  auto* baseline = sub->add_option("--baseline", options->baseline,
                                   "Compare with saved predictions and list what moved; exit code 1 if any did")
                       ->type_name("FILE");
  sub->add_flag("--update", options->update, "Write the baseline instead of comparing with it")->needs(baseline);
  sub->add_option("--threshold", options->threshold, "Relative change from which a prediction has moved")
      ->capture_default_str()
      ->type_name("SHARE");
  sub->add_option("--color", options->color, "When to colour: auto, always, never")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->type_name("WHEN");
  sub->add_option("--threads", options->threads, "Runs at a time; 0: one per processor")->check(CLI::Range(0, 1024))->type_name("N");
  sub->callback([options, &command] { command.exit_code = Run(*options, command); });
}

}  // namespace simulate
