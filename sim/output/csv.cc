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

// The metrics, less the status, which has a column of its own in words.
const std::vector<std::string>& Numbers() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = MetricNames();
    std::erase(all, "status");
    return all;
  }();
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

namespace {

// The keys of all reports, each once, in order of appearance.
template <typename Keys>
std::vector<std::string> Union(const std::vector<Report>& reports, const Keys& keys_of) {
  std::vector<std::string> all;
  for (const Report& r : reports) {
    for (const std::string& key : keys_of(r)) {
      if (std::find(all.begin(), all.end(), key) == all.end()) all.push_back(key);
    }
  }
  return all;
}

struct Columns {
  explicit Columns(const std::vector<Report>& reports)
      : settings(Union(reports, [](const Report& r) {
          std::vector<std::string> keys;
          for (const auto& [key, value] : r.settings) keys.push_back(key);
          return keys;
        })),
        exposed(Union(reports, [](const Report& r) {
          std::vector<std::string> kinds;
          for (const auto& [kind, seconds] : r.breakdown.exposed_communication) kinds.push_back(kind);
          return kinds;
        })),
        references(Union(reports, [](const Report& r) {
          std::vector<std::string> metrics;
          for (const ReferenceResult& x : r.reference) metrics.push_back(x.metric);
          return metrics;
        })) {}

  std::vector<std::string> settings, exposed, references;
};

std::vector<std::string> Header(const Columns& columns) {
  std::vector<std::string> header;
  for (const std::string& key : columns.settings) header.push_back(CsvField(key));
  for (const char* name : {"gpus", "nodes", "data_parallel", "tensor_parallel", "pipeline_parallel", "context_parallel",
                           "expert_parallel", "global_batch_size", "status"}) {
    header.emplace_back(name);
  }
  header.insert(header.end(), Numbers().begin(), Numbers().end());
  header.insert(header.end(), PartNames().begin(), PartNames().end());
  for (const std::string& kind : columns.exposed) header.push_back(absl::StrCat("exposed_", kind, "_s"));
  for (int c = 0; c < kMemoryCategories; ++c) {
    header.push_back(absl::StrCat("memory_", Name(static_cast<MemoryCategory>(c)), "_bytes"));
  }
  header.emplace_back("memory_capacity_bytes");
  for (const std::string& metric : columns.references) {
    header.push_back(absl::StrCat("reference_", metric));
    header.push_back(absl::StrCat("error_", metric));
  }
  return header;
}

void AppendNumbers(const Report& r, const Columns& columns, std::vector<std::string>& row) {
  for (const std::string& name : Numbers()) {
    const std::optional<double> value = Metric(r, name);
    row.push_back(value ? CsvNumber(*value) : "");
  }
  for (const double part : PartValues(r.breakdown)) row.push_back(r.out_of_memory ? "" : CsvNumber(part));
  for (const std::string& kind : columns.exposed) {
    double seconds = 0.0;
    for (const auto& [name, s] : r.breakdown.exposed_communication) seconds += name == kind ? s.value() : 0.0;
    row.push_back(r.out_of_memory ? "" : CsvNumber(seconds));
  }
  for (const Bytes bytes : r.memory.at_peak) row.push_back(absl::StrCat(bytes.value()));
  row.push_back(absl::StrCat(r.memory_capacity.value()));
  for (const std::string& metric : columns.references) {
    const auto x = std::find_if(r.reference.begin(), r.reference.end(), [&](const ReferenceResult& y) { return y.metric == metric; });
    row.push_back(x == r.reference.end() ? "" : CsvNumber(x->value));
    row.push_back(x == r.reference.end() || x->missing ? "" : CsvNumber(x->error));
  }
}

}  // namespace

std::string RenderCsv(const std::vector<Report>& reports) {
  const Columns columns(reports);
  std::string out = absl::StrJoin(Header(columns), ",") + "\n";
  for (const Report& r : reports) {
    std::vector<std::string> row;
    for (const std::string& key : columns.settings) {
      const auto setting = std::find_if(r.settings.begin(), r.settings.end(), [&](const Setting& s) { return s.first == key; });
      row.push_back(setting == r.settings.end() ? "" : CsvField(setting->second));
    }
    for (const int64_t count : {r.gpus, r.nodes, r.data_parallel, r.tensor_parallel, r.pipeline_parallel,
                                r.context_parallel, r.expert_parallel, r.global_batch_size}) {
      row.push_back(absl::StrCat(count));
    }
    row.emplace_back(r.out_of_memory ? "out_of_memory" : "ok");
    AppendNumbers(r, columns, row);
    out += absl::StrJoin(row, ",") + "\n";
  }
  return out;
}

}  // namespace simulate
