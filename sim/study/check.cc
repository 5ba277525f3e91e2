#include "sim/study/check.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/report/metric.h"
#include "sim/study/parallel_for.h"
#include "sim/study/predict.h"

namespace simulate {
namespace {

std::string Show(const std::vector<Setting>& settings) {
  std::vector<std::string> shown;
  for (const auto& [key, value] : settings) shown.push_back(absl::StrCat(key, "=", value));
  return absl::StrJoin(shown, " ");
}

const char* DataName(const DataParallelSpec& data) {
  switch (data.strategy) {
    case DataStrategy::kDdp: return "ddp";
    case DataStrategy::kZero1: return "zero1";
    case DataStrategy::kZero2: return "zero2";
    case DataStrategy::kZero3: return "zero3";
    case DataStrategy::kFsdp: break;
  }
  return data.version == FsdpVersion::kFsdp2 ? "fsdp2" : "fsdp1";
}

std::string Parallelism(const Scenario& s) {
  const ParallelismSpec& p = s.parallelism;
  std::vector<std::string> parts;
  if (p.tensor > 1) parts.emplace_back("tensor");
  if (p.pipeline.stages > 1) parts.emplace_back("pipeline");
  if (p.context > 1) parts.emplace_back("context");
  if (p.expert > 1) parts.emplace_back("expert");
  if (s.gpus > p.tensor * p.pipeline.stages * p.context) parts.emplace_back(DataName(p.data));
  return parts.empty() ? "single" : absl::StrJoin(parts, "+");
}

Bound BoundOf(const Report& report) {
  if (report.out_of_memory || report.step_time.value() <= 0.0) return Bound::kNone;
  const Breakdown& b = report.breakdown;
  double memory_bound = 0.0;
  for (const TrustNote& note : report.trust) {
    if (note.what == kMemoryBoundClass) memory_bound += note.share * report.step_time.value();
  }
  const double busy = b.compute.value() + b.optimizer.value();
  const std::vector<std::pair<double, Bound>> parts = {{busy - memory_bound, Bound::kCompute},
                                                       {memory_bound, Bound::kMemoryBandwidth},
                                                       {b.exposed().value() + b.idle.value(), Bound::kCommunication},
                                                       {b.pipeline_bubble.value(), Bound::kPipeline},
                                                       {b.host_bound.value(), Bound::kHost}};
  return std::max_element(parts.begin(), parts.end(), [](auto& x, auto& y) { return x.first < y.first; })->second;
}

struct Job {
  const Study* study;
  const Scenario* point;
};

// Roughly what a simulation takes: layers that all kinds of ranks walk through, if every node is a kind of its own where
// pipelines cross its switches.
int64_t WorkOf(const Scenario& s) {
  const Continuation c = ContinuationOf(s);
  const int64_t micro_batches = c.exact() ? c.all : c.first + c.second;
  const int64_t pipelines = s.parallelism.pipeline.stages > 1 ? s.gpus / (s.parallelism.tensor * s.parallelism.pipeline.stages) : 1;
  return micro_batches * (s.model.num_hidden_layers + s.model.num_decoder_layers) * std::min<int64_t>(pipelines, 16);
}

// Order statistic with linear interpolation between neighbours. REQUIRES: sorted, not empty.
double Percentile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto low = static_cast<size_t>(at);
  const size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (at - static_cast<double>(low)) * (sorted[high] - sorted[low]);
}

ErrorSummary SummaryOf(const std::string& name, const std::vector<const CheckedPoint*>& points) {
  ErrorSummary summary;
  summary.name = name;
  std::vector<double> sizes;
  for (const CheckedPoint* point : points) {
    ++summary.points;
    if (point->fell_short()) ++summary.short_of;
    if (point->missing) continue;
    const double error = point->deviation();
    sizes.push_back(std::fabs(error));
    summary.bias += error;
    if (std::fabs(error) > std::fabs(summary.worst)) summary.worst = error;
  }
  if (sizes.empty()) return summary;
  std::sort(sizes.begin(), sizes.end());
  for (const double size : sizes) summary.mean += size;
  summary.mean /= static_cast<double>(sizes.size());
  summary.bias /= static_cast<double>(sizes.size());
  summary.median = Percentile(sizes, 0.5);
  summary.p90 = Percentile(sizes, 0.9);
  return summary;
}

std::vector<CheckedPoint> Points(const Job& job, Report report) {
  Compare(job.study->reference, job.point->reference, report);
  std::vector<CheckedPoint> points;
  for (size_t i = 0; i < report.reference.size(); ++i) {
    const ReferenceResult& r = report.reference[i];
    const ReferencePoint& from = job.study->reference.points[job.point->reference[i]];
    CheckedPoint p;
    p.file = job.study->file;
    p.id = !from.id.empty() ? from.id : Show(job.point->settings.empty() ? from.where : job.point->settings);
    p.source = from.source.empty() ? job.study->reference.source : from.source;
    p.metric = r.metric;
    p.expected = r.value;
    p.predicted = r.predicted;
    p.error = r.error;
    p.tolerance = r.tolerance;
    p.missing = r.missing;
    p.accelerator = job.point->hardware.accelerator.name;
    p.parallelism = Parallelism(*job.point);
    p.bound = BoundOf(report);
    points.push_back(p);
  }
  return points;
}

}  // namespace

