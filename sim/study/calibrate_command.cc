#include "sim/study/calibrate_command.h"

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/study/calibrate.h"
#include "sim/study/nccl_calibration.h"
#include "sim/study/write_calibration.h"
#include "sim/study/write_file.h"

namespace simulate {
namespace {

struct Options {
  std::string measurements, accelerator, output;
  bool check = false, markdown = false;
};

std::optional<std::string> ReadFile(const std::string& path, Diagnostics& diagnostics) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (in && !text.str().empty()) return text.str();
  diagnostics.Error(absl::StrCat("cannot read `", path, "`"));
  return std::nullopt;
}

std::string Table(const std::vector<FitError>& errors, bool markdown) {
  std::string out = markdown ? "| class | series | rows | mean | bias | worst | where |\n|---|---|---:|---:|---:|---:|---|\n"
                             : absl::StrFormat("%-44s %-11s %5s %7s %7s %7s  %s\n", "class", "series", "rows", "mean", "bias", "worst", "where");
  for (const FitError& e : errors) {
    const std::string mean = absl::StrFormat("%.1f %%", 100 * e.mean), bias = absl::StrFormat("%+.1f %%", 100 * e.bias),
                      worst = absl::StrFormat("%+.1f %%", 100 * e.worst);
    absl::StrAppend(&out, markdown ? absl::StrFormat("| %s | %s | %d | %s | %s | %s | %s |\n", e.kind, e.series, e.rows, mean, bias, worst, e.worst_row)
                                   : absl::StrFormat("%-44s %-11s %5d %7s %7s %7s  %s\n", e.kind, e.series, e.rows, mean, bias, worst, e.worst_row));
  }
  return out;
}

// Rows of number formats that the accelerator lacks.
void DropUnsupported(const AcceleratorSpec& accelerator, MeasurementSet& set) {
  std::erase_if(set.rows, [&](const Measurement& m) {
    return std::any_of(m.works.begin(), m.works.end(), [&](const KernelWork& w) {
      return w.kind != KernelKind::kMemory && accelerator.Peak(w.dtype).value() == 0;
    });
  });
}

int Run(const Options& options, Command& command) {
  Diagnostics diagnostics;
  if (options.measurements.empty()) {
    diagnostics.Error("which measurements?").help.emplace_back("name a file that tools/calibrate/measure.py wrote, or --nccl-tests FILE");
  }
  if (options.accelerator.empty()) diagnostics.Error("which accelerator?").help.emplace_back("--accelerator NAME, for example h100-sxm");
  if (diagnostics.HasErrors()) {
    command.err << diagnostics.Render();
    return kExitBadInput;
  }
  std::optional<std::string> text = ReadFile(options.measurements, diagnostics);
  std::optional<MeasurementSet> set;
  if (text) set = ParseMeasurements(*text, options.measurements, diagnostics);
  const std::optional<AcceleratorSpec> start = LoadAccelerator(options.accelerator, command.search, diagnostics);
  if (!set || !start) {
    command.err << diagnostics.Render();
    return kExitBadInput;
  }
  DropUnsupported(*start, *set);
  const CalibrationFit fit = options.check ? CalibrationFit{*start, EstimateOverheads(*set, *start)} : FitCalibration(*set, *start);
  command.out << Table(FitErrors(*set, fit), options.markdown);
  if (options.output.empty()) return kExitDone;
  const std::optional<std::string> old = ReadFile(options.output, diagnostics);
  if (!old) {
    diagnostics.Error(absl::StrCat("`", options.output, "` must be an accelerator file, whose datasheet is kept"));
    command.err << diagnostics.Render();
    return kExitBadInput;
  }
  if (!WriteFile(options.output, [&](std::ostream& out) { out << WithCalibration(*old, fit.accelerator); }, diagnostics)) {
    command.err << diagnostics.Render();
    return kExitBadInput;
  }
  command.err << "wrote the constants into " << options.output << "\n";
  return kExitDone;
}

}  // namespace

void AddCalibrateCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("calibrate", "Fit an accelerator's constants to measurements of it");
  auto options = std::make_shared<Options>();
  sub->add_option("measurements", options->measurements, "JSON file that tools/calibrate/measure.py wrote")->type_name("FILE");
  sub->add_option("--accelerator", options->accelerator, "accelerator to start from: its datasheet stays");
  sub->add_option("--output", options->output, "accelerator file whose constants are replaced")->type_name("FILE");
  sub->add_flag("--check", options->check, "fit nothing: how well do the accelerator's own constants do");
  sub->add_flag("--markdown", options->markdown, "print the table as Markdown");
  auto links = std::make_shared<NcclCalibrationOptions>();
  sub->add_option("--nccl-tests", links->file, "fit a cluster's links to this raw output of nccl-tests or nccom-test instead")->type_name("FILE");
  sub->add_option("--hardware", links->hardware, "with --nccl-tests: the cluster to start from")->type_name("HARDWARE");
  sub->add_option("--op", links->op, "with --nccl-tests: the operation, where the output does not say");
  sub->add_option("--gpus", links->gpus, "with --nccl-tests: accelerators, where the output does not say")
      ->check(CLI::Range(1, 10'000'000));
  sub->callback([options, links, &command] {
    command.exit_code = links->file.empty() ? Run(*options, command) : RunNcclCalibration(*links, command);
  });
}

}  // namespace simulate
