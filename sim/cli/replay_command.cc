#include "sim/cli/replay_command.h"

#include <memory>
#include <optional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sim/cli/terminal.h"
#include "sim/study/write_file.h"
#include "sim/output/csv.h"
#include "sim/output/html_report.h"
#include "sim/output/inputs.h"
#include "sim/output/json.h"
#include "sim/output/replay_text.h"
#include "sim/output/trace_file.h"
#include "sim/study/replay.h"

namespace simulate {
namespace {

struct Options {
  std::string traces;
  std::string hardware;
  TraceOptions trace;
  bool json = false;
  bool csv = false;
  bool quiet = false;
  bool unfold = false;
  std::string color = "auto";
  std::string output;
  std::string trace_file;
  std::string html;
};

std::string Title(const ReplayedTrace& replayed) {
  return absl::StrCat(replayed.scenario.title, ": ", replayed.scenario.gpus, " recorded ranks on ", replayed.scenario.hardware.name);
}

void WriteFiles(const Options& options, const ReplayedTrace& replayed, Diagnostics& diagnostics) {
  const Simulation& s = replayed.simulation;
  if (!options.trace_file.empty()) {
    const auto write = absl::EndsWith(options.trace_file, ".json") ? WriteChromeTrace : WritePerfettoTrace;
    WriteFile(options.trace_file, [&](std::ostream& out) { write(s.program, s.timeline, false, out); }, diagnostics);
  }
  if (options.html.empty()) return;
  HtmlPage page;
  page.title = Title(replayed);
  page.result = RenderJson(page.title, {s.report});
  page.timeline = TimelineJson(s.program, s.timeline);
  page.inputs = RenderInputs(replayed.scenario, {});
  WriteFile(options.html, [&](std::ostream& out) { out << RenderHtml(page); }, diagnostics);
}

std::optional<ReplayedTrace> Replay(const Options& options, Command& command, Diagnostics& diagnostics) {
  const std::optional<HardwareSpec> hardware = LoadHardware(options.hardware, command.search, diagnostics);
  TraceOptions how = options.trace;
  if (hardware) how.host_link = hardware->node.pcie.bandwidth;
  std::optional<TraceProgram> trace = ReadTraces(options.traces, how, diagnostics);
  if (!hardware || !trace) return std::nullopt;
  if (!CheckReplayHardware(*hardware, trace->program.world_size(), diagnostics)) return std::nullopt;
  ReplayedTrace replayed = ReplayTrace(std::move(*trace), *hardware, options.unfold);
  if (replayed.simulation.timeline.end > SimTime()) return replayed;
  diagnostics.Error(absl::StrCat("nothing in `", options.traces, "` takes any time"));
  return std::nullopt;
}

int Run(const Options& options, Command& command) {
  Diagnostics diagnostics;
  const std::optional<ReplayedTrace> replayed = Replay(options, command, diagnostics);
  if (!replayed || diagnostics.HasErrors()) {
    command.err << diagnostics.Render();
    return kExitBadInput;
  }
  const std::string title = Title(*replayed);
  const bool terminal = command.out_is_terminal && options.output.empty();
  const TextStyle style{UseColour(options.color, terminal), terminal && SpeaksUtf8(), options.quiet};
  const Report& report = replayed->simulation.report;
  const std::string text = options.json  ? RenderJson(title, {report})
                           : options.csv ? RenderCsv({report})
                                         : RenderReplayText(title, report, style);
  if (options.output.empty()) {
    command.out << text;
  } else {
    WriteFile(options.output, [&](std::ostream& out) { out << text; }, diagnostics);
  }
  WriteFiles(options, *replayed, diagnostics);
  command.err << diagnostics.Render();
  return diagnostics.HasErrors() ? kExitBadInput : kExitDone;
}

}  // namespace

void AddReplayCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("replay", "Run execution traces (MLCommons Chakra) on any hardware");
  auto options = std::make_shared<Options>();
  sub->add_option("traces", options->traces, "Folder with PREFIX.<rank>.et for every rank, or the folder and PREFIX")
      ->required()
      ->type_name("DIR");
  sub->add_option("--hardware", options->hardware, "Hardware file, or the name of one that is shipped")->required()->type_name("NAME");
  sub->add_flag("--recorded", options->trace.recorded, "Replay an export of simulate by its recorded times, as if someone else had written it");
  sub->add_flag("--roofline", options->trace.roofline, "Time compute nodes by num_ops and tensor_size where they have them, not as recorded");
  sub->add_option("--compute-scale", options->trace.compute_scale, "Recorded times on the device are multiplied by this")
      ->check(CLI::Range(1e-6, 1e6));
  sub->add_option("--host-scale", options->trace.host_scale, "Recorded times on the host are multiplied by this")->check(CLI::Range(1e-6, 1e6));
  auto* json = sub->add_flag("--json", options->json, "Print the result as one JSON object");
  sub->add_flag("--csv", options->csv, "Print one line of comma-separated values")->excludes(json);
  sub->add_flag("--quiet", options->quiet, "Print the table alone");
  sub->add_flag("--unfold", options->unfold, "Simulate every rank instead of one of each kind");
  sub->add_option("--color", options->color, "auto, always or never")->check(CLI::IsMember({"auto", "always", "never"}));
  sub->add_option("-o,--output", options->output, "Write the result to a file instead of standard output")->type_name("FILE");
  sub->add_option("--trace", options->trace_file, "Write the timeline: Perfetto, or Chrome's format if *.json")->type_name("FILE");
  sub->add_option("--html", options->html, "Write the result as one self-contained page")->type_name("FILE");
  sub->callback([options, &command] { command.exit_code = Run(*options, command); });
}

}  // namespace simulate
