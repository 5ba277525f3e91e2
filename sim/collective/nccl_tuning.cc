#include "sim/collective/nccl_tuning.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace simulate {
namespace {

// GB/s; rows Volta, Ampere, Hopper, Blackwell; columns 1, 2, more nodes. NVIDIA/nccl@5067397 src/graph/tuning.cc.
using ByNodes = std::array<double, 3>;
constexpr std::array<ByNodes, 4> kLlMax = {
    {{39.0, 39.0, 20.4}, {87.7, 22.5, 19.0}, {141.0, 45.0, 35.0}, {282.0, 25.0, 22.0}}};  // Blackwell on 2 nodes: 21 to 28 GB/s measured (all-gather
// and reduce-scatter of 0.25 to 2 MiB on 16 B200); NCCL has 90 and 70, twice Hopper's
constexpr std::array<double, 4> kRingLl128PerChannel = {20.0, 20.0, 36.7, 40.0};
constexpr std::array<ByNodes, 4> kTreeLl128PerChannel = {
    {{20.0, 20.0, 20.0}, {20.0, 20.0, 20.0}, {36.7, 36.7, 29.0}, {55.6, 31.67, 20.0}}};
constexpr std::array<ByNodes, 4> kTreePerChannel = {
    {{26.5, 18.5, 10.0}, {24.0, 23.6, 17.8}, {38.7, 41.4, 36.0}, {70.0, 42.8, 24.0}}};

constexpr std::array<ByNodes, 4> kNvlsTreePerChannel = {
    {{26.5, 18.5, 10.0}, {24.0, 23.6, 17.8}, {0.0, 57.7, 45.5}, {0.0, 88.0, 80.0}}};  // Blackwell on 2 nodes: 683 to 718 GB/s measured; NCCL has 96
constexpr double kNvlsTreeChannels = 8.0;
// Rings over the network: on Blackwell 308 of 380 GB/s in all-gather and reduce-scatter (16 B200, 8 NDR NICs),
// as 8 channels of 40 GB/s of the sm100 speed table give; the all-reduce (NVLSTree) of the same nodes reaches 380.
constexpr std::array<double, 4> kRingNetworkShare = {1.0, 1.0, 1.0, 0.81};

// treeCorrectionFactor of LL, LL128 and Simple by log2(bytes / 64); 1 outside.
constexpr std::array<std::array<double, 24>, 3> kTreeCorrection = {{
    {1.0, 1.0, 1.0, 1.0, 0.9, 0.8, 0.7, 0.7, 0.7, 0.7, 0.6, 0.5, 0.4, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0},
    {1.0, 1.0, 1.0, 1.0, 1.0, 0.9, 0.8, 0.8, 0.8, 0.7, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.8, 0.9, 0.9, 0.9, 0.9, 1.0, 1.0, 1.0},
    {0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.7, 0.6, 0.6, 0.5, 0.5, 0.5, 0.5, 0.6, 0.7, 0.8, 0.7, 0.7, 0.8, 0.9, 0.9, 0.9},
}};

size_t Generation(const HardwareSpec& hardware) {
  const std::string& kind = hardware.node.scale_up.kind;
  if (kind == "nvlink2") return 0;
  if (kind == "nvlink4") return 2;
  return kind == "nvlink5" ? 3 : 1;
}

double TreeCorrection(Protocol protocol, Bytes bytes) {
  const auto units = static_cast<uint64_t>(bytes.value()) >> 6;
  if (units == 0) return 1.0;
  const auto index = static_cast<size_t>(std::bit_width(units) - 1);
  const auto& factors = kTreeCorrection[static_cast<size_t>(protocol)];
  return index < factors.size() ? factors[index] : 1.0;
}

// What a tree passes on at once: NCCL halves its chunks until they fill the tree (src/enqueue.cc, ncclPatternTreeUpDown).
double TreeChunk(const HardwareSpec& hardware, const Shape& shape, double bytes_per_channel) {
  const double depth = static_cast<double>(shape.members) / static_cast<double>(shape.nodes) - 1.0 +
                       std::floor(std::log2(static_cast<double>(shape.nodes)));
  auto chunk = static_cast<double>(hardware.collective_library.slice.value());
  while (bytes_per_channel / chunk < depth * 8.0 && chunk > 131072.0) chunk *= 0.5;
  while (bytes_per_channel / chunk < depth * 4.0 && chunk > 65536.0) chunk *= 0.5;
  while (bytes_per_channel / chunk < depth && chunk > 32768.0) chunk *= 0.5;
  return chunk;
}

// How many times longer a channel's messages take for waiting (nccl_tuning.h). The first one's wait is the chain's.
double MessageWaits(const HardwareSpec& hardware, const Shape& shape, Bytes bytes) {
  if (shape.chain.network_hops <= 0.0 || hardware.collective_library.slice.value() == 0) return 1.0;
  const double channels = shape.channels;
  const double channel_bandwidth = shape.nic_bandwidth * static_cast<double>(shape.nics) / channels;
  const double all = static_cast<double>(bytes.value()) / channels;
  double messages = 1.0, message = all;
  if (shape.algorithm == Algorithm::kTree) {
    message = TreeChunk(hardware, shape, all);
    messages = all / message;
  } else {
    const double slab = all / static_cast<double>(shape.members);
    message = std::min(slab, 2.0 * static_cast<double>(hardware.collective_library.slice.value()));  // a slice is two steps
    messages = std::max(1.0, std::round(shape.bus_bytes)) * static_cast<double>(shape.members - 1) * slab / message;
  }
  if (messages <= 1.0) return 1.0;
  const double wait = (shape.chain.network_latency / shape.chain.network_hops).value();
  const double transfer = message / channel_bandwidth;
  const double shown = hardware.fabric.simple_only ? 1.0 : 2.0 * wait / (2.0 * wait + transfer);
  return 1.0 + wait * shown / transfer * (1.0 - 1.0 / messages);
}

double NvlsTreeSlowdown(const HardwareSpec& hardware, const Shape& shape) {
  const double cap = kNvlsTreeChannels * kNvlsTreePerChannel[Generation(hardware)][shape.nodes > 2 ? 2 : 1];
  const double bus = shape.bus_bytes / shape.seconds_per_byte / 1e9;
  return cap > 0.0 ? std::max(1.0, bus / cap) : 1.0;
}

}  // namespace

