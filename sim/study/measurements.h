// What tools/calibrate/measure.py writes: times of single kernels and calls on one device, as JSON.
//
//   {"schema": 1, "device": ..., "series": {name: provenance}, "rows": [
//     {"kind": "gemm", "dtype", "pass", "batch", "m", "n", "k", "isolated_us", "stream_us"},
//     {"kind": "attention", "kernel", "direction", "causal", "batch", "query_heads", "key_value_heads", "length", "head_dim", ...},
//     {"kind": "memory", "name", "access", "rows", "columns", "read", "written", "dtype", ...},   one kernel, or "kernels": [...]
//     {"kind": "contention", "of": "gemm", ..., "cores", "traffic", "kernel_slowdown", "collective_slowdown"},
//     {"kind": "host", "name", "us"}]}
//
// Rows that carry an `error` (unsupported on the device) or a kind that is not named here are skipped.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/base/units.h"
#include "sim/spec/kernel_work.h"

namespace simulate {

struct Measurement {
  std::string series;               // runs measured alike share the overhead of the stopwatch
  std::string kind;                 // gemm, attention, memory, contention, host
  std::string name;                 // for reports
  std::vector<KernelWork> works;    // launched one after the other
  Seconds isolated;                 // 0: not measured; holds the stopwatch's overhead
  Seconds stream;                   // 0: not measured
  int cores = 0;                    // contention: taken by the collective
  BytesPerSecond traffic;
  double kernel_slowdown = 1.0, collective_slowdown = 1.0;
  Seconds host;                     // host: per call
};

struct MeasurementSet {
  std::string device;
  std::vector<Measurement> rows;
};

// nullopt after an error, which is in `diagnostics`.
[[nodiscard]] std::optional<MeasurementSet> ParseMeasurements(const std::string& text, const std::string& file,
                                                              Diagnostics& diagnostics);

}  // namespace simulate
