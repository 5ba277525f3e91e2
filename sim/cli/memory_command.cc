#include <algorithm>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/cli/common.h"
#include "sim/cli/study_commands.h"
#include "sim/cli/terminal.h"
#include "sim/output/format.h"
#include "sim/output/table.h"
#include "sim/report/explain.h"
#include "sim/study/neighbours.h"
#include "sim/study/simulate.h"

namespace simulate {
namespace {

std::string Categories(const Report& r, bool colour) {
  std::vector<std::pair<int64_t, size_t>> sorted;
  for (size_t c = 0; c < r.memory.at_peak.size(); ++c) sorted.emplace_back(-r.memory.at_peak[c].value(), c);
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::vector<Cell>> rows;
  for (const auto& [negative, c] : sorted) {
    if (negative == 0) continue;
    rows.push_back({Cell(Name(static_cast<MemoryCategory>(c))), Cell(ShowSize(Bytes(-negative))),
                    Cell(ShowPercent(Bytes(-negative) / r.memory_capacity))});
  }
  for (const auto& [name, bytes] : {std::pair("peak allocated", r.memory.peak_allocated),
                                    std::pair("peak reserved", r.memory.peak_reserved),
                                    std::pair("device", r.memory_capacity)}) {
    rows.push_back({Cell(name, Tone::kBold), Cell(ShowSize(bytes)), Cell(ShowPercent(bytes / r.memory_capacity))});
  }
  return RenderTable({{absl::StrCat("rank ", r.memory_rank), "", true}, {"size", ""}, {"of the device", ""}}, rows, colour);
}

int Run(const CommonOptions& options, Command& command) {
  const std::optional<Study> study = ReadStudy(options.scenario, options.set, command);
  if (!study) return kExitBadInput;
  const Scenario& point = study->points.back();
  const std::vector<Neighbour> neighbours = Neighbours(point);
  std::vector<Scenario> all = {point};
  for (const Neighbour& n : neighbours) all.push_back(n.scenario);
  const std::vector<Report> reports = SimulateAll(all, {}, options.threads);
  const bool colour = UseColour(options.color, command.out_is_terminal);
  command.out << Categories(reports[0], colour);
  if (reports[0].out_of_memory) command.out << "\n" << Explain({reports[0]}) << "\n";
  std::vector<std::vector<Cell>> rows;
  for (size_t i = 0; i < neighbours.size(); ++i) {
    const Report& r = reports[i + 1];
    rows.push_back({Cell(neighbours[i].change), Cell(ShowSize(r.memory.peak_allocated)), Cell(ShowSize(r.memory.peak_reserved)),
                    r.out_of_memory ? Cell("no", Tone::kBad) : Cell("yes", Tone::kGood),
                    Cell(r.out_of_memory ? "-" : ShowCount(r.tokens_per_s))});
  }
  if (!rows.empty()) {
    command.out << "\n"
                << RenderTable({{"instead", "", true}, {"allocated", ""}, {"reserved", ""}, {"fits", ""}, {"tokens/s", ""}}, rows,
                               colour);
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