const char* Name(Bound bound) {
  switch (bound) {
    case Bound::kCompute: return "compute";
    case Bound::kMemoryBandwidth: return "memory bandwidth";
    case Bound::kCommunication: return "communication";
    case Bound::kPipeline: return "pipeline bubble";
    case Bound::kHost: return "host";
    case Bound::kNone: return "out of memory";
  }
  return "";
}

bool CheckedPoint::fell_short() const { return tolerance > 0.0 && (missing || std::fabs(error) > tolerance); }

double CheckedPoint::deviation() const {
  const bool seconds = metric == "step_time_s" || metric == "exposed_communication_s";
  const bool rate = MeasureOf(metric) == Measure::kTime && !seconds;
  return rate && error > -1.0 ? 1.0 / (1.0 + error) - 1.0 : error;
}

std::vector<CheckedPoint> PointsOf(const CheckResult& result, Measure measure) {
  std::vector<CheckedPoint> points;
  std::map<std::pair<std::string, std::string>, size_t> first;
  for (const CheckedPoint& p : result.points) {
    if (MeasureOf(p.metric) != measure) continue;
    const auto [seen, fresh] = first.try_emplace({p.file, p.id}, points.size());
    if (fresh || measure != Measure::kTime) {
      points.push_back(p);
    } else if (p.metric == "step_time_s") {
      points[seen->second] = p;
    }
  }
  return points;
}

Measure MeasureOf(const std::string& metric) {
  if (metric == "status") return Measure::kOutcome;
  return absl::EndsWith(metric, "_bytes") ? Measure::kMemory : Measure::kTime;
}

CheckResult Check(const std::vector<Study>& studies, int threads, const std::function<void(size_t, size_t)>& progress) {
  std::vector<Job> jobs;
  CheckResult result;
  for (const Study& study : studies) {
    for (const Scenario& point : study.points) {
      if (!point.reference.empty()) jobs.push_back({&study, &point});
    }
    for (const ExcludedRow& row : study.reference.excluded) result.excluded.push_back({study.file, row.id, row.reason});
  }
  std::vector<size_t> order(jobs.size());  // the longest first, so that none is begun when the others are done
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return WorkOf(*jobs[i].point); });
  std::vector<std::vector<CheckedPoint>> points(jobs.size());
  ParallelFor(
      jobs.size(), threads, [&](size_t k) { points[order[k]] = Points(jobs[order[k]], Predict(*jobs[order[k]].point)); }, progress);
  for (const auto& of_job : points) result.points.insert(result.points.end(), of_job.begin(), of_job.end());
  result.runs = jobs.size();
  return result;
}

std::vector<ErrorSummary> Summarise(const std::vector<CheckedPoint>& points,
                                    const std::function<std::string(const CheckedPoint&)>& class_of) {
  std::vector<std::string> names;
  std::map<std::string, std::vector<const CheckedPoint*>> members;
  for (const CheckedPoint& point : points) {
    const std::string name = class_of(point);
    auto& list = members[name];
    if (list.empty()) names.push_back(name);
    list.push_back(&point);
  }
  std::vector<ErrorSummary> summaries;
  for (const std::string& name : names) summaries.push_back(SummaryOf(name, members[name]));
  return summaries;
}

std::vector<Moved> Compare(const CheckResult& result, const std::vector<std::pair<std::string, double>>& baseline,
                           double threshold) {
  const std::map<std::string, double> before(baseline.begin(), baseline.end());
  std::vector<Moved> moved;
  for (const CheckedPoint& point : result.points) {
    const auto saved = before.find(point.key());
    if (saved == before.end() || point.missing) continue;
    const double size = std::max(std::fabs(saved->second), 1e-300);
    if (std::fabs(point.predicted - saved->second) > threshold * size) moved.push_back({point.key(), saved->second, point.predicted});
  }
  return moved;
}

}  // namespace simulate
