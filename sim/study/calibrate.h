// Fits an accelerator's constants to measurements of it, and says how well they fit.
//
// Every constant has its own rows: the memory-bound kernels first (ramp and bandwidth serve the others too), then
// matrix products, attention, contention, host calls. Each fit minimises the mean |ln(predicted / measured)| over its rows
// by the simplex method; nothing is fitted per shape. Times `in a stream` are preferred; isolated ones hold the
// stopwatch's overhead, one number per series, which is fitted along and thrown away.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/spec/accelerator.h"
#include "sim/study/measurements.h"

namespace simulate {

// What the stopwatch adds to isolated times, by OverheadKey. Backward passes of attention start on an idle device, which
// waits for the host: their overhead is a number of its own.
struct Overheads {
  Seconds general;
  std::map<std::string, Seconds> by_key;
};
[[nodiscard]] std::string OverheadKey(const Measurement& row);

struct FitError {
  std::string kind;        // "products, 16 bit"
  std::string series;
  int rows = 0;
  double mean = 0.0;       // of |predicted / measured - 1|
  double bias = 0.0;       // of predicted / measured - 1
  double worst = 0.0;      // with its sign
  std::string worst_row;
};

struct CalibrationFit {
  AcceleratorSpec accelerator;
  Overheads overheads;
};

// `start` gives the datasheet, the start of every search and whatever the measurements do not hold.
[[nodiscard]] CalibrationFit FitCalibration(const MeasurementSet& set, const AcceleratorSpec& start);

// The overheads alone, for an accelerator whose constants stay as they are.
[[nodiscard]] Overheads EstimateOverheads(const MeasurementSet& set, const AcceleratorSpec& accelerator);

// In order of kind. Isolated times are compared with the overhead added.
[[nodiscard]] std::vector<FitError> FitErrors(const MeasurementSet& set, const CalibrationFit& fit);

// What the model says for a row of kernels, without any stopwatch; what was measured, likewise.
[[nodiscard]] Seconds PredictedTime(const Measurement& row, const AcceleratorSpec& accelerator);
[[nodiscard]] Seconds MeasuredTime(const Measurement& row, const Overheads& overheads);

}  // namespace simulate
