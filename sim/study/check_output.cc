#include "sim/study/check_output.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/output/csv.h"
#include "sim/output/format.h"
#include "sim/output/table.h"

namespace simulate {
namespace {

std::string ShowMeasure(Measure measure) {
  switch (measure) {
    case Measure::kTime: return "time";
    case Measure::kMemory: return "memory";
    case Measure::kOutcome: return "outcome";
  }
  return "";
}

std::vector<Cell> SummaryRow(const ErrorSummary& s, const std::string& measure) {
  return {Cell(s.name),
          Cell(measure, Tone::kFaint),
          Cell(absl::StrCat(s.points)),
          Cell(ShowPercent(s.mean)),
          Cell(ShowPercent(s.median)),
          Cell(ShowPercent(s.p90)),
          Cell(ShowSignedPercent(s.bias)),
          Cell(ShowSignedPercent(s.worst)),
          Cell(absl::StrCat(s.short_of), s.short_of > 0 ? Tone::kBad : Tone::kGood)};
}

std::vector<Column> SummaryColumns(const std::string& name) {
  return {{name, "", true}, {"of", "", true}, {"points", ""}, {"mean", "|error|"}, {"median", "|error|"},
          {"p90", "|error|"}, {"bias", ""}, {"worst", ""}, {"short", ""}};
}

template <typename ClassOf>
std::string SummaryTable(const CheckResult& result, const std::string& name, ClassOf class_of, bool colour) {
  std::vector<std::vector<Cell>> rows;
  for (const Measure measure : {Measure::kTime, Measure::kMemory, Measure::kOutcome}) {
    for (const ErrorSummary& s : Summarise(PointsOf(result, measure), class_of)) rows.push_back(SummaryRow(s, ShowMeasure(measure)));
  }
  return rows.empty() ? "" : RenderTable(SummaryColumns(name), rows, colour) + "\n";
}

std::string ShortLine(const CheckedPoint& p) {
  const std::string where = absl::StrCat(p.file, ": ", p.id, ": ", p.metric);
  if (p.metric == "status") {
    return absl::StrCat(where, ": predicted ", p.predicted == 0.0 ? "ok" : "out_of_memory", ", expected ",
                        p.expected == 0.0 ? "ok" : "out_of_memory");
  }
  if (p.missing) return absl::StrCat(where, ": ran out of memory, expected ", ShowNumber(p.expected, 5));
  return absl::StrCat(where, ": predicted ", ShowNumber(p.predicted, 5), ", expected ", ShowNumber(p.expected, 5), " (",
                      ShowSignedPercent(p.error), ", tolerance ", ShowPercent(p.tolerance), ")");
}

std::string XmlText(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\t') out += c;
    }
  }
  return out;
}

}  // namespace

std::string RenderCheckText(const CheckResult& result, const std::vector<Moved>& moved, bool colour) {
  std::string out;
  out += SummaryTable(result, "scenario", [](const CheckedPoint& p) { return p.file; }, colour);
  out += SummaryTable(result, "source", [](const CheckedPoint& p) { return p.source.empty() ? "(none)" : p.source; }, colour);
  out += SummaryTable(result, "parallelism", [](const CheckedPoint& p) { return p.parallelism; }, colour);
  out += SummaryTable(result, "accelerator", [](const CheckedPoint& p) { return p.accelerator; }, colour);
  out += SummaryTable(result, "bound by", [](const CheckedPoint& p) { return Name(p.bound); }, colour);
  out += SummaryTable(result, "all", [](const CheckedPoint&) { return "all"; }, colour);
  size_t held = 0;
  size_t fallen = 0;
  for (const CheckedPoint& p : result.points) {
    if (p.tolerance > 0.0) ++held;
    if (!p.fell_short()) continue;
    ++fallen;
    out += Paint("short: ", Tone::kBad, colour) + ShortLine(p) + "\n";
  }
  for (const Moved& m : moved) {
    out += absl::StrCat("moved: ", m.key, ": ", ShowNumber(m.before, 5), " -> ", ShowNumber(m.after, 5), " (",
                        ShowSignedPercent(m.after / m.before - 1.0), ")\n");
  }
  out += absl::StrFormat("%d points of %d runs, %d held to a tolerance, %d fell short, %d excluded\n",
                         result.points.size(), result.runs, held, fallen, result.excluded.size());
  return out;
}

