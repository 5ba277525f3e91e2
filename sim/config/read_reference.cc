#include "sim/config/read_reference.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sim/base/quantity_text.h"
#include "sim/config/node.h"
#include "sim/config/tree_edit.h"

namespace simulate {
namespace {

const std::vector<std::string>& Metrics() {
  static const std::vector<std::string> names = {
      "step_time_s",   "tflops_per_gpu",       "hardware_tflops_per_gpu", "mfu",                 "hfu",
      "tokens_per_s",  "tokens_per_s_per_gpu", "samples_per_s",           "peak_allocated_bytes", "peak_reserved_bytes",
      "peak_active_bytes", "parameters",       "model_flops",             "status"};
  return names;
}

// A bare number in the metric's unit; seconds and bytes may carry theirs, mfu and hfu may be per cent.
bool ReadMetricValue(ValueReader& v, const std::string& metric, double* out) {
  if (metric == "status") return v.ReadEnum<double>({{"ok", 0.0}, {"out_of_memory", 1.0}}, out);
  if (metric == "mfu" || metric == "hfu") return v.ReadShare(out);
  double bare = 0.0;
  const bool has_unit = v.IsScalar() && !ParseNumber(v.text(), &bare);
  if (has_unit && absl::EndsWith(metric, "_bytes")) {
    Bytes bytes;
    if (!v.Read(&bytes)) return false;
    *out = static_cast<double>(bytes.value());
    return true;
  }
  if (has_unit && metric == "step_time_s") {
    Seconds seconds;
    if (!v.Read(&seconds)) return false;
    *out = seconds.value();
    return true;
  }
  return v.ReadNumber(0.0, 1e30, out);
}

void ReadWhere(ValueReader& value, std::vector<Setting>* out) {
  if (!value.IsMap()) {
    value.ReadMap([](MapReader&) {});  // says what it must be
    return;
  }
  for (const Node::Entry& entry : value.node().entries) out->emplace_back(entry.key, FlowText(entry.value));
}

void ReadPoint(MapReader& map, ReferencePoint* out) {
  map.Value("where", [&](ValueReader& v) { ReadWhere(v, &out->where); });
  const bool known = map.Value("metric", [&](ValueReader& v) {
    if (!v.Read(&out->metric)) return;
    const bool valid = std::find(Metrics().begin(), Metrics().end(), out->metric) != Metrics().end();
    if (!valid) v.ReportBadName(out->metric, Metrics());
  }, true);
  map.Value("value", [&](ValueReader& v) {
    if (known) ReadMetricValue(v, out->metric, &out->value);
  }, true);
  map.Share("tolerance", &out->tolerance);
  map.Optional("note", &out->note);
}

bool SameValue(const std::string& a, const std::string& b) {
  double x = 0.0, y = 0.0;
  return a == b || (ParseNumber(a, &x) && ParseNumber(b, &y) && x == y);
}

}  // namespace

bool ReadReference(ValueReader& value, std::string* source, std::vector<ReadReferencePoint>* out) {
  return value.ReadMap([&](MapReader& map) {
    map.Required("source", source);
    map.List("points", [&](ValueReader& v) {
      ReadReferencePoint read{{}, v.where()};
      if (v.ReadMap([&](MapReader& m) { ReadPoint(m, &read.point); })) out->push_back(std::move(read));
    }, true);
  });
}

bool Matches(const Node& tree, const ReferencePoint& point) {
  return std::all_of(point.where.begin(), point.where.end(), [&](const Setting& setting) {
    const Node* node = tree.FindPath(setting.first);
    return node != nullptr && SameValue(FlowText(*node), setting.second);
  });
}

}  // namespace simulate
