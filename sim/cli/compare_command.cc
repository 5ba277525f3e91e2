#include <algorithm>
#include <map>
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
#include "sim/report/explain.h"
#include "sim/study/simulate.h"

namespace simulate {
namespace {

struct Options : CommonOptions {
  std::vector<std::string> scenarios;
};

struct Side {
  std::string name;
  Report report;
};

Cell TimeCell(const Side& side, const std::string& text, bool best) {
  return side.report.out_of_memory ? Cell("out of memory", Tone::kBad) : Cell(text, best ? Tone::kGood : Tone::kPlain);
}

// A row per figure; the best of each row is marked.
std::vector<Cell> Row(const std::string& name, const std::vector<Side>& sides, const std::function<double(const Report&)>& value,
                      const std::function<std::string(const Report&)>& show, bool more_is_better) {
  std::vector<Cell> row = {Cell(name)};
  double best = 0.0;
  bool first = true;
  for (const Side& side : sides) {
    if (side.report.out_of_memory) continue;
    const double v = value(side.report);
    if (first || (more_is_better ? v > best : v < best)) best = v;
    first = false;
  }
  for (const Side& side : sides) row.push_back(TimeCell(side, show(side.report), value(side.report) == best));
  return row;
}

std::vector<std::vector<Cell>> Rows(const std::vector<Side>& sides) {
  std::vector<std::vector<Cell>> rows;
  rows.push_back(Row("GPUs", sides, [](const Report& r) { return static_cast<double>(r.gpus); },
                     [](const Report& r) { return absl::StrCat(r.gpus); }, false));
  rows.push_back(Row("step", sides, [](const Report& r) { return r.step_time.value(); },
                     [](const Report& r) { return ShowTime(r.step_time); }, false));
  rows.push_back(Row("tokens/s", sides, [](const Report& r) { return r.tokens_per_s; },
                     [](const Report& r) { return ShowCount(r.tokens_per_s); }, true));
  rows.push_back(Row("tokens/s/GPU", sides, [](const Report& r) { return r.tokens_per_s_per_gpu; },
                     [](const Report& r) { return ShowCount(r.tokens_per_s_per_gpu); }, true));
  rows.push_back(Row("MFU", sides, [](const Report& r) { return r.mfu; }, [](const Report& r) { return ShowPercent(r.mfu); }, true));
  rows.push_back(Row("peak allocated", sides, [](const Report& r) { return static_cast<double>(r.memory.peak_allocated.value()); },
                     [](const Report& r) { return ShowSize(r.memory.peak_allocated); }, false));
  std::vector<std::string> names;
  for (const Side& side : sides) {
    for (const Part& part : Parts(side.report)) {
      if (std::find(names.begin(), names.end(), part.name) == names.end()) names.push_back(part.name);
    }
  }
  for (const std::string& name : names) {
    const auto seconds = [name](const Report& r) {
      for (const Part& part : Parts(r)) {
        if (part.name == name) return part.seconds.value() / r.tokens;
      }
      return 0.0;
    };
    rows.push_back(Row(name, sides, seconds,
                       [seconds](const Report& r) { return ShowPercent(seconds(r) * r.tokens / r.step_time.value()); }, false));
  }
  return rows;
}

// Why the fastest per accelerator beats the slowest: parts in accelerator-seconds per token.
std::string Reason(const std::vector<Side>& sides) {
  const Side* fast = nullptr;
  const Side* slow = nullptr;
  for (const Side& side : sides) {
    if (side.report.out_of_memory) continue;
    if (fast == nullptr || side.report.tokens_per_s_per_gpu > fast->report.tokens_per_s_per_gpu) fast = &side;
    if (slow == nullptr || side.report.tokens_per_s_per_gpu < slow->report.tokens_per_s_per_gpu) slow = &side;
  }
  if (fast == nullptr || fast == slow) return "";
  const auto per_token = [](const Report& r, double seconds) { return seconds * static_cast<double>(r.gpus) / r.tokens; };
  std::map<std::string, double> saved;
  for (const Part& part : Parts(slow->report)) saved[part.name] += per_token(slow->report, part.seconds.value());
  for (const Part& part : Parts(fast->report)) saved[part.name] -= per_token(fast->report, part.seconds.value());
  const double all = per_token(slow->report, slow->report.step_time.value()) - per_token(fast->report, fast->report.step_time.value());
  std::vector<std::pair<double, std::string>> ranked;
  for (const auto& [name, seconds] : saved) ranked.emplace_back(-seconds, name);
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> reasons;
  for (const auto& [negative, name] : ranked) {
    if (-negative < 0.05 * all || reasons.size() == 3) break;
    reasons.push_back(absl::StrFormat("%s (%.0f %%)", name, -negative / all * 100.0));
  }
  return absl::StrFormat("%s does %.1f %% more per GPU and second than %s; of the time it saves per token: %s.\n", fast->name,
                         (fast->report.tokens_per_s_per_gpu / slow->report.tokens_per_s_per_gpu - 1.0) * 100.0, slow->name,
                         absl::StrJoin(reasons, ", "));
}

int Run(const Options& options, Command& command) {
  std::vector<Scenario> points;
  std::vector<Side> sides;
  for (const std::string& path : options.scenarios) {
    const std::optional<Study> study = ReadStudy(path, options.set, command);
    if (!study) return kExitBadInput;
    for (const Scenario& point : study->points) {
      std::vector<std::string> name = {path};
      for (const auto& [key, value] : point.settings) name.push_back(absl::StrCat(key, "=", value));
      sides.push_back({absl::StrJoin(name, " "), {}});
      points.push_back(point);
    }
  }
  if (points.size() > 8) {
    command.err << "error: " << points.size() << " points are too many to show side by side\n"
                << "help: pin some keys, for example --set cluster.gpus=64\n";
    return kExitBadInput;
  }
  std::vector<Report> reports = SimulateAll(points, {}, options.threads);
  for (size_t i = 0; i < reports.size(); ++i) sides[i].report = std::move(reports[i]);
  std::vector<Column> columns = {{"", "", true}};
  for (const Side& side : sides) columns.push_back({side.name, ""});
  command.out << RenderTable(columns, Rows(sides), UseColour(options.color, command.out_is_terminal));
  const std::string reason = Reason(sides);
  if (!reason.empty()) command.out << "\n" << reason;
  return kExitDone;
}

}  // namespace

void AddCompareCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("compare", "Scenarios side by side, and why the faster one is faster");
  auto options = std::make_shared<Options>();
  sub->add_option("scenarios", options->scenarios, "Scenario files")->required()->type_name("SCENARIO");
  AddCommonOptions(*sub, *options);
  sub->callback([options, &command] { command.exit_code = Run(*options, command); });
}

}  // namespace simulate
