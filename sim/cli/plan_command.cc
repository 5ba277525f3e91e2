#include <algorithm>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "sim/cli/common.h"
#include "sim/cli/study_commands.h"
#include "sim/cli/terminal.h"
#include "sim/output/format.h"
#include "sim/output/table.h"
#include "sim/study/plan.h"
#include "sim/study/simulate.h"

namespace simulate {
namespace {

struct Planned {
  size_t point;
  RunPlan plan;
};

std::string Show(const std::vector<Setting>& settings) {
  std::vector<std::string> shown;
  for (const auto& [key, value] : settings) shown.push_back(absl::StrCat(key, "=", value));
  return absl::StrJoin(shown, " ");
}

// Cheapest first; without prices the fastest.
std::vector<Planned> Rank(const Study& study, const std::vector<Report>& reports) {
  std::vector<Planned> ranked;
  for (size_t i = 0; i < reports.size(); ++i) {
    if (!reports[i].out_of_memory) ranked.push_back({i, PlanRun(study.points[i], reports[i])});
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const Planned& a, const Planned& b) {
    return std::pair(a.plan.dollars, a.plan.days) < std::pair(b.plan.dollars, b.plan.days);
  });
  return ranked;
}

int Run(const CommonOptions& options, Command& command) {
  const std::optional<Study> study = ReadStudy(options.scenario, options.set, command);
  if (!study) return kExitBadInput;
  if (std::any_of(study->points.begin(), study->points.end(), [](const Scenario& s) { return s.training.tokens <= 0.0; })) {
    command.err << "error: a plan needs `training.tokens`, the length of the whole run\n"
                   "help: for example --set training.tokens=1e12\n";
    return kExitBadInput;
  }
  Progress progress(command.err, command.err_is_terminal, "point");
  const std::vector<Report> reports =
      SimulateAll(study->points, {}, options.threads, [&](size_t done, size_t all) { progress.Update(done, all); });
  std::vector<std::vector<Cell>> rows;
  for (const auto& [i, plan] : Rank(*study, reports)) {
    const Report& r = reports[i];
    rows.push_back({Cell(Show(r.settings)), Cell(absl::StrCat(r.gpus)), Cell(ShowTime(r.step_time)), Cell(ShowPercent(r.mfu)),
                    Cell(ShowPercent(plan.goodput)), Cell(absl::StrFormat("%.2f", plan.days)),
                    Cell(plan.dollars > 0.0 ? ShowCount(plan.dollars) : ""),
                    Cell(plan.dollars > 0.0 ? ShowNumber(plan.dollars_per_billion_tokens, 4) : ""),
                    Cell(plan.kilowatt_hours > 0.0 ? ShowCount(plan.kilowatt_hours) : ""),
                    Cell(plan.checkpoint_interval.value() > 0.0 ? ShowTime(plan.checkpoint_interval) : "")});
  }
  const auto full = std::count_if(reports.begin(), reports.end(), [](const Report& r) { return r.out_of_memory; });
  command.out << RenderTable({{"point", "", true}, {"GPUs", ""}, {"step", ""}, {"MFU", ""}, {"goodput", ""}, {"days", ""},
                              {"dollars", ""}, {"dollars", "per G tokens"}, {"energy", "kWh"}, {"checkpoint", "every"}},
                             rows, UseColour(options.color, command.out_is_terminal));
  if (full > 0) command.out << full << " of " << reports.size() << " points do not fit in memory\n";
  if (rows.empty()) command.out << "no point fits in memory\n";
  return kExitDone;
}

}  // namespace

void AddPlanCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("plan", "Days, dollars and energy of a whole run at every point, cheapest first");
  auto options = std::make_shared<CommonOptions>();
  sub->add_option("scenario", options->scenario, "Scenario file with training.tokens")->required()->type_name("SCENARIO");
  AddCommonOptions(*sub, *options);
  sub->callback([options, &command] { command.exit_code = Run(*options, command); });
}

}  // namespace simulate
