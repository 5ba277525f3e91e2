// cluster/ - the hardware graph: accelerators, switches, NICs, hosts and the links between them.
//
// Built from a HardwareSpec; a Boost.Graph adjacency list behind this header. Links are directed
// (one per direction). Routes are computed per class of endpoint pair, not per pair.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sim/base/units.h"
#include "sim/spec/cluster.h"

namespace simulate {

using LinkId = uint32_t;
using VertexId = uint32_t;

enum class VertexKind : uint8_t { kAccelerator, kSwitch, kNic, kHost };

struct Link {
  VertexId from = 0;
  VertexId to = 0;
  BytesPerSecond bandwidth;   // achievable payload: datasheet times efficiency
  Seconds latency;
  uint16_t kind = 0;          // into Topology::link_kinds()
};

class Topology {
 public:
  // REQUIRES: the hardware can hold `accelerators` (config/ checks it).
  Topology(const HardwareSpec& hardware, int64_t accelerators);
  ~Topology();
  Topology(Topology&&) noexcept;
  Topology& operator=(Topology&&) noexcept;

  [[nodiscard]] uint32_t accelerator_count() const;
  [[nodiscard]] uint32_t accelerators_per_node() const;
  [[nodiscard]] uint32_t node_of(uint32_t accelerator) const;
  [[nodiscard]] std::span<const Link> links() const;
  [[nodiscard]] const std::vector<std::string>& link_kinds() const;
  [[nodiscard]] std::string LinkName(LinkId link) const;     // "node0.gpu3 -> node0.nvswitch"
  // Links from one accelerator to another, in order.
  [[nodiscard]] std::vector<LinkId> Route(uint32_t from, uint32_t to) const;
  // Equal for two groups that are placed alike on the graph (same pattern of nodes, rails and leaves).
  [[nodiscard]] uint64_t PlacementSignature(std::span<const uint32_t> accelerators) const;

 private:
  struct Graph;
  std::unique_ptr<Graph> graph_;
};

}  // namespace simulate
