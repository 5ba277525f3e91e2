#include "sim/config/read_reference.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sim/base/quantity_text.h"
#include "sim/config/csv.h"
#include "sim/config/node.h"
#include "sim/config/parse.h"
#include "sim/config/tree_edit.h"

namespace simulate {
namespace {

const std::vector<std::string>& Metrics() {
  static const std::vector<std::string> names = {
      "step_time_s",   "tflops_per_gpu",       "hardware_tflops_per_gpu", "mfu",                 "hfu",
      "tokens_per_s",  "tokens_per_s_per_gpu", "samples_per_s",           "peak_allocated_bytes", "peak_reserved_bytes",
      "peak_active_bytes", "parameters",       "model_flops",             "exposed_communication_s", "status"};
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
  if (has_unit && absl::EndsWith(metric, "_time_s")) {
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

void ReadPoint(MapReader& map, double tolerance, ReferencePoint* out) {
  out->tolerance = tolerance;
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
  map.Optional("source", &out->source);
}

// --- tables ---

constexpr const char* kExpect = "expect.";

Node TextNode(const CsvCell& cell) {
  Node node;
  node.kind = Node::Kind::kScalar;
  node.text = cell.text;
  node.where = cell.where;
  return node;
}

// One table being read: which columns mean what, and the rows so far.
class TableReader {
 public:
  TableReader(const CsvTable& table, double tolerance, Diagnostics& diagnostics)
      : table_(table), tolerance_(tolerance), diagnostics_(diagnostics) {}

  void Read(ReadReferenceResult* out) {
    CheckMetrics();
    for (const std::vector<CsvCell>& row : table_.rows) {
      const std::string reason = Text(row, "exclude");
      if (!reason.empty()) {
        out->excluded.push_back({Text(row, "id"), reason});
      } else {
        out->rows.push_back(ReadRow(row));
      }
    }
  }

 private:
  static bool IsNote(const std::string& name) {
    return name == "id" || name == "exclude" || name == "note" || name == "source" || name == "tolerance";
  }

  void CheckMetrics() {
    for (const CsvCell& column : table_.header) {
      if (!absl::StartsWith(column.text, kExpect)) continue;
      const Node name = TextNode({column.text.substr(std::string(kExpect).size()), column.where});
      if (std::find(Metrics().begin(), Metrics().end(), name.text) != Metrics().end()) continue;
      ValueReader(name, "metric", diagnostics_).ReportBadName(name.text, Metrics());
    }
  }

  std::string Text(const std::vector<CsvCell>& row, const std::string& name) const {
    for (size_t i = 0; i < row.size(); ++i) {
      if (table_.header[i].text == name) return row[i].text;
    }
    return "";
  }

  ReferenceRow ReadRow(const std::vector<CsvCell>& row) {
    ReferenceRow out;
    ReferencePoint common;
    common.id = Text(row, "id");
    common.note = Text(row, "note");
    common.source = Text(row, "source");
    common.tolerance = tolerance_;
    for (size_t i = 0; i < row.size(); ++i) {
      if (table_.header[i].text != "tolerance" || row[i].text.empty()) continue;
      const Node node = TextNode(row[i]);
      ValueReader(node, "tolerance", diagnostics_).ReadShare(&common.tolerance);
    }
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string& name = table_.header[i].text;
      Node value;
      if (row[i].text.empty() || IsNote(name)) continue;
      if (!ParseYamlValue(row[i].text, row[i].where, diagnostics_, &value)) continue;
      if (!absl::StartsWith(name, kExpect)) {
        out.settings.push_back({name, table_.header[i].where, std::move(value)});
        continue;
      }
      ReferencePoint point = common;
      point.metric = name.substr(std::string(kExpect).size());
      ValueReader reader(value, name, diagnostics_);
      if (ReadMetricValue(reader, point.metric, &point.value)) out.points.push_back(std::move(point));
    }
    return out;
  }

  const CsvTable& table_;
  double tolerance_;
  Diagnostics& diagnostics_;
};

void ReadTable(ValueReader& value, double tolerance, FileLoader& loader, ReadReferenceResult* out) {
  std::string name, path, text;
  out->has_table = true;
  CsvTable table;
  if (!value.Read(&name) || !loader.LoadText(name, value.where(), &path, &text)) return;
  if (!ParseCsv(path, text, loader.diagnostics(), &table)) return;
  TableReader(table, tolerance, loader.diagnostics()).Read(out);
}

bool SameValue(const std::string& a, const std::string& b) {
  double x = 0.0, y = 0.0;
  return a == b || (ParseNumber(a, &x) && ParseNumber(b, &y) && x == y);
}

}  // namespace

bool ReadReference(ValueReader& value, FileLoader& loader, ReadReferenceResult* out) {
  return value.ReadMap([&](MapReader& map) {
    map.Required("source", &out->source);
    double tolerance = 0.0;
    map.Share("tolerance", &tolerance);
    map.Value("table", [&](ValueReader& v) { ReadTable(v, tolerance, loader, out); });
    map.List("points", [&](ValueReader& v) {
      LocatedPoint read{{}, v.where()};
      if (v.ReadMap([&](MapReader& m) { ReadPoint(m, tolerance, &read.point); })) out->points.push_back(std::move(read));
    }, !map.Has("table"));
  });
}

bool Matches(const Node& tree, const ReferencePoint& point) {
  return std::all_of(point.where.begin(), point.where.end(), [&](const Setting& setting) {
    const Node* node = tree.FindPath(setting.first);
    return node != nullptr && SameValue(FlowText(*node), setting.second);
  });
}

}  // namespace simulate
