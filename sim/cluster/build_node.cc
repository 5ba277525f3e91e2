#include "sim/base/check.h"
#include "sim/cluster/graph.h"

namespace simulate {
namespace {

// NVLink pairs of DGX-1V, 6 links a GPU: DGX-1V system architecture white paper (WP-08437), figure 4;
// reference rows for GPU 0 agree (0-3 and 0-4 double, 0-1 and 0-2 single).
struct CubePair { uint32_t a, b, links; };
constexpr CubePair kHybridCubeMesh[] = {{0, 1, 1}, {0, 2, 1}, {0, 3, 2}, {0, 4, 2}, {1, 2, 2}, {1, 3, 1},
                                        {1, 5, 2}, {2, 3, 2}, {2, 6, 1}, {3, 7, 1}, {4, 5, 1}, {4, 6, 1},
                                        {4, 7, 2}, {5, 6, 2}, {5, 7, 1}, {6, 7, 2}};
constexpr double kLinksPerGpu = 6.0;

BytesPerSecond Achievable(const LinkSpec& link) { return link.bandwidth * link.efficiency; }

// A torus of any number of dimensions: chip i's neighbours one step up in each dimension, with wrap-around.
// A dimension of two chips is one link with the bandwidth of both directions of the ring.
void AddTorus(const NodeSpec& spec, VertexId first, Topology::Graph& graph) {
  const size_t dimensions = spec.torus.size();
  uint32_t stride = 1;
  for (size_t d = dimensions; d-- > 0;) {  // the last dimension varies fastest: row-major
    const auto size = static_cast<uint32_t>(spec.torus[d]);
    const double share = spec.torus_shares.empty() ? 1.0 / static_cast<double>(dimensions) : spec.torus_shares[d];
    const BytesPerSecond bandwidth = Achievable(spec.scale_up) * share * (size == 2 ? 1.0 : 0.5);
    for (uint32_t i = 0; i < spec.accelerators && size > 1; ++i) {
      const uint32_t place = i / stride % size;
      if (size == 2 && place == 1) continue;
      const uint32_t next = i + ((place + 1) % size - place) * stride;
      graph.AddDuplex(first + i, first + next, bandwidth, spec.scale_up.latency, spec.scale_up.kind);
    }
    stride *= size;
  }
}

void AddScaleUp(const NodeSpec& spec, uint32_t node, VertexId first, Topology::Graph& graph) {
  const auto count = static_cast<uint32_t>(spec.accelerators);
  const BytesPerSecond bandwidth = Achievable(spec.scale_up);
  const Seconds latency = spec.scale_up.latency;
  const std::string& kind = spec.scale_up.kind;
  switch (spec.topology) {
    case NodeTopology::kSwitch: {
      if (count < 2) return;
      const VertexId hub = graph.AddVertex(VertexKind::kSwitch, node, 0);
      for (uint32_t i = 0; i < count; ++i) graph.AddDuplex(first + i, hub, bandwidth, latency * 0.5, kind);
      return;
    }
    case NodeTopology::kFullMesh:
      for (uint32_t i = 0; i < count; ++i) {
        for (uint32_t j = i + 1; j < count; ++j) {
          graph.AddDuplex(first + i, first + j, bandwidth / (count - 1.0), latency, kind);
        }
      }
      return;
    case NodeTopology::kHybridCubeMesh:
      SIM_CHECK(count == 8, "a hybrid cube mesh has 8 accelerators");
      for (const CubePair& pair : kHybridCubeMesh) {
        graph.AddDuplex(first + pair.a, first + pair.b, bandwidth * (pair.links / kLinksPerGpu), latency, kind);
      }
      return;
    case NodeTopology::kTorus: AddTorus(spec, first, graph); return;
    case NodeTopology::kPcie: return;  // the host links them
  }
}

}  // namespace

void AddNode(const NodeSpec& spec, uint32_t node, Topology::Graph& graph) {
  const auto count = static_cast<uint32_t>(spec.accelerators);
  const auto nics = static_cast<uint32_t>(spec.nics);
  const VertexId first = graph.vertices.size();
  for (uint32_t i = 0; i < count; ++i) graph.AddVertex(VertexKind::kAccelerator, node, i);
  AddScaleUp(spec, node, first, graph);
  if (spec.pcie.bandwidth.value() > 0.0) {
    const VertexId host = graph.AddVertex(VertexKind::kHost, node, 0);
    for (uint32_t i = 0; i < count; ++i) {
      graph.AddDuplex(first + i, host, Achievable(spec.pcie), spec.pcie.latency, spec.pcie.kind);
    }
  }
  // Accelerator i has the NICs nearest to it: several of its own, one, or one shared with its neighbours.
  const BytesPerSecond to_nic = spec.pcie.bandwidth.value() > 0.0 ? Achievable(spec.pcie) : Achievable(spec.nic);
  const std::string kind = spec.pcie.kind.empty() ? "pcie" : spec.pcie.kind;
  std::vector<VertexId> nic_vertex;
  for (uint32_t j = 0; j < nics; ++j) nic_vertex.push_back(graph.AddVertex(VertexKind::kNic, node, j));
  if (node == 0) graph.exits.assign(count, {});
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t begin = i * nics / count;
    const uint32_t end = nics >= count ? (i + 1) * nics / count : begin + (nics > 0 ? 1 : 0);
    for (uint32_t j = begin; j < end; ++j) {
      graph.AddDuplex(first + i, nic_vertex[j], to_nic, spec.pcie.latency, kind);
      if (node == 0) graph.exits[i].push_back(nic_vertex[j]);
    }
    if (node == 0 && begin == end) graph.exits[i].push_back(first + i);
  }
}

}  // namespace simulate
