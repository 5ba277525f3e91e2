// What NCCL's protocols and algorithms reach of the bandwidth that the links offer.
//
// NCCL tabulates this for its own choice (NVIDIA/nccl@5067397 src/graph/tuning.cc): bus bandwidths are capped
// per protocol, GPU generation and number of nodes, and trees lose at middle sizes. For a bus bandwidth B that the
// links allow, over C channels:
//   ring LL      min(B/2, llMaxBw)         ring LL128  min(0.92 B, C * perChMaxRingLL128Bw)   ring Simple  B
//   tree LL      min(B/3.8, llMaxBw) * k   tree LL128  min(B * 7/9 or 120/128, C * perChMaxTreeLL128Bw) * k
//   tree Simple  min(0.92 B, C * perChMaxTreeBw) * k,  k = treeCorrectionFactor(log2(bytes / 64))
//   NVLSTree     min(B, 8 * perChMaxNVLSTreeBw)
//
// A channel's messages over the network also wait. At its share b of the NICs, or at the pace of whatever link is slower
// (PCIe, scale-up: then the wait is a smaller part), a message takes t = bytes / b and waits for the
// way's latency L, of which shows
//   L                   where the transport has one message of a channel under way (`simple_only`: EFA v1),
//   L * 2L / (2L + t)   where two are: while one waits the other moves (timing.h, here for each message),
// so that transfers take 1 + shown / t * (1 - 1 / messages) times as long; the first message's wait is the chain's. It counts for
// rings over many members, whose slabs S / members / channels are small; messages are slabs, or slices of 1 MiB of them. In
// trees on EFA v1, instead of the caps above, messages are NCCL's chunks for this size and depth (512 to 32 KiB, src/enqueue.cc).
// Nothing here is fitted but L, which is the fabric's. EFA v1 with its 20 us: all-reduce of 1 MiB to 2 GiB on two p4de within 9 %
// mean (aws-samples/awsome-distributed-training), the FSDP paper's all-gather sweep (figure 2(b), read as 32 GPUs) within 4 % mean.
// The generation is read off the scale-up link (nvlink2 Volta, nvlink3 Ampere, nvlink4 Hopper, nvlink5 Blackwell).
#pragma once

#include "sim/collective/shape.h"
#include "sim/spec/cluster.h"
#include "sim/spec/collective.h"

namespace simulate {

// How many times longer than on the bare links a transfer takes.
[[nodiscard]] double NcclSlowdown(const HardwareSpec& hardware, const Shape& shape, Protocol protocol, Bytes bytes);

}  // namespace simulate