std::string RenderCheckJunit(const CheckResult& result) {
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  const auto fallen = std::count_if(result.points.begin(), result.points.end(), [](const auto& p) { return p.fell_short(); });
  absl::StrAppend(&out, "<testsuites>\n<testsuite name=\"simulate check\" tests=\"",
                  result.points.size() + result.excluded.size(), "\" failures=\"", fallen, "\" skipped=\"",
                  result.excluded.size(), "\">\n");
  for (const CheckedPoint& p : result.points) {
    absl::StrAppend(&out, "<testcase classname=\"", XmlText(p.file), "\" name=\"", XmlText(p.id), " ", XmlText(p.metric), "\"");
    if (p.fell_short()) {
      absl::StrAppend(&out, "><failure message=\"", XmlText(ShortLine(p)), "\"/></testcase>\n");
    } else {
      out += "/>\n";
    }
  }
  for (const ExcludedPoint& e : result.excluded) {
    absl::StrAppend(&out, "<testcase classname=\"", XmlText(e.file), "\" name=\"", XmlText(e.id), "\"><skipped message=\"",
                    XmlText(e.reason), "\"/></testcase>\n");
  }
  return out + "</testsuite>\n</testsuites>\n";
}

std::string RenderCheckJson(const CheckResult& result, const std::vector<Moved>& moved) {
  using Json = nlohmann::ordered_json;
  Json json = {{"schema", 1}, {"runs", result.runs}, {"points", Json::array()}, {"excluded", Json::array()}, {"sources", Json::array()}};
  for (const CheckedPoint& p : result.points) {
    json["points"].push_back({{"file", p.file}, {"point", p.id}, {"source", p.source}, {"metric", p.metric},
                              {"expected", p.expected}, {"predicted", p.missing ? Json(nullptr) : Json(p.predicted)},
                              {"error", p.missing ? Json(nullptr) : Json(p.error)},
                              {"tolerance", p.tolerance > 0.0 ? Json(p.tolerance) : Json(nullptr)},
                              {"passed", !p.fell_short()}, {"accelerator", p.accelerator},
                              {"parallelism", p.parallelism}, {"bound", Name(p.bound)}});
  }
  for (const ExcludedPoint& e : result.excluded) {
    json["excluded"].push_back({{"file", e.file}, {"point", e.id}, {"reason", e.reason}});
  }
  for (const Measure measure : {Measure::kTime, Measure::kMemory, Measure::kOutcome}) {
    for (const ErrorSummary& s : Summarise(PointsOf(result, measure), [](const CheckedPoint& p) { return p.source; })) {
      json["sources"].push_back({{"source", s.name}, {"of", ShowMeasure(measure)}, {"points", s.points}, {"mean", s.mean},
                                 {"median", s.median}, {"p90", s.p90}, {"bias", s.bias}, {"worst", s.worst},
                                 {"short", s.short_of}});
    }
  }
  if (!moved.empty()) json["moved"] = Json::array();
  for (const Moved& m : moved) json["moved"].push_back({{"point", m.key}, {"before", m.before}, {"after", m.after}});
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string RenderCheckCsv(const CheckResult& result) {
  std::string out = "file,point,source,metric,expected,predicted,error,tolerance,passed,accelerator,parallelism,bound\n";
  for (const CheckedPoint& p : result.points) {
    absl::StrAppend(&out, CsvField(p.file), ",", CsvField(p.id), ",", CsvField(p.source), ",", p.metric, ",",
                    CsvNumber(p.expected), ",");
    absl::StrAppend(&out, p.missing ? "" : CsvNumber(p.predicted), ",", p.missing ? "" : CsvNumber(p.error), ",",
                    p.tolerance > 0.0 ? CsvNumber(p.tolerance) : "", ",", p.fell_short() ? "no" : "yes", ",");
    absl::StrAppend(&out, CsvField(p.accelerator), ",", p.parallelism, ",", Name(p.bound), "\n");
  }
  return out;
}

std::string RenderBaseline(const CheckResult& result) {
  std::string out = "predicted,point\n";
  for (const CheckedPoint& p : result.points) {
    if (!p.missing) absl::StrAppend(&out, CsvNumber(p.predicted), ",", CsvField(p.key()), "\n");
  }
  return out;
}

std::optional<Baseline> ReadBaseline(const std::string& path, Diagnostics& diagnostics) {
  std::ifstream file(path);
  if (!file) {
    diagnostics.Error(absl::StrCat("cannot read the baseline `", path, "`")).help.emplace_back("write one with --update");
    return std::nullopt;
  }
  Baseline baseline;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    if (number == 1 || line.empty()) continue;
    const size_t comma = line.find(',');
    double value = 0.0;
    if (comma == std::string::npos || !absl::SimpleAtod(line.substr(0, comma), &value)) {
      diagnostics.Error("expected a predicted value, a comma and a point", {path, number, 1, static_cast<int>(line.size())});
      return std::nullopt;
    }
    std::string key = line.substr(comma + 1);
    if (key.size() >= 2 && key.front() == '"') {  // as CsvField quotes
      std::string plain;
      for (size_t i = 1; i + 1 < key.size(); ++i) {
        plain += key[i];
        if (key[i] == '"') ++i;
      }
      key = plain;
    }
    baseline.emplace_back(key, value);
  }
  return baseline;
}

}  // namespace simulate
