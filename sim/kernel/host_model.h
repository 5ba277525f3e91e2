// Host (CPU) time of framework calls: what one thread per rank pays to enqueue work.
#pragma once

#include <cstdint>

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
  // Launches (kernels, copies, collectives) that may be pending on one stream before the call that launches another blocks; 0: any
  // number. Measured on an H100 (driver 580): a stream takes 1,022, whatever other streams hold; events and waits for them do not count.
  [[nodiscard]] int64_t launch_queue() const;

 private:
  HostCalibration calibration_;
  Runtime runtime_;
};

}  // namespace simulate
