// Predictions held against published and measured points: what `simulate check` prints.
//
//   error = predicted / expected - 1        (status: 0 when the outcome is the published one, else 1)
//   MAPE  = mean of |error|                 bias = mean of error
//
// A point falls short when its error is larger than its tolerance, or when the run has no such number (it ran out of
// memory). Statistics over times take one number per run, so that a run published with a time and a rate counts once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/report/report.h"
#include "sim/spec/scenario.h"
#include "sim/study/simulate.h"

namespace simulate {

// What limits a run: the largest of these parts of its step.
enum class Bound : uint8_t { kCompute, kMemoryBandwidth, kCommunication, kPipeline, kHost, kNone };
[[nodiscard]] const char* Name(Bound bound);

struct CheckedPoint {
  std::string file;
  std::string id;            // the row's, or the settings' text
  std::string source;
  std::string metric;
  double expected = 0.0;
  double predicted = 0.0;
  double error = 0.0;
  double tolerance = 0.0;    // 0: reported, not held
  bool missing = false;      // the run has no such number
  std::string accelerator;
  std::string parallelism;   // "tp 8, pp 4, ddp"
  Bound bound = Bound::kNone;

  [[nodiscard]] bool fell_short() const;
  // The error as one of time: a rate that is too high is a time that is too short.
  [[nodiscard]] double deviation() const;
  [[nodiscard]] std::string key() const { return file + " " + id + " " + metric; }
};

struct ExcludedPoint {
  std::string file, id, reason;
};

struct CheckResult {
  std::vector<CheckedPoint> points;     // in order of file and point
  std::vector<ExcludedPoint> excluded;
  size_t runs = 0;
};

// Runs every point of every study that a reference point belongs to.
[[nodiscard]] CheckResult Check(const std::vector<Study>& studies, int threads,
                                const std::function<void(size_t, size_t)>& progress = {});

// Times and rates (which are times in another unit), memory, and out-of-memory outcomes are told apart.
enum class Measure : uint8_t { kTime, kMemory, kOutcome };
[[nodiscard]] Measure MeasureOf(const std::string& metric);

struct ErrorSummary {
  std::string name;          // of the class: a file, a source, a parallelism, ...
  size_t points = 0;
  size_t short_of = 0;       // points outside of their tolerance
  double mean = 0.0;         // of |error|
  double median = 0.0;
  double p90 = 0.0;
  double worst = 0.0;        // the signed error of largest size
  double bias = 0.0;         // mean of the signed errors
};

// The points of one measure, at most one per run: a run published with a time and rates counts once, by its time.
[[nodiscard]] std::vector<CheckedPoint> PointsOf(const CheckResult& result, Measure measure);

// Statistics of deviation(), one summary per distinct class_of(point), in order of first appearance.
[[nodiscard]] std::vector<ErrorSummary> Summarise(const std::vector<CheckedPoint>& points,
                                                  const std::function<std::string(const CheckedPoint&)>& class_of);

// A prediction that differs from a saved one by more than `threshold`, relative.
struct Moved {
  std::string key;
  double before = 0.0;
  double after = 0.0;
};
[[nodiscard]] std::vector<Moved> Compare(const CheckResult& result, const std::vector<std::pair<std::string, double>>& baseline,
                                         double threshold);

}  // namespace simulate
