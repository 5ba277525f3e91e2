#include "sim/study/accuracy_page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/output/format.h"
#include "sim/study/page_parts.h"

namespace simulate {
namespace {

std::string Overall(const CheckResult& result) {
  std::string out;
  const auto times = Summarise(PointsOf(result, Measure::kTime), [](const CheckedPoint&) { return "all"; });
  const auto memory = Summarise(PointsOf(result, Measure::kMemory), [](const CheckedPoint&) { return "all"; });
  if (!times.empty()) {
    absl::StrAppend(&out, "Step time over ", times[0].points, " runs: mean absolute error **", ShowPercent(times[0].mean),
                    "**, median **", ShowPercent(times[0].median), "**, bias ", ShowSignedPercent(times[0].bias), ".\n");
  }
  if (!memory.empty()) {
    absl::StrAppend(&out, "Peak memory over ", memory[0].points, " figures: mean ", ShowPercent(memory[0].mean), ", median ",
                    ShowPercent(memory[0].median), ".\n");
  }
  return out + "\n";
}

// What other simulators claim on the very rows that a table here holds.
struct Peer {
  const char* table;
  Measure measure;
  const char* claim;
  const char* source;
};
constexpr std::array<Peer, 5> kPeers = {{
    {"vtrain_single", Measure::kTime, "8.37 %", "vTrain (Bang et al., MICRO 2024), MAPE on these rows"},
    {"vtrain_multi", Measure::kTime, "14.73 %", "vTrain (Bang et al., MICRO 2024), MAPE on these rows"},
    {"korthikanti2022", Measure::kTime, "3.65 %", "Calculon (Isaev et al., SC 2023), mean on its selection of these rows"},
    {"simumax", Measure::kTime, "5.62 %", "SimuMax v1.2, its B200 release notes"},
    {"simumax", Measure::kMemory, "0.46 %", "SimuMax v1.2, its B200 release notes"},
}};

std::string Peers(const CheckResult& result) {
  std::string out = "| table | of | their mean error | ours | source |\n|---|---|---:|---:|---|\n";
  for (const Peer& peer : kPeers) {
    std::vector<CheckedPoint> same;
    for (const CheckedPoint& p : PointsOf(result, peer.measure)) {
      if (TableOf(p.file) == peer.table) same.push_back(p);
    }
    if (same.empty()) continue;
    const auto ours = Summarise(same, [](const CheckedPoint&) { return ""; });
    absl::StrAppend(&out, "| ", peer.table, " | ", peer.measure == Measure::kTime ? "time" : "memory", " | ", peer.claim, " | ",
                    ShowPercent(ours[0].mean), " | ", peer.source, " |\n");
  }
  return out + "\n";
}

std::string Coverage(const CheckResult& result) {
  std::map<std::string, size_t> runs;
  std::map<std::string, std::map<std::string, size_t>> excluded;
  for (const CheckedPoint& p : result.points) ++runs[TableOf(p.file)];
  for (const ExcludedPoint& e : result.excluded) {
    ++excluded[TableOf(e.file)][e.reason];
    runs.try_emplace(TableOf(e.file), 0);
  }
  std::string out = "| table | points compared | rows excluded, and why |\n|---|---:|---|\n";
  for (const auto& [table, points] : runs) {
    std::string reasons;
    for (const auto& [reason, count] : excluded[table]) absl::StrAppend(&reasons, reasons.empty() ? "" : "; ", count, ": ", EscapeCell(reason));
    absl::StrAppend(&out, "| ", table, " | ", points, " | ", reasons, " |\n");
  }
  return out + "\n";
}

// Tables whose error says that physics is missing, and which.
std::string Unexplained(const std::vector<CheckedPoint>& times, const std::vector<Suspect>& suspects) {
  constexpr double kTooMuch = 0.12;
  std::string out;
  for (const ErrorSummary& s : Summarise(times, [](const CheckedPoint& p) { return TableOf(p.file); })) {
    if (s.mean <= kTooMuch) continue;
    CheckedPoint whole;
    whole.file = s.name;
    whole.metric = "step_time_s";
    absl::StrAppend(&out, "| ", s.name, " | ", ShowPercent(s.mean), " | ", EscapeCell(CauseOf(whole, suspects)), " |\n");
  }
  if (out.empty()) return "";
  return "## Tables above 12 %\n\n| table | mean error of time | suspected missing physics |\n|---|---:|---|\n" + out + "\n";
}

// vtrain_single calls itself measured, and is what vTrain's predictor composes (the table's head says how one knows): half of
// all rows, so the others are also summed up by themselves.
std::string MeasuredAlone(const std::vector<CheckedPoint>& times) {
  constexpr const char* kComposed = "vtrain_single";
  std::vector<CheckedPoint> measured;
  for (const CheckedPoint& p : times) {
    if (TableOf(p.file) != kComposed) measured.push_back(p);
  }
  if (measured.empty() || measured.size() == times.size()) return "";
  const ErrorSummary s = Summarise(measured, [](const CheckedPoint&) { return ""; })[0];
  return absl::StrCat("Without ", kComposed, ", whose times its source composed rather than measured: ", s.points,
                      " step times, mean absolute error **", ShowPercent(s.mean), "**, median **", ShowPercent(s.median), "**, bias ",
                      ShowSignedPercent(s.bias), ".\n\n");
}

}  // namespace

std::string RenderAccuracyPage(const CheckResult& result, const std::string& picture, const std::vector<Suspect>& suspects) {
  const std::vector<CheckedPoint> times = PointsOf(result, Measure::kTime);
  const std::vector<CheckedPoint> memory = PointsOf(result, Measure::kMemory);
  const ClassOf table = [](const CheckedPoint& p) { return TableOf(p.file); };
  std::string out =
      "# Accuracy\n\n"
      "Written by `simulate check scenarios/validation --page docs/ACCURACY.md`; do not edit. Every row is a published or\n"
      "measured run whose configuration its source states well enough, predicted without any constant of its own. Errors are\n"
      "of the step time (a published rate counts as the time it implies), predicted over measured, less one.\n\n";
  out += Overall(result) + MeasuredAlone(times) + "![predicted over measured step time](" + picture + ")\n\n";
  out += "## Step time by table\n\n" + ErrorTable("table", times, table);
  out += "## By source\n\n" + ErrorTable("source", times, [](const CheckedPoint& p) { return p.source; });
  out += "## By parallelism\n\n" + ErrorTable("layout", times, [](const CheckedPoint& p) { return p.parallelism; });
  out += "## By accelerator\n\n" + ErrorTable("accelerator", times, [](const CheckedPoint& p) { return p.accelerator; });
  out += "## By what bounds the run\n\n" + ErrorTable("bound by", times, [](const CheckedPoint& p) { return Name(p.bound); });
  if (!memory.empty()) out += "## Peak memory by table\n\n" + ErrorTable("table", memory, table);
  const std::vector<CheckedPoint> outcomes = PointsOf(result, Measure::kOutcome);
  if (!outcomes.empty()) {
    const auto s = Summarise(outcomes, [](const CheckedPoint&) { return ""; });
    out += absl::StrFormat("## Does it fit?\n\nOf %d published outcomes (ran, or ran out of memory) %.1f %% are predicted.\n\n",
                           s[0].points, (1.0 - s[0].mean) * 100.0);
  }
  out += "## Other simulators on the same rows\n\n" + Peers(result);
  out += "## The worst rows\n\n" + WorstTable(times, 10, [&](const CheckedPoint& p) { return CauseOf(p, suspects); });
  out += Unexplained(times, suspects);
  return out + "## Coverage\n\n" + Coverage(result);
}

}  // namespace simulate
