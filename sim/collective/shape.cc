#include "sim/collective/shape.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/base/check.h"
#include "sim/collective/nvls.h"
#include "sim/collective/pairwise.h"
#include "sim/collective/ring.h"
#include "sim/collective/tree.h"

namespace simulate {
namespace {

// Every link and its load. Loads that differ by rounding are made alike: so the engine, which knows what else runs, can take
// links that all carry the same for one.
void SetLoads(const Traffic& traffic, Shape* shape) {
  const Topology& topology = traffic.topology();
  std::map<int64_t, double> alike;
  for (const LinkId id : traffic.used()) {
    SIM_CHECK(topology.links()[id].bandwidth.value() > 0.0, "traffic over the failed link ", topology.LinkName(id));
    constexpr double kResolution = 1e9;
    const double bytes = traffic.bytes(id);
    shape->loads.push_back({id, alike.try_emplace(std::llround(bytes * kResolution), bytes).first->second});
  }
  std::sort(shape->loads.begin(), shape->loads.end(), [](const LinkLoad& a, const LinkLoad& b) { return a.link < b.link; });
  double from_nic = 0.0;
  for (const LinkLoad& load : shape->loads) {
    const Link& link = topology.links()[load.link];
    const double seconds = load.bytes / link.bandwidth.value();
    if (topology.vertex_kind(link.from) == VertexKind::kAccelerator) {
      shape->wire_bytes = std::max(shape->wire_bytes, load.bytes);
    }
    const bool leaves = topology.vertex_kind(link.from) == VertexKind::kNic && topology.vertex_kind(link.to) != VertexKind::kAccelerator;
    if (leaves) from_nic = std::max(from_nic, load.bytes);
    if (seconds > shape->seconds_per_byte) {
      shape->seconds_per_byte = seconds;
      shape->bottleneck = load.link;
    }
  }
  if (shape->loads.empty()) return;
  // Nodes without NICs leave by their accelerators' links.
  shape->nic_bandwidth = from_nic > 0.0 ? from_nic / shape->seconds_per_byte : topology.links()[shape->bottleneck].bandwidth.value();
}

void KeepLonger(const Chain& chain, Chain* longest) {
  const auto length = [](const Chain& c) {
    return c.scale_up_latency.value() + c.network_latency.value() + 1e-6 * (c.scale_up_hops + c.network_hops);
  };
  if (length(chain) > length(*longest)) *longest = chain;
}

int Channels(const HardwareSpec& hardware, Algorithm algorithm, const Placement& placement) {
  const LibrarySpec& library = hardware.collective_library;
  int64_t channels = placement.SpansNodes() ? placement.MinExits() * library.channels_per_nic : library.channels;
  if (algorithm == Algorithm::kNvls || algorithm == Algorithm::kNvlsTree) channels = library.nvls_channels;
  return static_cast<int>(std::clamp<int64_t>(channels, 2, library.max_channels));
}

Chain AddGroup(const HardwareSpec& hardware, Algorithm algorithm, CollectiveOp op, const Placement& placement,
               Traffic& traffic) {
  switch (algorithm) {
    case Algorithm::kTree: return AddTreeAllReduce(placement, traffic);
    case Algorithm::kNvls:
    case Algorithm::kNvlsTree: {
      return AddNvls(placement, hardware.node.scale_up.efficiency / hardware.node.nvls_efficiency, traffic);
    }
    case Algorithm::kPairwise: {
      const double inflation = 1.0 / hardware.collective_library.message_network_share;
      return op == CollectiveOp::kSendRecv ? AddShift(placement, inflation, traffic) : AddAllToAll(placement, inflation, traffic);
    }
    case Algorithm::kHierarchical: return AddHierarchical(op, placement, traffic);
    case Algorithm::kDirect: return AddMesh(op, placement, traffic);
    case Algorithm::kRing:
    case Algorithm::kTorus: return AddRing(op, placement, 1.0 / hardware.collective_library.ring_network_share, traffic);
  }
  return {};
}

std::vector<Algorithm> Candidates(const HardwareSpec& hardware, const Topology& topology, CollectiveOp op,
                                  const Placement& placement) {
  const LibraryKind library = hardware.collective_library.kind;
  if (op == CollectiveOp::kAllToAll || op == CollectiveOp::kSendRecv) return {Algorithm::kPairwise};
  const bool torus = hardware.fabric.topology != FabricTopology::kExplicit && hardware.node.topology == NodeTopology::kTorus;
  const Algorithm ring = torus ? Algorithm::kTorus : Algorithm::kRing;
  const bool reducible = op == CollectiveOp::kAllReduce || op == CollectiveOp::kAllGather || op == CollectiveOp::kReduceScatter;
  std::vector<Algorithm> candidates = {ring};
  // Neuron sends small messages straight from every member to every other ("mesh", below 1 MB on trn2).
  if (library == LibraryKind::kNeuron && reducible && !placement.SpansNodes()) candidates.push_back(Algorithm::kDirect);
  if ((library == LibraryKind::kNeuron || library == LibraryKind::kGeneric) && reducible && placement.SpansNodes()) {
    candidates.push_back(Algorithm::kHierarchical);
  }
  if (op != CollectiveOp::kAllReduce || library == LibraryKind::kNeuron) return candidates;
  candidates.push_back(Algorithm::kTree);
  if ((library == LibraryKind::kNccl || library == LibraryKind::kGeneric) && hardware.node.nvls_efficiency > 0.0 && CanUseNvls(placement, topology)) {
    candidates.push_back(placement.SpansNodes() ? Algorithm::kNvlsTree : Algorithm::kNvls);
  }
  return candidates;
}

// An all-to-all inside a node fills a pipeline for every peer: 64 MiB to 1 GiB take 42 to 146 us above their transfer on 8 H100
// (MooreThreads/SimuMax@4dcaae5, nccl_fit.py), 83 to 144 on 4 A100 (galvatron), about 25 on own 2 H200. Over the network it
// hides behind the NICs; single messages showed none.
double RampShare(Algorithm algorithm, CollectiveOp op, const Shape& shape) {
  if (algorithm != Algorithm::kPairwise) return 1.0;
  const auto n = static_cast<double>(shape.members);
  return op == CollectiveOp::kAllToAll && shape.nodes == 1 ? (n - 1.0) / n : 0.0;
}

}  // namespace

std::vector<Shape> MakeShapes(const HardwareSpec& hardware, CollectiveOp op, const std::vector<std::span<const uint32_t>>& groups,
                              Traffic& traffic) {
  const Topology& topology = traffic.topology();
  SIM_CHECK(!groups.empty() && !groups[0].empty(), "a collective without members");
  // NCCL lays eight channels between nodes before it doubles them: the 72 GPUs and NICs of a GB200 rack reach no
  // more than 8 x 400 Gb/s between racks (all-reduce 406 GB/s over 20 racks, coreweave/nccl-tests).
  const bool few = hardware.collective_library.kind == LibraryKind::kNccl && op != CollectiveOp::kAllToAll && op != CollectiveOp::kSendRecv;
  std::vector<Placement> placements;
  for (const auto& group : groups) {
    placements.push_back(few ? WithFewExits(Place(topology, group)) : Place(topology, group));
  }
  std::vector<Shape> shapes;
  for (const Algorithm algorithm : Candidates(hardware, topology, op, placements[0])) {
    traffic.Clear();
    Shape shape;
    shape.algorithm = algorithm;
    shape.channels = Channels(hardware, algorithm, placements[0]);
    for (const Placement& placement : placements) {
      KeepLonger(AddGroup(hardware, algorithm, op, placement, traffic), &shape.chain);
    }
    const bool copies = op == CollectiveOp::kAllGather || op == CollectiveOp::kReduceScatter || op == CollectiveOp::kAllToAll;
    const auto n = static_cast<double>(placements[0].size);
    shape.members = placements[0].size;
    shape.nodes = static_cast<int64_t>(placements[0].nodes.size());
    shape.nics = placements[0].MinExits();
    if (algorithm == Algorithm::kTree) shape.bus_bytes = 2.0;
    if (algorithm == Algorithm::kNvlsTree) shape.bus_bytes = 2.0 * (n - 1.0) / n;
    if (algorithm == Algorithm::kRing && op != CollectiveOp::kBroadcast && op != CollectiveOp::kReduce) {
      shape.bus_bytes = (op == CollectiveOp::kAllReduce ? 2.0 : 1.0) * (n - 1.0) / n;
    }
    shape.ramp = RampShare(algorithm, op, shape);
    shape.copied = copies ? 1.0 / n : 0.0;
    SetLoads(traffic, &shape);
    shapes.push_back(std::move(shape));
  }
  return shapes;
}

Shape MakeSendShape(const HardwareSpec& hardware, uint32_t from, uint32_t to, Traffic& traffic) {
  traffic.Clear();
  Shape shape;
  shape.algorithm = Algorithm::kDirect;
  shape.ramp = 0.0;
  shape.chain = AddSend(from, to, 1.0 / hardware.collective_library.message_network_share, traffic);
  shape.channels = static_cast<int>(hardware.collective_library.channels_per_nic);
  SetLoads(traffic, &shape);
  return shape;
}

}  // namespace simulate
