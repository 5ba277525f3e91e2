#include "sim/output/csv.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/report/metric.h"

namespace simulate {
namespace {

const std::vector<std::string>& PartNames() {
  static const std::vector<std::string> names = {"compute_s",    "pipeline_bubble_s", "host_bound_s",
                                                 "optimizer_s",  "idle_s",            "contention_s",
                                                 "recompute_s"};
  return names;
}

std::vector<double> PartValues(const Breakdown& b) {
  return {b.compute.value(),   b.pipeline_bubble.value(), b.host_bound.value(), b.optimizer.value(),
          b.idle.value(),      b.contention.value(),      b.recompute.value()};
}

}  // namespace

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

std::string CsvNumber(double value) {
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return error == std::errc() ? std::string(buffer, end) : "";
}

std::string RenderCsv(const std::vector<Report>& reports) {
  std::vector<std::string> keys;
  for (const Report& r : reports) {
    for (const auto& [key, value] : r.settings) {
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
    }
  }
  std::vector<std::string> header;
  for (const std::string& key : keys) header.push_back(CsvField(key));
  for (const char* name : {"gpus", "nodes", "data_parallel", "tensor_parallel", "pipeline_parallel", "context_parallel",
                           "expert_parallel", "global_batch_size", "status"}) {
    header.emplace_back(name);
  }
  header.insert(header.end(), MetricNames().begin(), MetricNames().end());
  header.insert(header.end(), PartNames().begin(), PartNames().end());
  std::string out = absl::StrJoin(header, ",") + "\n";
  for (const Report& r : reports) {
    std::vector<std::string> row;
    for (const std::string& key : keys) {
      const auto setting = std::find_if(r.settings.begin(), r.settings.end(), [&](const Setting& s) { return s.first == key; });
      row.push_back(setting == r.settings.end() ? "" : CsvField(setting->second));
    }
    for (const int64_t count : {r.gpus, r.nodes, r.data_parallel, r.tensor_parallel, r.pipeline_parallel,
                                r.context_parallel, r.expert_parallel, r.global_batch_size}) {
      row.push_back(absl::StrCat(count));
    }
    row.emplace_back(r.out_of_memory ? "out_of_memory" : "ok");
    for (const std::string& name : MetricNames()) {
      const std::optional<double> value = Metric(r, name);
      row.push_back(value ? CsvNumber(*value) : "");
    }
    for (const double part : PartValues(r.breakdown)) row.push_back(r.out_of_memory ? "" : CsvNumber(part));
    out += absl::StrJoin(row, ",") + "\n";
  }
  return out;
}

}  // namespace simulate
