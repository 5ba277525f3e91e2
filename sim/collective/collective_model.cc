#include "sim/collective/collective_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "sim/base/check.h"
#include "sim/collective/nccl_tuning.h"
#include "sim/collective/shape.h"
#include "sim/collective/timing.h"

namespace simulate {
namespace {

constexpr Protocol kProtocols[] = {Protocol::kLL, Protocol::kLL128, Protocol::kSimple};

bool IsNvls(Algorithm a) { return a == Algorithm::kNvls || a == Algorithm::kNvlsTree; }

// What a member's memory moves per byte on the wire: the arriving byte is written, read again to be
// passed on, and its own data is read (reductions) or written (gathers).
double MemoryPerWireByte(Algorithm algorithm) { return algorithm == Algorithm::kDirect ? 1.0 : IsNvls(algorithm) ? 2.0 : 3.0; }

// Whether a protocol exists for the algorithm: NVLS and the Neuron library know only Simple.
bool Allowed(const HardwareSpec& hardware, const Shape& shape, Protocol protocol) {
  if (protocol == Protocol::kSimple) return true;
  if (shape.nodes > 1 && hardware.fabric.simple_only) return false;
  if (hardware.collective_library.kind == LibraryKind::kNeuron || IsNvls(shape.algorithm)) return false;
  // Point-to-point messages know no LL128.
  const bool point_to_point = shape.algorithm == Algorithm::kPairwise || shape.algorithm == Algorithm::kDirect;
  return !(point_to_point && protocol == Protocol::kLL128);
}

// What a hop over the network adds by storing and forwarding each slice at its channel's share of the links.
Seconds SliceTime(const LibrarySpec& library, const Shape& shape, double size, Seconds transfer) {
  if (size <= 0.0 || library.slice.value() == 0 || shape.members == 0) return Seconds();
  const double slab = size / static_cast<double>(shape.members * shape.channels);
  const double passes = std::max(1.0, std::round(shape.bus_bytes));  // an all-reduce sends each slab twice
  return transfer * (std::min(slab, static_cast<double>(library.slice.value())) * shape.channels / (size * passes));
}

// Beyond four times the largest group that was measured, times are extrapolated: 1,440 GB200 with NCCL
// (coreweave/nccl-tests), 64 NeuronCores with Neuron's library (nccom-test on two trn1), 16 MI300X with RCCL.
int64_t LargestTrusted(LibraryKind kind) {
  constexpr int64_t kTimes = 4;
  switch (kind) {
    case LibraryKind::kNeuron: return kTimes * 64;
    case LibraryKind::kRccl: return kTimes * 16;
    case LibraryKind::kNccl:
    case LibraryKind::kGeneric: break;
  }
  return kTimes * 1440;
}

CollectiveCost Price(const HardwareSpec& hardware, const Shape& shape, Protocol protocol, Bytes bytes) {
  const LibrarySpec& library = hardware.collective_library;
  const ProtocolSpec& p = library.protocols[static_cast<size_t>(protocol)];
  const auto size = static_cast<double>(bytes.value());
  const bool tuned = library.kind == LibraryKind::kNccl || library.kind == LibraryKind::kRccl;
  const double slowdown = tuned ? NcclSlowdown(hardware, shape, protocol, bytes) : 1.0 / p.efficiency;
  const Seconds transfer(size * shape.seconds_per_byte * slowdown);
  CollectiveCost cost;
  cost.slice = SliceTime(library, shape, size, transfer);
  const Seconds chain = ChainTime(shape.chain, p, cost.slice);
  cost.algorithm = shape.algorithm;
  cost.protocol = protocol;
  cost.inflation = slowdown;
  cost.channels = shape.channels;
  cost.cores = library.kind == LibraryKind::kNeuron ? 0 : shape.channels;  // Neuron has cores of its own for this
  cost.bottleneck = shape.bottleneck;
  cost.overhead = p.base;
  if (library.copy_share > 0.0 && hardware.accelerator.memory_bandwidth.value() > 0.0) {
    cost.overhead += Seconds(size * shape.copied / (library.copy_share * hardware.accelerator.memory_bandwidth.value()));
  }
  if (IsNvls(shape.algorithm)) {
    const double members = static_cast<double>(shape.members) / static_cast<double>(shape.nodes);
    const double stages = shape.nodes > 1 ? 2.0 : 1.0;  // up to the tree and down from it
    cost.overhead += library.nvls_base + library.nvls_member * members + Ramp(library.nvls_ramp * (members * stages), transfer);
  } else if (protocol == Protocol::kSimple) {
    cost.overhead += Ramp(library.ring_ramp * shape.ramp, transfer);
    if (chain.value() > 0.0) cost.hop_share = ExposedChain(chain, transfer) / chain;
  } else if (protocol == Protocol::kLL128) {
    cost.overhead += Ramp(library.ring_ramp * 0.5, transfer);
  }
  cost.latency = cost.overhead + chain * cost.hop_share;
  cost.time = cost.latency + transfer;
  for (const LinkLoad& load : shape.loads) cost.loads.push_back({load.link, load.bytes * size * slowdown});
  if (transfer.value() > 0.0) {
    cost.memory_traffic = BytesPerSecond(MemoryPerWireByte(shape.algorithm) * shape.wire_bytes * size / transfer.value());
  }
  cost.confidence = std::max(hardware.node.scale_up.confidence,
                             shape.chain.network_hops > 0.0 ? hardware.fabric.link.confidence : Confidence::kMeasured);
  if (shape.members > LargestTrusted(library.kind)) cost.confidence = Confidence::kExtrapolated;
  return cost;
}

// Nothing to move, or no one to move it to.
CollectiveCost Nothing() {
  CollectiveCost cost;
  cost.algorithm = Algorithm::kDirect;
  return cost;
}

using GroupsKey = std::pair<CollectiveOp, std::vector<uint32_t>>;

GroupsKey KeyOf(const CollectiveRequest& request) {
  GroupsKey key{request.op, {static_cast<uint32_t>(request.groups.size())}};
  for (const auto& group : request.groups) key.second.insert(key.second.end(), group.begin(), group.end());
  return key;
}

}  // namespace

struct CollectiveModel::Cache {
  explicit Cache(const Topology& topology) : traffic(topology) {}
  Traffic traffic;  // scratch: a large cluster has a million links, a send uses a few
  std::map<GroupsKey, std::vector<Shape>> shapes;
  std::map<std::pair<uint32_t, uint32_t>, Shape> sends;
};

CollectiveModel::CollectiveModel(const HardwareSpec& hardware, const Topology& topology, CollectiveChoice choice)
    : hardware_(hardware), topology_(topology), choice_(choice), cache_(std::make_unique<Cache>(topology)) {}
CollectiveModel::~CollectiveModel() = default;
CollectiveModel::CollectiveModel(CollectiveModel&&) noexcept = default;

std::vector<CollectiveCost> CollectiveModel::Options(const CollectiveRequest& request) const {
  if (request.bytes.value() == 0 || request.groups.empty() || request.groups[0].size() < 2) return {Nothing()};
  const auto [it, fresh] = cache_->shapes.try_emplace(KeyOf(request));
  if (fresh) it->second = MakeShapes(hardware_, request.op, request.groups, cache_->traffic);
  std::vector<CollectiveCost> options;
  for (const Shape& shape : it->second) {
    if (choice_.algorithm && *choice_.algorithm != shape.algorithm && it->second.size() > 1) continue;
    for (const Protocol protocol : kProtocols) {
      if (!Allowed(hardware_, shape, protocol) || (choice_.protocol && *choice_.protocol != protocol)) continue;
      options.push_back(Price(hardware_, shape, protocol, request.bytes));
    }
  }
  return options;
}

CollectiveCost CollectiveModel::Cost(const CollectiveRequest& request) const {
  std::vector<CollectiveCost> options = Options(request);
  SIM_CHECK(!options.empty(), "the choice of algorithm and protocol leaves none for ", Name(request.op));
  return *std::min_element(options.begin(), options.end(),
                           [](const CollectiveCost& a, const CollectiveCost& b) { return a.time < b.time; });
}

MessageSchedule CollectiveModel::Messages(const CollectiveRequest& request, const CollectiveCost& cost) const {
  if (request.bytes.value() == 0 || request.groups.empty() || request.groups[0].size() < 2) return {};
  return ExpandMessages(hardware_, topology_, request.op, cost.algorithm, request.groups[0], request.bytes,
                        {cost.protocol, 0, cost.inflation, cost.hop_share, cost.slice});
}

CollectiveCost CollectiveModel::SendCost(uint32_t from, uint32_t to, Bytes bytes) const {
  if (bytes.value() == 0 || from == to) return Nothing();
  const auto [it, fresh] = cache_->sends.try_emplace({from, to});
  if (fresh) it->second = MakeSendShape(hardware_, from, to, cache_->traffic);
  CollectiveCost best;
  bool found = false;
  for (const Protocol protocol : kProtocols) {
    if (!Allowed(hardware_, it->second, protocol)) continue;
    CollectiveCost cost = Price(hardware_, it->second, protocol, bytes);
    if (!found || cost.time < best.time) best = std::move(cost);
    found = true;
  }
  return best;
}

}  // namespace simulate
