// NVLS: the switch reduces and multicasts (NVLink SHARP, Hopper's third-generation NVSwitch on).
//
// Every member owns 1/r of the buffer. It reads its part reduced by the switch, which draws S out of
// every member, and writes the result once, which the switch hands to all: S into every member. With
// its own 1/r on top, (1 + 1/r)*S passes each way, so busbw = 2(r-1)/(r+1) * B. On eight H200 that
// predicts 414, 436, 460, 473 GB/s for 5 to 8 members from one B = 306 GB/s (measured 414.2, 435.6,
// 460.0, 473.1), and on B200 778, 811, 838 for 6 to 8 from B = 541 (stas00/ml-engineering@744d01e).
// Over several nodes (NVLSTree): NVLS in each node, double binary trees between them.
#pragma once

#include "sim/collective/traffic.h"

namespace simulate {

// Adds the traffic of one group's all-reduce, per byte of its size. `inflation` is how much worse than
// plain copies the switch's reductions use the link. REQUIRES: each node's members meet in one switch.
Chain AddNvls(const Placement& placement, double inflation, Traffic& traffic);

// Whether the members of every node meet in one switch, and are at least three there (else rings serve better).
[[nodiscard]] bool CanUseNvls(const Placement& placement, const Topology& topology);

}  // namespace simulate
