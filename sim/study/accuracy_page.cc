#include "sim/study/accuracy_page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/output/format.h"

namespace simulate {
namespace {

using ClassOf = std::function<std::string(const CheckedPoint&)>;

std::string Stem(const std::string& file) { return std::filesystem::path(file).stem().string(); }

std::string Escape(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

std::string Table(const std::string& name, const std::vector<CheckedPoint>& points, const ClassOf& class_of) {
  std::string out = absl::StrCat("| ", name, " | points | mean | median | 90th percentile | bias | worst | outside tolerance |\n",
                                 "|---|---:|---:|---:|---:|---:|---:|---:|\n");
  for (const ErrorSummary& s : Summarise(points, class_of)) {
    absl::StrAppend(&out, "| ", Escape(s.name.empty() ? "(none)" : s.name), " | ", s.points, " | ", ShowPercent(s.mean), " | ",
                    ShowPercent(s.median), " | ");
    absl::StrAppend(&out, ShowPercent(s.p90), " | ", ShowSignedPercent(s.bias), " | ", ShowSignedPercent(s.worst), " | ",
                    s.short_of, " |\n");
  }
  return out + "\n";
}

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
      if (Stem(p.file) == peer.table) same.push_back(p);
    }
    if (same.empty()) continue;
    const auto ours = Summarise(same, [](const CheckedPoint&) { return ""; });
    absl::StrAppend(&out, "| ", peer.table, " | ", peer.measure == Measure::kTime ? "time" : "memory", " | ", peer.claim, " | ",
                    ShowPercent(ours[0].mean), " | ", peer.source, " |\n");
  }
  return out + "\n";
}

std::string Worst(const CheckResult& result, size_t count) {
  std::vector<CheckedPoint> points = PointsOf(result, Measure::kTime);
  std::stable_sort(points.begin(), points.end(), [](const CheckedPoint& a, const CheckedPoint& b) {
    return std::fabs(a.deviation()) > std::fabs(b.deviation());
  });
  std::string out = "| run | error of the time | layout | accelerator | bound by |\n|---|---:|---|---|---|\n";
  for (size_t i = 0; i < std::min(count, points.size()); ++i) {
    const CheckedPoint& p = points[i];
    absl::StrAppend(&out, "| ", Stem(p.file), ": ", Escape(p.id), " | ", ShowSignedPercent(p.deviation()), " | ", p.parallelism,
                    " | ", p.accelerator, " | ", Name(p.bound), " |\n");
  }
  return out + "\n";
}

std::string Coverage(const CheckResult& result) {
  std::map<std::string, size_t> runs;
  std::map<std::string, std::map<std::string, size_t>> excluded;
  for (const CheckedPoint& p : result.points) ++runs[Stem(p.file)];
  for (const ExcludedPoint& e : result.excluded) {
    ++excluded[Stem(e.file)][e.reason];
    runs.try_emplace(Stem(e.file), 0);
  }
  std::string out = "| table | points compared | rows excluded, and why |\n|---|---:|---|\n";
  for (const auto& [table, points] : runs) {
    std::string reasons;
    for (const auto& [reason, count] : excluded[table]) absl::StrAppend(&reasons, reasons.empty() ? "" : "; ", count, ": ", Escape(reason));
    absl::StrAppend(&out, "| ", table, " | ", points, " | ", reasons, " |\n");
  }
  return out + "\n";
}

}  // namespace

