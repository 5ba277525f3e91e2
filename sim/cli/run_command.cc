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
#include "sim/cli/sweep.h"
#include "sim/cli/terminal.h"
#include "sim/study/write_file.h"
#include "sim/output/csv.h"
#include "sim/output/gantt.h"
#include "sim/output/html_report.h"
#include "sim/output/inputs.h"
#include "sim/output/json.h"
#include "sim/output/text.h"
#include "sim/output/trace_file.h"
#include "sim/report/metric.h"
#include "sim/report/pipeline.h"
#include "sim/study/cluster_picture.h"
#include "sim/study/predict.h"
#include "sim/study/simulate.h"

namespace simulate {
namespace {

// A trace, a page's timeline and a drawn pipeline show one point: the sweep's last that fits in memory.
size_t ShownPoint(const std::vector<Report>& reports) {
  size_t shown = reports.size() - 1;
  while (shown > 0 && reports[shown].out_of_memory) --shown;
  return shown;
}

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
  std::string resume;
  bool gantt = false;
};

constexpr int kPlainWidth = 120;  // columns of a picture that is not on a terminal

// The pipeline of the point that is shown, drawn. Long steps are drawn with fewer micro-batches, as they are predicted.
std::string Gantt(const Options& options, const Scenario& point, bool terminal) {
  const Continuation c = ContinuationOf(point);
  Scenario drawn = point;
  if (!options.exact) drawn.training.gradient_accumulation_steps = c.second;
  const Simulation simulation = Simulate(drawn);
  const PlayedPipeline pipeline = PlayedPipelineOf(drawn, simulation.program, simulation.timeline);
  if (pipeline.stages.empty()) return "\nno pipeline to draw: the last point that fits in memory has one stage\n";
  GanttStyle style{UseColour(options.color, terminal), terminal ? TerminalWidth(kPlainWidth) : kPlainWidth, c.all};
  return "\n" + RenderGantt(pipeline, simulation.timeline.end, style);
}

std::string Render(const Options& options, const Command& command, const Study& study, const std::vector<Report>& reports) {
  if (options.json) return RenderJson(study.title, reports);
  if (options.csv) return RenderCsv(reports);
  const bool terminal = command.out_is_terminal && options.output.empty();
  const TextStyle style{UseColour(options.color, terminal), terminal && SpeaksUtf8(), options.quiet};
  const std::string text = RenderText(study.title, study.reference.source, reports, style);
  return options.gantt ? text + Gantt(options, study.points[ShownPoint(reports)], terminal) : text;
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
  const Scenario& point = study.points[ShownPoint(reports)];
  const Simulation simulation = Simulate(point, {options.unfold});
  if (!options.trace.empty()) {
    const auto write = EndsWith(options.trace, ".json") ? WriteChromeTrace : WritePerfettoTrace;
    WriteFile(options.trace, [&](std::ostream& out) { write(simulation.program, simulation.timeline, options.unfold, out); }, diagnostics);
  }
  if (!options.chakra.folder.empty()) {
    Progress progress(command.err, command.err_is_terminal && !options.quiet, "file");
    ExportChakra(options.chakra, point, simulation, progress, diagnostics);
  }
  if (options.html.empty()) return;
  HtmlPage page;
  page.title = study.title;
  page.shown = ShownPoint(reports);
  page.cluster = ClusterJson(point.hardware, TopologyOf(point));
  page.pipeline = PipelineJson(PlayedPipelineOf(point, simulation.program, simulation.timeline), simulation.timeline.end,
                               point.training.gradient_accumulation_steps);
  page.files = FilesJson(study.files);
  page.result = RenderJson(study.title, reports);
  page.timeline = TimelineJson(simulation.program, simulation.timeline);
  page.inputs = RenderInputs(point, study.reference);
  WriteFile(options.html, [&](std::ostream& out) { out << RenderHtml(page); }, diagnostics);
}

// A picture of a pipeline needs one.
bool CheckGantt(const Options& options, const Study& study, std::ostream& err) {
  if (!options.gantt || study.points.back().parallelism.pipeline.stages > 1) return true;
  err << "error: --gantt draws a pipeline, and this scenario has one stage\n"
         "help: for example --set parallelism.pipeline.stages=4 --set training.gradient_accumulation_steps=8\n";
  return false;
}

int Run(const Options& options, Command& command) {
  const std::optional<Study> study = ReadStudy(options.scenario, options.set, command);
  if (!study || !CheckGantt(options, *study, command.err)) return kExitBadInput;
  Diagnostics diagnostics;
  for (const std::string& path : {options.output, options.trace, options.html}) {
    if (!path.empty()) CanWrite(path, diagnostics);  // rather now than after an hour
  }
  if (diagnostics.HasErrors()) {
    command.err << diagnostics.Render();
    return kExitBadInput;
  }

  const auto begin = std::chrono::steady_clock::now();
  std::optional<SweepResult> sweep = RunSweep(
      *study, {{options.unfold, options.exact, true}, options.set, options.resume, options.threads, options.quiet}, command);
  if (!sweep) return command.exit_code;
  std::vector<Report>& reports = sweep->reports;
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
  if (sweep->file) command.when_printed = [file = std::shared_ptr(std::move(sweep->file))] { file->Remove(); };
  if (options.stats) PrintStats(reports, seconds, command.err);
  return kExitDone;
}

std::shared_ptr<Options> AddOptions(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("scenario", options->scenario, "Scenario file, or the name of one that is shipped")->type_name("SCENARIO");
  AddCommonOptions(app, *options);
  auto* json = app.add_flag("--json", options->json, "Print the result as one JSON object");
  auto* csv = app.add_flag("--csv", options->csv, "Print one line of comma-separated values per point")->excludes(json);
  app.add_flag("--gantt", options->gantt, "Draw the (last) point's pipeline: stages as rows")->excludes(json)->excludes(csv);
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
  app.add_option("--resume", options->resume, "Keep finished points in this file, and go on from it if it is there")
      ->type_name("FILE");
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
