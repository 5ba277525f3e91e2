#include "sim/output/text.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "sim/output/chart.h"
#include "sim/output/format.h"
#include "sim/output/memory_text.h"
#include "sim/output/table.h"
#include "sim/report/explain.h"

namespace simulate {
namespace {

std::string LastPart(const std::string& key) {
  const size_t dot = key.rfind('.');
  return dot == std::string::npos ? key : key.substr(dot + 1);
}

std::vector<std::string> SweptKeys(const std::vector<Report>& reports) {
  std::vector<std::string> keys;
  for (const Report& r : reports) {
    for (const auto& [key, value] : r.settings) {
      if (key != kGpusKey && std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  return keys;
}

std::string SettingOf(const Report& r, const std::string& key) {
  for (const auto& [name, value] : r.settings) {
    if (name == key) return value;
  }
  return "";
}

// A reference value in the unit of the column that it belongs beside.
std::string ShowReference(const std::string& metric, double value) {
  if (metric == "step_time_s") return ShowTime(Seconds(value));
  if (metric.find("_bytes") != std::string::npos) return ShowSize(RoundBytes(value));
  if (metric == "mfu" || metric == "hfu") return ShowPercent(value);
  return ShowNumber(value, 4);
}

std::string ShortMetric(const std::string& metric) {
  if (metric == "tflops_per_gpu") return "TFLOPS";
  if (metric == "hardware_tflops_per_gpu") return "hw TFLOPS";
  if (metric == "step_time_s") return "step";
  if (metric == "tokens_per_s_per_gpu") return "tokens/s/GPU";
  if (metric == "tokens_per_s") return "tokens/s";
  if (metric == "peak_allocated_bytes") return "allocated";
  if (metric == "peak_active_bytes") return "active";
  if (metric == "peak_reserved_bytes") return "reserved";
  return metric;
}

// Every reference point of the run in one cell each.
std::pair<Cell, Cell> ReferenceCells(const Report& r) {
  std::vector<std::string> values;
  std::vector<std::string> errors;
  bool missed = false;
  for (const ReferenceResult& result : r.reference) {
    values.push_back(absl::StrCat(ShowReference(result.metric, result.value), " ", ShortMetric(result.metric)));
    errors.push_back(result.missing ? "no value" : ShowSignedPercent(result.error));
    missed = missed || result.missing || (result.tolerance > 0.0 && std::fabs(result.error) > result.tolerance);
  }
  return {Cell(absl::StrJoin(values, "; ")), Cell(absl::StrJoin(errors, "; "), missed ? Tone::kBad : Tone::kGood)};
}

std::vector<Cell> Row(const Report& r, const std::vector<std::string>& keys) {
  std::vector<Cell> row;
  for (const std::string& key : keys) row.emplace_back(SettingOf(r, key));
  row.emplace_back(absl::StrCat(r.gpus));
  if (r.out_of_memory) {
    row.emplace_back("out of memory", Tone::kBad);
    for (int i = 0; i < 6; ++i) row.emplace_back("-", Tone::kFaint);
  } else {
    row.emplace_back(ShowTime(r.step_time));
    row.emplace_back(absl::StrFormat("%.1f", r.tflops_per_gpu));
    row.emplace_back(absl::StrFormat("%.1f", r.hardware_tflops_per_gpu));
    row.emplace_back(ShowPercent(r.mfu));
    row.emplace_back(ShowPercent(r.hfu));
    row.emplace_back(ShowCount(r.tokens_per_s));
    row.emplace_back(ShowPercent(r.breakdown.exposed() / r.step_time));
  }
  row.emplace_back(ShowSize(r.memory.peak_allocated));
  row.emplace_back(ShowSize(r.memory.peak_reserved));
  auto [value, error] = ReferenceCells(r);
  row.push_back(value);
  row.push_back(error);
  return row;
}

std::string MainTable(const std::vector<Report>& reports, bool colour) {
  const std::vector<std::string> keys = SweptKeys(reports);
  std::vector<Column> columns;
  for (const std::string& key : keys) columns.push_back({LastPart(key), "", false});
  for (const auto& [name, unit] : std::initializer_list<std::pair<const char*, const char*>>{
           {"GPUs", ""}, {"step", ""}, {"TFLOPS/GPU", "model"}, {"TFLOPS/GPU", "hardware"}, {"MFU", ""}, {"HFU", ""},
           {"tokens/s", ""}, {"exposed", "comm"}, {"allocated", "peak"}, {"reserved", "peak"}, {"reference", ""},
           {"error", ""}}) {
    columns.push_back({name, unit, false});
  }
  std::vector<std::vector<Cell>> rows;
  for (const Report& r : reports) rows.push_back(Row(r, keys));
  return RenderTable(columns, rows, colour);
}

// The metric that the chart shows: the reference's if it is a rate, else TFLOPS.
bool ShowsHardware(const std::vector<Report>& reports) {
  return std::any_of(reports.begin(), reports.end(), [](const Report& r) {
    return std::any_of(r.reference.begin(), r.reference.end(),
                       [](const ReferenceResult& x) { return x.metric == "hardware_tflops_per_gpu"; });
  });
}

std::string CurveChart(const std::vector<Report>& reports, bool unicode) {
  const bool hardware = ShowsHardware(reports);
  const std::string metric = hardware ? "hardware_tflops_per_gpu" : "tflops_per_gpu";
  Chart chart;
  chart.title = hardware ? "hardware TFLOPS per GPU" : "model TFLOPS per GPU";
  chart.x_name = "GPUs";
  std::vector<int64_t> gpus;
  for (const Report& r : reports) gpus.push_back(r.gpus);
  std::sort(gpus.begin(), gpus.end());
  gpus.erase(std::unique(gpus.begin(), gpus.end()), gpus.end());
  for (const int64_t n : gpus) chart.categories.push_back(absl::StrCat(n));
  const double none = std::numeric_limits<double>::quiet_NaN();
  for (const Curve& curve : Curves(reports)) {
    std::vector<std::string> name;
    for (const auto& [key, value] : curve.fixed) name.push_back(absl::StrCat(LastPart(key), " ", value));
    Series line{absl::StrJoin(name, ", "), std::vector<double>(gpus.size(), none), false};
    Series held{"", std::vector<double>(gpus.size(), none), true};
    bool any = false;
    for (const size_t i : curve.points) {
      const auto at = static_cast<size_t>(std::lower_bound(gpus.begin(), gpus.end(), reports[i].gpus) - gpus.begin());
      if (!reports[i].out_of_memory) line.values[at] = hardware ? reports[i].hardware_tflops_per_gpu : reports[i].tflops_per_gpu;
      for (const ReferenceResult& r : reports[i].reference) {
        if (r.metric != metric) continue;
        held.values[at] = r.value;
        any = true;
      }
    }
    chart.series.push_back(line);
    if (any) chart.series.push_back(held);
  }
  return RenderChart(chart, unicode);
}

std::string SingleRun(const Report& r, bool colour) {
  if (r.out_of_memory) return "";
  std::vector<std::vector<Cell>> time;
  for (const Part& part : Parts(r)) {
    time.push_back({Cell(part.name), Cell(ShowTime(part.seconds)), Cell(ShowPercent(part.seconds / r.step_time))});
  }
  return RenderTable({{"where the time goes", "", true}, {"seconds", ""}, {"share", ""}}, time, colour);
}

constexpr size_t kPathRows = 8;

// What the step's length hangs on, and what a tenth less of each would save at most.
std::string PathTable(const Report& r, bool colour) {
  std::vector<std::vector<Cell>> rows;
  PathShare rest;
  size_t others = 0;
  const auto add = [&](const std::string& name, const std::string& over, const PathShare& s) {
    rows.push_back({Cell(name), Cell(over), Cell(absl::StrCat(s.count)), Cell(ShowTime(s.seconds)), Cell(ShowPercent(s.share)),
                    Cell(ShowTime(s.gain_of_ten_percent))});
  };
  for (const PathShare& s : ByOperator(r.path)) {
    if (rows.size() == kPathRows) {
      rest.seconds += s.seconds;
      rest.share += s.share;
      rest.count += s.count;
      rest.gain_of_ten_percent += s.gain_of_ten_percent;
      ++others;
      continue;
    }
    const std::string where = s.group.empty() || s.over.empty() ? s.group : absl::StrCat(s.group, ", ", s.over);
    add(s.kind == "host" ? "the host enqueues" : s.kind, where, s);
  }
  if (others > 0) add(absl::StrCat(others, " others"), "", rest);
  return RenderTable({{"critical path", "", true}, {"over", "", true}, {"times", ""}, {"seconds", ""}, {"share", ""},
                      {"10 % faster saves", ""}}, rows, colour);
}

std::string TrustLine(const std::vector<Report>& reports) {
  for (const Report& r : reports) {
    for (const TrustNote& note : r.trust) {
      if (note.share < 0.05) continue;
      return absl::StrFormat("Least certain: %s (%s, %s of the step).", note.what, Name(note.confidence), ShowPercent(note.share, 0));
    }
  }
  return "";
}

}  // namespace

std::string RenderText(const std::string& title, const std::string& source, const std::vector<Report>& reports,
                       const TextStyle& style) {
  std::string out;
  if (!style.quiet && !title.empty()) out += Paint(title, Tone::kBold, style.colour) + "\n\n";
  out += MainTable(reports, style.colour);
  if (style.quiet) return out;
  const std::string chart = CurveChart(reports, style.unicode);
  if (!chart.empty()) out += "\n" + chart;
  if (reports.size() == 1) {
    const std::string time = SingleRun(reports[0], style.colour);
    if (!time.empty()) out += "\n" + time;
    if (!reports[0].path.empty()) out += "\n" + PathTable(reports[0], style.colour);
    out += "\n" + RenderMemoryTable(reports[0], absl::StrCat("memory at the peak, rank ", reports[0].memory_rank), /*totals=*/false, style.colour);
  }
  out += "\n" + Explain(reports) + "\n";
  if (const Report* shown = Explained(reports); shown != nullptr && !shown->advice.empty()) out += shown->advice + "\n";
  const std::string trust = TrustLine(reports);
  if (!trust.empty()) out += trust + "\n";
  const bool compared = std::any_of(reports.begin(), reports.end(), [](const Report& r) { return !r.reference.empty(); });
  if (compared && !source.empty()) out += Paint("Reference: " + source, Tone::kFaint, style.colour) + "\n";
  return out;
}

}  // namespace simulate
