// What NCCL's protocols and algorithms reach of the bandwidth that the links offer.
//
// NCCL tabulates this for its own choice (NVIDIA/nccl@5067397 src/graph/tuning.cc): bus bandwidths are capped
// per protocol, GPU generation and number of nodes, and trees lose at middle sizes. For a bus bandwidth B that the
// links allow, over C channels:
//   ring LL      min(B/2, llMaxBw)         ring LL128  min(0.92 B, C * perChMaxRingLL128Bw)   ring Simple  B
//   tree LL      min(B/3.8, llMaxBw) * k   tree LL128  min(B * 7/9 or 120/128, C * perChMaxTreeLL128Bw) * k
//   tree Simple  min(0.92 B, C * perChMaxTreeBw) * k,  k = treeCorrectionFactor(log2(bytes / 64))
//   NVLSTree     min(B, 8 * perChMaxNVLSTreeBw)
// The generation is read off the scale-up link (nvlink2 Volta, nvlink3 Ampere, nvlink4 Hopper, nvlink5 Blackwell).
#pragma once

#include "sim/collective/shape.h"
#include "sim/spec/cluster.h"
#include "sim/spec/collective.h"

namespace simulate {

// How many times longer than on the bare links a transfer takes.
[[nodiscard]] double NcclSlowdown(const HardwareSpec& hardware, const Shape& shape, Protocol protocol, Bytes bytes);

}  // namespace simulate
