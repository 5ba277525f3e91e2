// Host (CPU) time of framework calls: what one thread per rank pays to enqueue work.
#pragma once

#include "sim/base/units.h"
#include "sim/spec/accelerator.h"
#include "sim/spec/kernel_work.h"
#include "sim/spec/training.h"

namespace simulate {

class HostModel {
 public:
  HostModel(const HostCalibration& calibration, Runtime runtime);
  // Host time of one such call.
  [[nodiscard]] Seconds Cost(HostCall call) const;
  // From the end of the call until an idle device starts the work.
  [[nodiscard]] Seconds launch_latency() const;

 private:
  HostCalibration calibration_;
  Runtime runtime_;
};

}  // namespace simulate
