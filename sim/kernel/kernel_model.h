// kernel/ - how long one kernel takes on one accelerator, alone and beside a collective.
//
// Roofline with tiles and waves; the formulas and their sources are in gemm.h, attention.h,
// memory_bound.h and contention.h. Constants come from AcceleratorSpec::calibration alone.
#pragma once

#include <optional>

#include "sim/base/confidence.h"
#include "sim/base/units.h"
#include "sim/spec/accelerator.h"
#include "sim/spec/kernel_work.h"

namespace simulate {

struct KernelCost {
  Seconds time;                    // on the device, alone, launch gap included
  Confidence confidence = Confidence::kCoarse;
};

// What the collectives that run on a device take away from the kernels beside them.
struct CollectivePressure {
  int cores = 0;                   // compute units occupied by their channels
  BytesPerSecond memory_traffic;   // device memory traffic while they run at full speed
  auto operator<=>(const CollectivePressure&) const = default;
};

// Both are >= 1: times are multiplied by them while the two run side by side.
struct Slowdown {
  double kernel = 1.0;
  double collective = 1.0;
};

// Alone, launch gap not included.
[[nodiscard]] Seconds KernelTime(const KernelWork& work, const AcceleratorSpec& accelerator);

// What one accelerator's share of its host can do (host_side.h).
struct HostSide {
  BytesPerSecond copy;             // pinned memory to the device or back
  BytesPerSecond optimizer;        // traffic of an optimizer that runs on the processors
};

class KernelModel {
 public:
  // `chips` that keep step with each other: the slowest of them sets the pace (variation.h). `load`: what the step's kernels
  // draw on average (power.h); none: as where the constants were measured.
  explicit KernelModel(AcceleratorSpec accelerator, int64_t chips = 1, HostSide host = {}, std::optional<double> load = {});
  [[nodiscard]] KernelCost Cost(const KernelWork& work) const;
  [[nodiscard]] Slowdown Beside(const KernelWork& work, const CollectivePressure& pressure) const;
  [[nodiscard]] const AcceleratorSpec& accelerator() const { return accelerator_; }

 private:
  [[nodiscard]] Seconds UnderLoad(const KernelWork& work) const;

  AcceleratorSpec accelerator_;
  HostSide host_;
  double slowest_chip_ = 1.0;
  std::optional<double> load_;
};

}  // namespace simulate
