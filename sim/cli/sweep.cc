#include "sim/cli/sweep.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "sim/cli/interrupt.h"
#include "sim/cli/terminal.h"

namespace simulate {
namespace {

using Reports = std::vector<std::optional<Report>>;

size_t CountFinished(const Reports& reports) {
  return static_cast<size_t>(std::count_if(reports.begin(), reports.end(), [](const auto& r) { return r.has_value(); }));
}

// Where an interrupted sweep that was not told a file keeps its points: beside the user, not beside the scenario.
std::string DefaultFile(const Study& study) {
  const std::string stem = std::filesystem::path(study.file).stem().string();
  return absl::StrCat(stem.empty() ? "sweep" : stem, ".resume");
}

// Says what is kept where. `path` is empty: nothing could be kept.
void SayInterrupted(size_t finished, size_t all, const std::string& path, std::ostream& err) {
  err << "interrupted: " << finished << " of " << all << " points are finished";
  if (path.empty() || finished == 0) {
    err << "\n";
    return;
  }
  err << " and kept in `" << path << "`\nhelp: the same command with --resume " << path << " goes on from there\n";
}

void KeepUntold(const Study& study, const SweepOptions& options, const Reports& reports, Command& command) {
  const std::string path = DefaultFile(study);
  Diagnostics diagnostics;
  Reports there(reports.size());
  ResumeFile file(path, SweepIdentity(study, options.set, options.simulation.exact));
  bool kept = CountFinished(reports) > 0 && file.Open(&there, diagnostics);
  for (size_t i = 0; i < reports.size() && kept; ++i) {
    if (reports[i] && !there[i]) kept = file.Append(i, *reports[i]);
  }
  SayInterrupted(CountFinished(reports), reports.size(), kept ? path : "", command.err);
  command.err << diagnostics.Render();
}

}  // namespace

std::optional<SweepResult> RunSweep(const Study& study, const SweepOptions& options, Command& command) {
  const size_t all = study.points.size();
  Reports reports(all);
  SweepResult result;
  if (!options.resume.empty()) {
    result.file = std::make_unique<ResumeFile>(options.resume, SweepIdentity(study, options.set, options.simulation.exact));
    Diagnostics diagnostics;
    if (!result.file->Open(&reports, diagnostics)) {
      command.err << diagnostics.Render();
      command.exit_code = kExitBadInput;
      return std::nullopt;
    }
  }
  const size_t before = CountFinished(reports);
  if (before > 0 && !options.quiet) command.err << "resumed: " << before << " of " << all << " points were finished before\n";
  bool whole = false;
  {
    // One point has nothing to keep: a signal ends it at once.
    const auto gently = all > 1 ? std::make_unique<StopOnInterrupt>() : nullptr;
    Progress progress(command.err, command.err_is_terminal && !options.quiet, "point", before);
    size_t done = before;
    bool said = false;
    SweepCallbacks callbacks;
    callbacks.stop = [&] { return gently != nullptr && StopOnInterrupt::Asked(); };
    callbacks.finished = [&](size_t point, const Report& report) {
      if (result.file && !result.file->Append(point, report) && !said) {
        command.err << "warning: cannot write `" << options.resume << "`: " << result.file->failure()
                    << "; the sweep goes on without it\n";
        said = true;
      }
      progress.Update(++done, all);
    };
    whole = SimulateMissing(study.points, options.simulation, options.threads, callbacks, &reports);
  }
  if (!whole) {
    command.exit_code = StopOnInterrupt::ExitCode();
    if (!result.file) {
      KeepUntold(study, options, reports, command);
    } else {
      SayInterrupted(CountFinished(reports), all, result.file->failure().empty() ? options.resume : "", command.err);
    }
    return std::nullopt;
  }
  for (std::optional<Report>& report : reports) result.reports.push_back(std::move(*report));
  return result;
}

}  // namespace simulate
