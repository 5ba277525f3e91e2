// One accelerator: its datasheet and the constants fitted to measurements of it.
// Every number in a hardware file carries its source; constants belong to the part, never to a scenario.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/confidence.h"
#include "sim/base/units.h"
#include "sim/spec/dtype.h"

namespace simulate {

// Fitted constants of one accelerator. kernel/ says what each means; 0 or 1 are the neutral values.
struct Calibration {
  Confidence confidence = Confidence::kCoarse;
  std::string source;
  // kernel/ extends this struct: one small sub-struct per operator class.
};

// Host (CPU) time of framework calls beside this accelerator, eager PyTorch.
struct HostCalibration {
  Confidence confidence = Confidence::kCoarse;
  std::string source;
  // kernel/ extends this struct.
};

struct AcceleratorSpec {
  std::string name;
  Bytes memory;                       // what the framework can use, as the device reports it
  BytesPerSecond memory_bandwidth;    // datasheet
  Bytes l2_cache;
  int64_t compute_units = 0;          // SMs, CUs, NeuronCores
  Hertz clock;                        // at which the peaks hold
  Watts power;                        // TDP
  FlopsPerSecond peak_fp32, peak_tf32, peak_fp16, peak_bf16, peak_fp8, peak_int8;  // dense; 0: not supported
  Calibration calibration;
  HostCalibration host;
  std::vector<std::string> sources;

  // Dense peak of the multipliers for operands of this type; 0 if unsupported.
  [[nodiscard]] FlopsPerSecond Peak(DType type) const;
};

}  // namespace simulate
