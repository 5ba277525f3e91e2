#include "sim/study/page_parts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <iterator>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/output/format.h"

namespace simulate {

std::string TableOf(const std::string& file) { return std::filesystem::path(file).stem().string(); }

std::string EscapeCell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

std::string ErrorTable(const std::string& name, const std::vector<CheckedPoint>& points, const ClassOf& class_of) {
  std::string out = absl::StrCat("| ", name, " | points | mean | median | 90th percentile | bias | worst | outside tolerance |\n",
                                 "|---|---:|---:|---:|---:|---:|---:|---:|\n");
  for (const ErrorSummary& s : Summarise(points, class_of)) {
    absl::StrAppend(&out, "| ", EscapeCell(s.name.empty() ? "(none)" : s.name), " | ", s.points, " | ", ShowPercent(s.mean), " | ",
                    ShowPercent(s.median), " | ");
    absl::StrAppend(&out, ShowPercent(s.p90), " | ", ShowSignedPercent(s.bias), " | ", ShowSignedPercent(s.worst), " | ",
                    s.short_of, " |\n");
  }
  return out + "\n";
}

std::string WorstTable(std::vector<CheckedPoint> points, size_t count, const ClassOf& why) {
  std::erase_if(points, [](const CheckedPoint& p) { return p.missing; });
  std::stable_sort(points.begin(), points.end(), [](const CheckedPoint& a, const CheckedPoint& b) {
    return std::fabs(a.deviation()) > std::fabs(b.deviation());
  });
  const bool time = points.empty() || MeasureOf(points.front().metric) == Measure::kTime;
  std::string out = absl::StrCat("| run | error", time ? " of the time" : "", " | layout | accelerator | ", time ? "bound by" : "of",
                                 why ? " | suspected cause |\n" : " |\n", "|---|---:|---|---|---|", why ? "---|\n" : "\n");
  for (size_t i = 0; i < std::min(count, points.size()); ++i) {
    const CheckedPoint& p = points[i];
    absl::StrAppend(&out, "| ", TableOf(p.file), ": ", EscapeCell(p.id), " | ", ShowSignedPercent(p.deviation()), " | ", p.parallelism,
                    " | ");
    absl::StrAppend(&out, p.accelerator, " | ", time ? Name(p.bound) : p.metric, why ? absl::StrCat(" | ", EscapeCell(why(p))) : "", " |\n");
  }
  return out + "\n";
}

namespace {

constexpr double kSize = 640.0;
constexpr double kMargin = 60.0;
constexpr std::array<const char*, 10> kColours = {"#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951",
                                                  "#ff8ab7", "#a463f2", "#97bbf5", "#9c6b4e", "#9498a0"};

// Powers of ten that hold all points.
struct Decades {
  double from = 0.0, to = 1.0;
  explicit Decades(const std::vector<CheckedPoint>& points) {
    double low = 1e300, high = 0.0;
    for (const CheckedPoint& p : points) {
      low = std::min({low, p.expected, p.predicted});
      high = std::max({high, p.expected, p.predicted});
    }
    if (points.empty()) return;
    from = std::floor(std::log10(low));
    to = std::max(from + 1.0, std::ceil(std::log10(high)));
  }
  [[nodiscard]] double Place(double value) const { return (std::log10(value) - from) / (to - from) * (kSize - 2 * kMargin); }
  [[nodiscard]] double x(double value) const { return kMargin + Place(value); }
  [[nodiscard]] double y(double value) const { return kSize - kMargin - Place(value); }
};

std::string Axes(const Decades& d, const Scatter& scatter) {
  std::string svg;
  for (int e = static_cast<int>(d.from); e <= static_cast<int>(d.to); ++e) {
    const double tick = std::pow(10.0, e);
    const std::string label = scatter.show(tick);
    svg += absl::StrFormat("<path d=\"M%.1f %.1fV%.1fM%.1f %.1fH%.1f\" stroke=\"#ddd\" fill=\"none\"/>\n", d.x(tick), kMargin,
                           kSize - kMargin, kMargin, d.y(tick), kSize - kMargin);
    svg += absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n", d.x(tick), kSize - kMargin + 18, label);
    svg += absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", kMargin - 4, d.y(tick) + 4, label);
  }
  svg += absl::StrFormat("<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"#333\"/>\n", kMargin, kSize - kMargin, kSize - kMargin, kMargin);
  svg += absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">measured or published %s</text>\n", kSize / 2,
                         kSize - 16, scatter.axis);
  svg += absl::StrFormat("<text transform=\"translate(14 %.1f) rotate(-90)\" text-anchor=\"middle\">predicted</text>\n", kSize / 2);
  return svg;
}

}  // namespace

std::string RenderScatter(const std::vector<CheckedPoint>& all, const Scatter& scatter) {
  std::vector<CheckedPoint> points;
  for (const CheckedPoint& p : all) {
    if (!p.missing && p.expected > 0.0 && p.predicted > 0.0) points.push_back(p);
  }
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" font-family=\"sans-serif\" font-size=\"13\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", kSize + 220.0, kSize);
  if (points.empty()) return svg + "</svg>\n";
  const Decades d(points);
  svg += Axes(d, scatter);
  std::map<std::string, size_t> colour;
  for (const CheckedPoint& p : points) colour.try_emplace(scatter.colour(p), 0);
  size_t next = 0;
  for (auto& [name, index] : colour) {
    index = next++ % kColours.size();
    const double at = kMargin + 22.0 * static_cast<double>(next);
    svg += absl::StrFormat("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" fill=\"%s\"/><text x=\"%.1f\" y=\"%.1f\">%s</text>\n", kSize - 30,
                           at - 4, kColours[index], kSize - 18, at, name);
  }
  for (const CheckedPoint& p : points) {
    svg += absl::StrFormat("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\" fill-opacity=\"0.6\"/>\n", d.x(p.expected),
                           d.y(p.predicted), kColours[colour[scatter.colour(p)]]);
  }
  return svg + "</svg>\n";
}

std::string RenderTimeScatter(const std::vector<CheckedPoint>& points) {
  std::vector<CheckedPoint> seconds;
  std::copy_if(points.begin(), points.end(), std::back_inserter(seconds), [](const CheckedPoint& p) { return p.metric == "step_time_s"; });
  return RenderScatter(seconds, {"step time", [](double s) { return ShowTime(Seconds(s)); }, [](const CheckedPoint& p) { return p.accelerator; }});
}

}  // namespace simulate
