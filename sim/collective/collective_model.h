// collective/ - one collective over one group on the graph: latency, steps, bytes per link.
//
// As NCCL does it: every algorithm and protocol that the group's place allows is priced as
//   time = latency + max over links (bytes on the link / bandwidth)
// and the cheapest is chosen. Algorithms are in ring.h (on tori the multi-dimensional ring), tree.h, nvls.h
// and pairwise.h; their constants in spec/library.h, the formula in timing.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "sim/base/confidence.h"
#include "sim/base/units.h"
#include "sim/cluster/topology.h"
#include "sim/collective/messages.h"
#include "sim/spec/collective.h"

namespace simulate {

struct CollectiveRequest {
  CollectiveOp op = CollectiveOp::kAllReduce;
  Bytes bytes;                                     // nccl-tests' convention, see program.h
  // Groups of equal size and placement that make this call at the same moment: one in an unfolded run,
  // all copies of a symmetric group in a folded one. Loads cover them all; times are of one.
  std::vector<std::span<const uint32_t>> groups;
};

struct CollectiveCost {
  Algorithm algorithm = Algorithm::kRing;
  Protocol protocol = Protocol::kSimple;
  int channels = 0;
  Seconds latency;                 // paid whatever the bandwidth
  Seconds time;                    // alone on an idle network: latency + transfer
  // How the latency divides, for replay message by message: `overhead` once, and of every hop's own latency the
  // share that transfers do not hide; over the network a hop stores and forwards a slice as well.
  Seconds overhead;
  double hop_share = 1.0;
  Seconds slice;
  std::vector<LinkLoad> loads;     // in order of link
  LinkId bottleneck = 0;
  double inflation = 1.0;          // what the protocol makes of every byte on the wire
  int cores = 0;                   // compute units that its channels occupy on every member
  BytesPerSecond memory_traffic;   // on every member, while it runs at full speed
  Confidence confidence = Confidence::kCoarse;
};

// Narrows the choice, as NCCL_ALGO and NCCL_PROTO do.
struct CollectiveChoice {
  std::optional<Algorithm> algorithm;
  std::optional<Protocol> protocol;
};

// References must outlive the model. What depends on the groups alone is kept, so that pricing another size
// is cheap: one model serves one thread.
class CollectiveModel {
 public:
  CollectiveModel(const HardwareSpec& hardware, const Topology& topology, CollectiveChoice choice = {});
  ~CollectiveModel();
  CollectiveModel(CollectiveModel&&) noexcept;
  [[nodiscard]] CollectiveCost Cost(const CollectiveRequest& request) const;
  // Every algorithm and protocol that the groups could use, in a fixed order.
  [[nodiscard]] std::vector<CollectiveCost> Options(const CollectiveRequest& request) const;
  // A point-to-point message between two accelerators.
  [[nodiscard]] CollectiveCost SendCost(uint32_t from, uint32_t to, Bytes bytes) const;
  // The first group's messages, as `cost` (of this request) has them done. Its `overhead` comes on top.
  [[nodiscard]] MessageSchedule Messages(const CollectiveRequest& request, const CollectiveCost& cost) const;

 private:
  struct Cache;
  const HardwareSpec& hardware_;
  const Topology& topology_;
  CollectiveChoice choice_;
  std::unique_ptr<Cache> cache_;
};

}  // namespace simulate
