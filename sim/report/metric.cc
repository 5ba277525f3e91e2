#include "sim/report/metric.h"

#include <functional>


namespace simulate {
namespace {

struct Entry {
  std::string name;
  bool of_time;  // absent when the run ran out of memory
  std::function<double(const Report&)> read;
};

double Value(Bytes bytes) { return static_cast<double>(bytes.value()); }

const std::vector<Entry>& Entries() {
  static const std::vector<Entry> entries = {
      {"step_time_s", true, [](const Report& r) { return r.step_time.value(); }},
      {"tflops_per_gpu", true, [](const Report& r) { return r.tflops_per_gpu; }},
      {"hardware_tflops_per_gpu", true, [](const Report& r) { return r.hardware_tflops_per_gpu; }},
      {"mfu", true, [](const Report& r) { return r.mfu; }},
      {"hfu", true, [](const Report& r) { return r.hfu; }},
      {"tokens_per_s", true, [](const Report& r) { return r.tokens_per_s; }},
      {"tokens_per_s_per_gpu", true, [](const Report& r) { return r.tokens_per_s_per_gpu; }},
      {"samples_per_s", true, [](const Report& r) { return r.samples_per_s; }},
      {"exposed_communication_s", true, [](const Report& r) { return r.breakdown.exposed().value(); }},
      {"peak_allocated_bytes", false, [](const Report& r) { return Value(r.memory.peak_allocated); }},
      {"peak_active_bytes", false, [](const Report& r) { return Value(r.memory.peak_active); }},
      {"peak_reserved_bytes", false, [](const Report& r) { return Value(r.memory.peak_reserved); }},
      {"parameters", false, [](const Report& r) { return static_cast<double>(r.parameters); }},
      {"model_flops", false, [](const Report& r) { return r.model_flops.value(); }},
      {"status", false, [](const Report& r) { return r.out_of_memory ? 1.0 : 0.0; }},  // 0 ok, 1 out_of_memory
  };
  return entries;
}

}  // namespace

const std::vector<std::string>& MetricNames() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Entry& entry : Entries()) all.push_back(entry.name);
    return all;
  }();
  return names;
}

std::optional<double> Metric(const Report& report, const std::string& name) {
  for (const Entry& entry : Entries()) {
    if (entry.name != name) continue;
    if (entry.of_time && report.out_of_memory) return std::nullopt;
    return entry.read(report);
  }
  return std::nullopt;
}

void Compare(const ReferenceSpec& reference, const std::vector<size_t>& points, Report& report) {
  report.reference.clear();
  for (const size_t index : points) {
    const ReferencePoint& point = reference.points[index];
    ReferenceResult result{point.metric, point.value, 0.0, 0.0, point.tolerance, point.note, false};
    const std::optional<double> predicted = Metric(report, point.metric);
    result.missing = !predicted;
    result.predicted = predicted.value_or(0.0);
    // A published 0 (status ok) has no relative error: any other prediction misses wholly.
    if (predicted) result.error = point.value != 0.0 ? *predicted / point.value - 1.0 : (*predicted == 0.0 ? 0.0 : 1.0);
    report.reference.push_back(result);
  }
}

}  // namespace simulate