double NcclSlowdown(const HardwareSpec& hardware, const Shape& shape, Protocol protocol, Bytes bytes) {
  const bool tree = shape.algorithm == Algorithm::kTree;
  if (shape.algorithm == Algorithm::kNvlsTree) return NvlsTreeSlowdown(hardware, shape);
  if (!tree && shape.algorithm != Algorithm::kRing) return protocol == Protocol::kLL ? 2.0 : 1.0;
  if (shape.seconds_per_byte <= 0.0) return 1.0;
  const size_t g = Generation(hardware);
  const size_t nodes = static_cast<size_t>(std::clamp<int64_t>(shape.nodes, 1, 3) - 1);
  double bus = shape.bus_bytes / shape.seconds_per_byte / 1e9;
  const double offered = bus;
  if (!tree && shape.nodes > 1) bus *= kRingNetworkShare[g];
  const double ring_channels = shape.channels;
  // Trees are searched before channels are doubled: one per NIC.
  const double tree_channels = shape.nodes > 1 ? static_cast<double>(std::min<int64_t>(shape.nics, 16)) : ring_channels;
  double reached = bus;
  switch (protocol) {
    case Protocol::kLL: reached = std::min(bus / (tree ? 3.8 : 2.0), kLlMax[g][nodes]); break;
    case Protocol::kLL128:
      reached = tree ? std::min(bus * (shape.nodes > 1 ? 120.0 / 128.0 : 7.0 / 9.0), tree_channels * kTreeLl128PerChannel[g][nodes])
                     : std::min(0.92 * bus, ring_channels * kRingLl128PerChannel[g]);
      break;
    case Protocol::kSimple:
      if (tree) reached = std::min(0.92 * bus, tree_channels * kTreePerChannel[g][nodes]);
      if (tree && hardware.fabric.simple_only && shape.nodes > 1) return offered / bus * MessageWaits(hardware, shape, bytes);
      break;
  }
  if (!tree && protocol != Protocol::kLL) reached /= MessageWaits(hardware, shape, bytes);
  if (tree) reached *= TreeCorrection(protocol, bytes);
  return offered / reached;
}

}  // namespace simulate
