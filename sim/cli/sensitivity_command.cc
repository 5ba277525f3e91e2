#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/cli/common.h"
#include "sim/cli/study_commands.h"
#include "sim/cli/terminal.h"
#include "sim/output/csv.h"
#include "sim/output/format.h"
#include "sim/output/table.h"
#include "sim/study/predict.h"
#include "sim/study/tweak.h"

namespace simulate {
namespace {

struct Options : CommonOptions {
  double change = 0.1;
  bool csv = false;
};

std::string Bar(const Sensitivity& s, double largest) {
  const auto length = static_cast<size_t>(s.swing() / largest * 30.0 + 0.5);
  return std::string(std::max<size_t>(1, length), '#');
}

int Run(const Options& options, Command& command) {
  const std::optional<Study> study = ReadStudy(options.scenario, options.set, command);
  if (!study) return kExitBadInput;
  const Scenario& point = study->points.back();
  const Report base = Predict(point);
  if (base.out_of_memory) {
    command.out << "the run does not fit in memory, so it has no step time to move\n";
    return kExitDone;
  }
  Progress progress(command.err, command.err_is_terminal, "run");
  const std::vector<Sensitivity> all =
      Sensitivities(point, options.change, options.threads, [&](size_t done, size_t n) { progress.Update(done, n); });
  if (options.csv) {
    command.out << "quantity,less,more\n";
    for (const Sensitivity& s : all) command.out << s.name << "," << CsvNumber(s.less) << "," << CsvNumber(s.more) << "\n";
    return kExitDone;
  }
  std::vector<std::vector<Cell>> rows;
  for (const Sensitivity& s : all) {
    rows.push_back({Cell(s.name), Cell(ShowSignedPercent(s.less, 2)), Cell(ShowSignedPercent(s.more, 2)),
                    Cell(Bar(s, all.front().swing()))});
  }
  command.out << "step " << ShowTime(base.step_time) << "; each quantity by " << ShowPercent(options.change, 0)
              << " changes it by\n\n"
              << RenderTable({{"quantity", "", true}, {"less", ""}, {"more", ""}, {"", "", true}}, rows,
                             UseColour(options.color, command.out_is_terminal));
  return kExitDone;
}

}  // namespace

void AddSensitivityCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("sensitivity", "Which inputs and constants the (last) point's step time hangs on");
  auto options = std::make_shared<Options>();
  sub->add_option("scenario", options->scenario, "Scenario file")->required()->type_name("SCENARIO");
  AddCommonOptions(*sub, *options);
  sub->add_option("--change", options->change, "Relative change of each quantity")
      ->check(CLI::Range(0.0001, 0.9))
      ->capture_default_str()
      ->type_name("SHARE");
  sub->add_flag("--csv", options->csv, "Print comma-separated values");
  sub->callback([options, &command] { command.exit_code = Run(*options, command); });
}

}  // namespace simulate