std::string RenderAccuracyPage(const CheckResult& result, const std::string& picture) {
  const std::vector<CheckedPoint> times = PointsOf(result, Measure::kTime);
  const std::vector<CheckedPoint> memory = PointsOf(result, Measure::kMemory);
  const ClassOf table = [](const CheckedPoint& p) { return Stem(p.file); };
  std::string out =
      "# Accuracy\n\n"
      "Written by `simulate check scenarios/validation --page docs/ACCURACY.md`; do not edit. Every row is a published or\n"
      "measured run whose configuration its source states well enough, predicted without any constant of its own. Errors are\n"
      "of the step time (a published rate counts as the time it implies), predicted over measured, less one.\n\n";
  out += Overall(result) + "![predicted over measured step time](" + picture + ")\n\n";
  out += "## Step time by table\n\n" + Table("table", times, table);
  out += "## By source\n\n" + Table("source", times, [](const CheckedPoint& p) { return p.source; });
  out += "## By parallelism\n\n" + Table("layout", times, [](const CheckedPoint& p) { return p.parallelism; });
  out += "## By accelerator\n\n" + Table("accelerator", times, [](const CheckedPoint& p) { return p.accelerator; });
  out += "## By what bounds the run\n\n" + Table("bound by", times, [](const CheckedPoint& p) { return Name(p.bound); });
  if (!memory.empty()) out += "## Peak memory by table\n\n" + Table("table", memory, table);
  const std::vector<CheckedPoint> outcomes = PointsOf(result, Measure::kOutcome);
  if (!outcomes.empty()) {
    const auto s = Summarise(outcomes, [](const CheckedPoint&) { return ""; });
    out += absl::StrFormat("## Does it fit?\n\nOf %d published outcomes (ran, or ran out of memory) %.1f %% are predicted.\n\n",
                           s[0].points, (1.0 - s[0].mean) * 100.0);
  }
  out += "## Other simulators on the same rows\n\n" + Peers(result);
  out += "## The worst rows\n\n" + Worst(result, 10);
  return out + "## Coverage\n\n" + Coverage(result);
}

std::string RenderScatter(const CheckResult& result) {
  constexpr double kSize = 640.0;
  constexpr double kMargin = 60.0;
  constexpr std::array<const char*, 8> kColours = {"#4269d0", "#efb118", "#ff725c", "#6cc5b0",
                                                   "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5"};
  std::vector<CheckedPoint> points;
  double low = 1e300;
  double high = 0.0;
  for (const CheckedPoint& p : PointsOf(result, Measure::kTime)) {
    if (p.missing || p.metric != "step_time_s" || p.expected <= 0.0 || p.predicted <= 0.0) continue;
    low = std::min({low, p.expected, p.predicted});
    high = std::max({high, p.expected, p.predicted});
    points.push_back(p);
  }
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"13\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", kSize + 220.0, kSize);
  if (points.empty()) return svg + "</svg>\n";
  const double from = std::floor(std::log10(low));
  const double to = std::ceil(std::log10(high));
  const double span = std::max(1.0, to - from);
  const auto place = [&](double value) { return (std::log10(value) - from) / span * (kSize - 2 * kMargin); };
  const auto x = [&](double value) { return kMargin + place(value); };
  const auto y = [&](double value) { return kSize - kMargin - place(value); };
  for (int e = static_cast<int>(from); e <= static_cast<int>(to); ++e) {
    const double tick = std::pow(10.0, e);
    const std::string label = ShowTime(Seconds(tick));
    svg += absl::StrFormat("<path d=\"M%.1f %.1fV%.1fM%.1f %.1fH%.1f\" stroke=\"#ddd\" fill=\"none\"/>\n", x(tick), kMargin,
                           kSize - kMargin, kMargin, y(tick), kSize - kMargin);
    svg += absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", x(tick), kSize - kMargin + 18, label);
    svg += absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", kMargin - 4, y(tick) + 4, label);
  }
  svg += absl::StrFormat("<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"#333\"/>\n", kMargin, kSize - kMargin, kSize - kMargin, kMargin);
  svg += absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">measured or published step time</text>\n", kSize / 2, kSize - 16);
  svg += absl::StrFormat("<text transform=\"translate(14 %.1f) rotate(-90)\" text-anchor=\"middle\">predicted</text>\n", kSize / 2);
  std::map<std::string, size_t> colour;
  for (const CheckedPoint& p : points) colour.try_emplace(p.accelerator, 0);
  size_t next = 0;
  for (auto& [name, index] : colour) {
    index = next++ % kColours.size();
    const double at = kMargin + 22.0 * static_cast<double>(next);
    svg += absl::StrFormat("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/><text x=\"%.1f\" y=\"%.1f\">%s</text>\n", kSize - 30,
                           at - 4, kColours[index], kSize - 18, at, name);
  }
  for (const CheckedPoint& p : points) {
    svg += absl::StrFormat("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\" fill-opacity=\"0.6\"/>\n", x(p.expected), y(p.predicted),
                           kColours[colour[p.accelerator]]);
  }
  return svg + "</svg>\n";
}

}  // namespace simulate
