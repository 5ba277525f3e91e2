#include "sim/study/topic_pages.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/config/csv.h"
#include "sim/output/format.h"
#include "sim/study/page_parts.h"

namespace simulate {
namespace {

constexpr size_t kWorst = 20;

struct Class {
  const char* title;
  const char* column;
  std::string (*of)(const CheckedPoint&);
};
struct Topic {
  const char* name;       // of the files
  const char* title;
  const char* about;
  Measure measure;
  bool (*has)(const CheckedPoint&);
  std::vector<Class> classes;
};

std::string ByTable(const CheckedPoint& p) { return TableOf(p.file); }
std::string ByLayout(const CheckedPoint& p) { return p.parallelism; }
std::string ByAccelerator(const CheckedPoint& p) { return p.accelerator; }
std::string ByBound(const CheckedPoint& p) { return Name(p.bound); }
std::string ByMetric(const CheckedPoint& p) { return p.metric; }

// Several ranks, and nothing but the batch or the state is divided over them.
bool IsDataParallel(const CheckedPoint& p) {
  constexpr std::array<const char*, 6> kStrategies = {"ddp", "fsdp1", "fsdp2", "zero1", "zero2", "zero3"};
  return std::any_of(kStrategies.begin(), kStrategies.end(), [&](const char* s) { return p.parallelism == s; });
}

// Some model dimension is divided: tensor, pipeline, context or expert parallelism.
bool IsModelParallel(const CheckedPoint& p) {
  constexpr std::array<const char*, 4> kDimensions = {"tensor", "pipeline", "context", "expert"};
  return std::any_of(kDimensions.begin(), kDimensions.end(), [&](const char* d) { return absl::StrContains(p.parallelism, d); });
}

const std::vector<Topic>& Topics() {
  static const std::vector<Topic> topics = {
      {"data_parallel", "Data parallelism",
       "Step times of runs that divide the batch, and with FSDP and ZeRO the state, over all ranks, without tensor, pipeline,\n"
       "context or expert parallelism.",
       Measure::kTime, IsDataParallel,
       {{"By table", "table", ByTable}, {"By strategy", "strategy", ByLayout}, {"By accelerator", "accelerator", ByAccelerator},
        {"By what bounds the run", "bound by", ByBound}}},
      {"three_d", "Tensor, pipeline, context and expert parallelism",
       "Step times of runs that divide the model itself, alone or together with the batch.",
       Measure::kTime, IsModelParallel,
       {{"By table", "table", ByTable}, {"By layout", "layout", ByLayout}, {"By accelerator", "accelerator", ByAccelerator},
        {"By what bounds the run", "bound by", ByBound}}},
      {"memory", "Memory",
       "Peaks as PyTorch reports them (max_memory_allocated and max_memory_reserved, active in between), of every run that\n"
       "printed one, whatever its layout.",
       Measure::kMemory, [](const CheckedPoint&) { return true; },
       {{"By figure", "figure", ByMetric}, {"By table", "table", ByTable}, {"By layout", "layout", ByLayout},
        {"By accelerator", "accelerator", ByAccelerator}}},
  };
  return topics;
}

// Out-of-memory outcomes: how many are right, and which way the others are wrong (error +1 or -1 says no more).
std::string Outcomes(const CheckResult& result) {
  const std::vector<CheckedPoint> points = PointsOf(result, Measure::kOutcome);
  if (points.empty()) return "";
  std::string out = "## Does it fit?\n\n| layout | published outcomes | right | fits, predicted not to | does not fit, predicted to |\n|---|---:|---:|---:|---:|\n";
  for (const ErrorSummary& s : Summarise(points, ByLayout)) {
    size_t too_full = 0, too_empty = 0;
    for (const CheckedPoint& p : points) {
      if (p.parallelism != s.name || p.error == 0.0) continue;
      ++(p.expected == 0.0 ? too_full : too_empty);
    }
    absl::StrAppend(&out, "| ", s.name, " | ", s.points, " | ", ShowPercent(1.0 - s.mean), " | ", too_full, " | ", too_empty, " |\n");
  }
  return out + "\n";
}

std::string RenderTopic(const Topic& topic, const CheckResult& result, const std::vector<CheckedPoint>& points,
                        const std::vector<Suspect>& suspects) {
  const bool time = topic.measure == Measure::kTime;
  const auto all = Summarise(points, [](const CheckedPoint&) { return ""; });
  std::string out = absl::StrCat("# ", topic.title, "\n\nWritten by `simulate check scenarios/validation --pages docs/accuracy`; do not edit. ",
                                 topic.about, "\nErrors are predicted over measured, less one.\n\n");
  absl::StrAppend(&out, points.size(), time ? " runs" : " figures", ": mean absolute error **", ShowPercent(all[0].mean), "**, median **");
  absl::StrAppend(&out, ShowPercent(all[0].median), "**, bias ", ShowSignedPercent(all[0].bias), ".\n\n![predicted over measured](",
                  topic.name, ".svg)\n\n");
  for (const Class& c : topic.classes) absl::StrAppend(&out, "## ", c.title, "\n\n", ErrorTable(c.column, points, c.of));
  if (!time) out += Outcomes(result);
  return out + "## The worst rows\n\n" + WorstTable(points, kWorst, [&](const CheckedPoint& p) { return CauseOf(p, suspects); });
}

std::string RenderPicture(const Topic& topic, const std::vector<CheckedPoint>& points) {
  if (topic.measure == Measure::kTime) return RenderTimeScatter(points);
  return RenderScatter(points, {"peak memory", [](double bytes) { return ShowSize(RoundBytes(bytes)); }, ByTable});
}

}  // namespace

std::string CauseOf(const CheckedPoint& p, const std::vector<Suspect>& suspects) {
  const char* of = MeasureOf(p.metric) == Measure::kTime ? "time" : "memory";
  for (const Suspect& s : suspects) {
    if (s.table == TableOf(p.file) && absl::StartsWith(p.id, s.row) && (s.of.empty() || s.of == of)) return s.cause;
  }
  return "not known";
}

std::vector<Suspect> ReadSuspects(const std::string& path, Diagnostics& diagnostics) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return {};
  std::ostringstream text;
  text << in.rdbuf();
  CsvTable table;
  if (!ParseCsv(path, text.str(), diagnostics, &table)) return {};
  if (table.header.size() != 4) {
    diagnostics.Error(absl::StrCat("`", path, "` must have the columns table, row, of, cause"));
    return {};
  }
  std::vector<Suspect> suspects;
  for (const auto& row : table.rows) suspects.push_back({row[0].text, row[1].text, row[2].text, row[3].text});
  return suspects;
}

std::vector<PageFile> RenderTopicPages(const CheckResult& result, const std::vector<Suspect>& suspects) {
  std::vector<PageFile> files;
  for (const Topic& topic : Topics()) {
    std::vector<CheckedPoint> points;
    for (const CheckedPoint& p : PointsOf(result, topic.measure)) {
      if (topic.has(p)) points.push_back(p);
    }
    if (points.empty()) continue;
    files.push_back({absl::StrCat(topic.name, ".md"), RenderTopic(topic, result, points, suspects)});
    files.push_back({absl::StrCat(topic.name, ".svg"), RenderPicture(topic, points)});
  }
  return files;
}

}  // namespace simulate
