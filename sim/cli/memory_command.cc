#include <algorithm>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/cli/common.h"
#include "sim/cli/study_commands.h"
#include "sim/cli/terminal.h"
#include "sim/output/format.h"
#include "sim/output/memory_text.h"
#include "sim/output/table.h"
#include "sim/report/explain.h"
#include "sim/study/neighbours.h"
#include "sim/study/simulate.h"

namespace simulate {
namespace {

constexpr size_t kTimelineWidth = 72;

std::string NeighbourTable(const std::vector<Neighbour>& neighbours, const std::vector<Report>& reports, bool colour) {
  std::vector<std::vector<Cell>> rows;
  for (size_t i = 0; i < neighbours.size(); ++i) {
    const Report& r = reports[i];
    rows.push_back({Cell(neighbours[i].change), Cell(ShowSize(r.memory.peak_allocated)), Cell(ShowSize(r.memory.peak_reserved)),
                    r.out_of_memory ? Cell("no", Tone::kBad) : Cell("yes", Tone::kGood),
                    Cell(r.out_of_memory ? "-" : ShowCount(r.tokens_per_s))});
  }
  if (rows.empty()) return "";
  return "\n" + RenderTable({{"instead", "", true}, {"allocated", ""}, {"reserved", ""}, {"fits", ""}, {"tokens/s", ""}}, rows, colour);
}

std::vector<Report> SimulateNeighbours(const std::vector<Neighbour>& neighbours, int threads) {
  std::vector<Scenario> points;
  for (const Neighbour& n : neighbours) points.push_back(n.scenario);
  return SimulateAll(points, {}, threads);
}

bool AnyFits(const std::vector<Report>& reports) {
  return std::any_of(reports.begin(), reports.end(), [](const Report& r) { return !r.out_of_memory; });
}

int Run(const CommonOptions& options, Command& command) {
  const std::optional<Study> study = ReadStudy(options.scenario, options.set, command);
  if (!study) return kExitBadInput;
  const Scenario& point = study->points.back();
  const Simulation run = Simulate(point);
  const bool colour = UseColour(options.color, command.out_is_terminal);
  command.out << RenderMemoryTable(run.report, absl::StrCat("rank ", run.report.memory_rank), /*totals=*/true, colour);
  const std::string ranks = RenderRankMemory(run.timeline, colour);
  if (!ranks.empty()) command.out << "\n" << ranks;
  command.out << "\n" << RenderMemoryTimeline(run.report.memory, kTimelineWidth, command.out_is_terminal && SpeaksUtf8());
  if (run.report.out_of_memory) command.out << "\n" << Explain({run.report}) << "\n";
  // The nearest settings, each simulated; where no single change makes a run fit, two at a time.
  std::vector<Neighbour> neighbours = Neighbours(point);
  std::vector<Report> reports = SimulateNeighbours(neighbours, options.threads);
  command.out << NeighbourTable(neighbours, reports, colour);
  if (run.report.out_of_memory && !AnyFits(reports)) {
    neighbours = Pairs(neighbours);
    reports = SimulateNeighbours(neighbours, options.threads);
    command.out << NeighbourTable(neighbours, reports, colour);
  }
  return kExitDone;
}

}  // namespace

void AddMemoryCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("memory", "The (last) point's memory by category, and neighbouring settings that fit");
  auto options = std::make_shared<CommonOptions>();
  sub->add_option("scenario", options->scenario, "Scenario file")->required()->type_name("SCENARIO");
  AddCommonOptions(*sub, *options);
  sub->callback([options, &command] { command.exit_code = Run(*options, command); });
}

}  // namespace simulate
