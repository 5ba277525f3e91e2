#include "sim/cli/run_command.h"

#include <sys/resource.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/cli/chakra_export.h"
#include "sim/cli/common.h"
#include "sim/cli/terminal.h"
#include "sim/cli/write_file.h"
#include "sim/output/csv.h"
#include "sim/output/html_report.h"
#include "sim/output/inputs.h"
#include "sim/output/json.h"
#include "sim/output/text.h"
#include "sim/output/trace_file.h"
#include "sim/report/metric.h"
#include "sim/study/simulate.h"

namespace simulate {
namespace {

struct Options : CommonOptions {
  bool json = false;
  bool csv = false;
  bool quiet = false;
  bool unfold = false;
  bool exact = false;
  bool stats = false;
  std::string output;
  std::string trace;
  std::string html;
  ChakraOptions chakra;
};

std::string Render(const Options& options, const Command& command, const Study& study, const std::vector<Report>& reports) {
  if (options.json) return RenderJson(study.title, reports);
  if (options.csv) return RenderCsv(reports);
  const bool terminal = command.out_is_terminal && options.output.empty();
  const TextStyle style{UseColour(options.color, terminal), terminal && SpeaksUtf8(), options.quiet};
  return RenderText(study.title, study.reference.source, reports, style);
}

void PrintStats(const std::vector<Report>& reports, double seconds, std::ostream& err) {
  RunStats sum;
  for (const Report& r : reports) {
    sum.events += r.stats.events;
    sum.tasks += r.stats.tasks;
    sum.share_updates += r.stats.share_updates;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  err << absl::StrFormat(
      "%d points in %.3f s: %d events (%.3g a second), %d tasks, %d share updates; peak memory %.1f MB\n", reports.size(),
      seconds, sum.events, static_cast<double>(sum.events) / seconds, sum.tasks, sum.share_updates,
      static_cast<double>(usage.ru_maxrss) / 1024.0);
}

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() > end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// A trace, execution traces and a page's timeline show one point: the sweep's last that fits in memory.
void WriteTimeline(const Options& options, const Study& study, const std::vector<Report>& reports, Command& command,
                   Diagnostics& diagnostics) {
  size_t shown = reports.size() - 1;
  while (shown > 0 && reports[shown].out_of_memory) --shown;
  const Simulation simulation = Simulate(study.points[shown], {options.unfold});
  if (!options.trace.empty()) {
    const auto write = EndsWith(options.trace, ".json") ? WriteChromeTrace : WritePerfettoTrace;
    WriteFile(options.trace, [&](std::ostream& out) { write(simulation.program, simulation.timeline, out); }, diagnostics);
  }
  if (!options.chakra.folder.empty()) {
    Progress progress(command.err, command.err_is_terminal && !options.quiet, "file");
    ExportChakra(options.chakra, study.points[shown], simulation, progress, diagnostics);
  }
  if (options.html.empty()) return;
  HtmlPage page;
  page.title = study.title;
  page.result = RenderJson(study.title, reports);
  page.timeline = TimelineJson(simulation.program, simulation.timeline);
  page.inputs = RenderInputs(study.points[shown], study.reference);
  WriteFile(options.html, [&](std::ostream& out) { out << RenderHtml(page); }, diagnostics);
}

int Run(const Options& options, Command& command) {
  Diagnostics diagnostics;
  const std::optional<Study> study = ReadStudy(options.scenario, options.set, command);
  if (!study) return kExitBadInput;

  const auto begin = std::chrono::steady_clock::now();
  std::vector<Report> reports;
  {
    Progress progress(command.err, command.err_is_terminal && !options.quiet, "point");
    reports = SimulateAll(study->points, {options.unfold, options.exact}, options.threads,
                          [&](size_t done, size_t all) { progress.Update(done, all); });
  }
  for (size_t i = 0; i < reports.size(); ++i) Compare(study->reference, study->points[i].reference, reports[i]);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  const std::string text = Render(options, command, *study, reports);
  if (options.output.empty()) {
    command.out << text;
  } else {
    WriteFile(options.output, [&](std::ostream& out) { out << text; }, diagnostics);
  }
  if (!options.trace.empty() || !options.html.empty() || !options.chakra.folder.empty()) {
    WriteTimeline(options, *study, reports, command, diagnostics);
  }
  if (diagnostics.HasErrors()) {
    command.err << diagnostics.Render();
    return kExitBadInput;
  }
  if (options.stats) PrintStats(reports, seconds, command.err);
  return kExitDone;
}

std::shared_ptr<Options> AddOptions(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("scenario", options->scenario, "Scenario file, or the name of one that is shipped")->type_name("SCENARIO");
  AddCommonOptions(app, *options);
  auto* json = app.add_flag("--json", options->json, "Print the result as one JSON object");
  app.add_flag("--csv", options->csv, "Print one line of comma-separated values per point")->excludes(json);
  app.add_flag("--quiet", options->quiet, "Print the table alone, and no progress");
  app.add_flag("--unfold", options->unfold, "Simulate every rank instead of one of each kind");
  app.add_flag("--exact", options->exact, "Simulate every micro-batch of steps that have many");
  app.add_flag("--stats", options->stats, "Say on standard error how fast the simulation ran");
  app.add_option("-o,--output", options->output, "Write the result to a file instead of standard output")->type_name("FILE");
  app.add_option("--trace", options->trace, "Write the (last) point's timeline: Perfetto, or Chrome's format if *.json")
      ->type_name("FILE");
  app.add_option("--html", options->html, "Write the result as one self-contained page")->type_name("FILE");
  auto* chakra = app.add_option("--chakra", options->chakra.folder,
                                "Write the (last) point's step as Chakra execution traces, a file per rank");
  chakra->type_name("DIR");
  app.add_option("--chakra-ranks", options->chakra.ranks, "Whose: all, kinds (one of each kind of rank), or a set such as 0-7,64")
      ->type_name("RANKS")
      ->needs(chakra);
  return options;
}

}  // namespace

void AddRunCommand(CLI::App& app, Command& command) {
  auto options = AddOptions(app);
  app.callback([&app, options, &command] {
    if (!app.get_subcommands().empty()) return;
    if (options->scenario.empty()) throw CLI::RequiredError("a scenario file, or a command");
    command.exit_code = Run(*options, command);
  });
  CLI::App* run = app.add_subcommand("run", "Run a scenario: the same as `simulate SCENARIO`");
  auto explicit_options = AddOptions(*run);
  run->get_option("scenario")->required();
  run->callback([explicit_options, &command] { command.exit_code = Run(*explicit_options, command); });
}

}  // namespace simulate
