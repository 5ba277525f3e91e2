#include "sim/report/explain.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace simulate {
namespace {

std::string ShowSeconds(double seconds) {
  const double s = std::fabs(seconds);
  if (s >= 1.0) return absl::StrFormat("%.2f s", seconds);
  if (s >= 1e-3) return absl::StrFormat("%.3g ms", seconds * 1e3);
  return absl::StrFormat("%.3g us", seconds * 1e6);
}

std::string ShowGb(Bytes bytes) { return absl::StrFormat("%.1f GB", static_cast<double>(bytes.value()) * 1e-9); }

std::string Spaced(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

std::string Show(const std::vector<Setting>& settings) {
  std::vector<std::string> shown;
  for (const auto& [key, value] : settings) {
    const size_t dot = key.rfind('.');
    shown.push_back(absl::StrCat(Spaced(dot == std::string::npos ? key : key.substr(dot + 1)), " ", value));
  }
  return absl::StrJoin(shown, ", ");
}

double PerGpu(const Report& r) { return r.tokens_per_s_per_gpu; }

// First and last point of the curve that fit in memory; equal when there are not two.
std::pair<size_t, size_t> Ends(const Curve& curve, const std::vector<Report>& reports) {
  std::vector<size_t> fit;
  for (const size_t i : curve.points) {
    if (!reports[i].out_of_memory) fit.push_back(i);
  }
  if (fit.empty()) return {0, 0};
  return {fit.front(), fit.back()};
}

std::string OutOfMemory(const Report& r) {
  if (!r.memory.out_of_memory) {
    return absl::StrFormat("%s on %d accelerators does not fit its hosts: a node would hold %s of the %s that it has.",
                           r.settings.empty() ? "The run" : Show(r.settings), r.gpus, ShowGb(r.host_memory), ShowGb(r.host_capacity));
  }
  const size_t worst = static_cast<size_t>(
      std::max_element(r.memory.at_peak.begin(), r.memory.at_peak.end()) - r.memory.at_peak.begin());
  return absl::StrFormat(
      "%s on %d accelerators does not fit: %s of %s were allocated when %s more were asked for %s; the largest part is "
      "%s (%s).",
      r.settings.empty() ? "The run" : Show(r.settings), r.gpus, ShowGb(r.memory.peak_allocated),
      ShowGb(r.memory_capacity), ShowGb(r.memory.requested), Spaced(Name(r.memory.failed_category)),
      Spaced(Name(static_cast<MemoryCategory>(worst))), ShowGb(r.memory.at_peak[worst]));
}

// What differs between two steps, by part, largest growth first.
std::vector<Part> Growth(const Report& a, const Report& b) {
  std::map<std::string, double> change;
  for (const Part& part : Parts(b)) change[part.name] += part.seconds.value();
  for (const Part& part : Parts(a)) change[part.name] -= part.seconds.value();
  std::vector<Part> grown;
  for (const auto& [name, seconds] : change) grown.push_back({name, Seconds(seconds)});
  std::stable_sort(grown.begin(), grown.end(), [](const Part& x, const Part& y) { return y.seconds < x.seconds; });
  return grown;
}

std::string ExplainCurve(const Curve& curve, const std::vector<Report>& reports) {
  const auto [first, last] = Ends(curve, reports);
  const Report& a = reports[first];
  const Report& b = reports[last];
  const double loss = 1.0 - PerGpu(b) / PerGpu(a);
  const double longer = b.step_time.value() - a.step_time.value();
  const std::string where = curve.fixed.empty() ? "" : absl::StrCat(" (", Show(curve.fixed), ")");
  std::string text = absl::StrFormat("From %d to %d accelerators%s each does %.1f %% %s a second", a.gpus, b.gpus, where,
                                     std::fabs(loss) * 100.0, loss >= 0 ? "less" : "more");
  if (std::fabs(longer) < 1e-3 * a.step_time.value()) return text + ": nothing bends this curve.";
  std::vector<std::string> causes;
  for (const Part& part : Growth(a, b)) {
    if (part.seconds.value() < 0.05 * std::fabs(longer) || causes.size() == 3) break;
    causes.push_back(absl::StrCat(part.name, " +", ShowSeconds(part.seconds.value())));
  }
  absl::StrAppend(&text, "; the step takes ", ShowSeconds(std::fabs(longer)), longer > 0 ? " longer" : " less");
  if (!causes.empty()) absl::StrAppend(&text, ": ", absl::StrJoin(causes, ", "));
  const double latency = b.communication.latency.value() - a.communication.latency.value();
  const double alone = b.communication.alone.value() - a.communication.alone.value();
  if (latency > 0.05 * std::fabs(longer)) {
    absl::StrAppend(&text, "; the latency of its ", b.communication.calls, " collectives grows by ", ShowSeconds(latency));
    if (alone > 0.0) absl::StrAppend(&text, " and their transfers by ", ShowSeconds(std::max(0.0, alone - latency)));
  }
  return text + ".";
}

std::string ExplainOne(const Report& r) {
  const std::vector<Part> parts = Parts(r);
  if (parts.empty()) return "";
  std::vector<std::string> shown;
  for (const Part& part : parts) {
    const double share = part.seconds.value() / r.step_time.value();
    if (share < 0.02 || shown.size() == 4) break;
    shown.push_back(absl::StrFormat("%s %.1f %%", part.name, share * 100.0));
  }
  return absl::StrCat("The step is ", absl::StrJoin(shown, ", "), ".");
}

}  // namespace

std::vector<Curve> Curves(const std::vector<Report>& reports) {
  std::vector<Curve> curves;
  for (size_t i = 0; i < reports.size(); ++i) {
    std::vector<Setting> fixed;
    for (const Setting& s : reports[i].settings) {
      if (s.first != kGpusKey) fixed.push_back(s);
    }
    auto curve = std::find_if(curves.begin(), curves.end(), [&](const Curve& c) { return c.fixed == fixed; });
    if (curve == curves.end()) curve = curves.insert(curves.end(), Curve{fixed, {}});
    curve->points.push_back(i);
  }
  for (Curve& c : curves) {
    std::stable_sort(c.points.begin(), c.points.end(), [&](size_t a, size_t b) { return reports[a].gpus < reports[b].gpus; });
  }
  return curves;
}

std::vector<Part> Parts(const Report& report) {
  if (report.out_of_memory) return {};
  const Breakdown& b = report.breakdown;
  std::vector<Part> parts = {{"compute", b.compute - b.contention - b.recompute},
                             {"recomputation", b.recompute},
                             {"compute slowed beside communication", b.contention},
                             {"optimizer", b.optimizer},
                             {"pipeline bubble", b.pipeline_bubble},
                             {"waiting for the host", b.host_bound},
                             {"waiting for other ranks", b.idle}};
  for (const auto& [kind, seconds] : b.exposed_communication) parts.push_back({"exposed " + Spaced(kind), seconds});
  parts.erase(std::remove_if(parts.begin(), parts.end(),
                             [&](const Part& p) { return p.seconds.value() < 1e-3 * report.step_time.value(); }),
              parts.end());
  std::stable_sort(parts.begin(), parts.end(), [](const Part& x, const Part& y) { return y.seconds < x.seconds; });
  return parts;
}

std::string Explain(const std::vector<Report>& reports) {
  const Curve* steepest = nullptr;
  double most = -1.0;
  const std::vector<Curve> curves = Curves(reports);
  for (const Curve& curve : curves) {
    const auto [first, last] = Ends(curve, reports);
    if (first == last || PerGpu(reports[first]) <= 0.0) continue;
    const double loss = 1.0 - PerGpu(reports[last]) / PerGpu(reports[first]);
    if (loss > most) {
      most = loss;
      steepest = &curve;
    }
  }
  if (steepest != nullptr) return ExplainCurve(*steepest, reports);
  const Report* best = nullptr;
  for (const Report& r : reports) {
    if (!r.out_of_memory && (best == nullptr || PerGpu(r) > PerGpu(*best))) best = &r;
  }
  if (best != nullptr) return reports.size() == 1 ? ExplainOne(*best) : "Of the fastest point: " + ExplainOne(*best);
  return reports.empty() ? "" : OutOfMemory(reports.front());
}

}  // namespace simulate
