// cudaMalloc and cudaFree: what the caching allocator asks of the driver, and how long the host is busy with it.
//
//   map    60 us + 1.5 ms per GiB        unmap   (50 us + 0.75 ms per GiB) * processes of the host that unmap at once
//
// Measured on one H100 (PyTorch 2.11, driver 580): 24 GiB in segments of 20 MiB to 4 GiB mapped, written, and given back, 12
// times over, with 0 and 40 GiB held besides. Means per segment, mapped / unmapped, in us:
//   20 MiB 79 / 65, 64 MiB 87 / 106, 256 MiB 302 / 199, 600 MiB 906 / 490, 1 GiB 1740 / 677, 2 GiB 3256 / 1369, 4 GiB 5322 / 3430
// A freshly booted device maps faster (0.1 ms per GiB): it has pages that need no clearing. cudaFree waits for the device.
// The driver unmaps for one process at a time: on two H200 (same driver) 1 GiB took 688, 1719 and 3132 us with 1 process, 2 (one
// a device) and 4 (two a device), 64 MiB 87, 174, 373; mapping 1 GiB took 1037, 932 and 1699 us. Ranks run out together.
#pragma once

#include <cstdint>

#include "sim/base/units.h"

namespace simulate {

struct DeviceMemoryCalls {
  int64_t maps = 0, unmaps = 0;
  int64_t mapped = 0, unmapped = 0;  // bytes

  [[nodiscard]] DeviceMemoryCalls operator-(const DeviceMemoryCalls& o) const {
    return {maps - o.maps, unmaps - o.unmaps, mapped - o.mapped, unmapped - o.unmapped};
  }
  // `processes`: ranks on the host, all of which do the same.
  [[nodiscard]] Seconds Time(uint32_t processes) const {
    return Seconds(60e-6 * static_cast<double>(maps) + 1.4e-12 * static_cast<double>(mapped) +
                   (50e-6 * static_cast<double>(unmaps) + 0.7e-12 * static_cast<double>(unmapped)) * processes);
  }
};

// The host is busy with the driver before an instruction; if it unmaps, the device has to be idle first.
struct HostStall {
  uint32_t instruction = 0;
  int64_t picoseconds = 0;
  bool drains = false;
};

}  // namespace simulate
