#include "sim/engine/engine.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "sim/engine/costs.h"
#include "sim/engine/message_replay.h"
#include "sim/engine/simulate_ranks.h"

namespace simulate {

namespace {

class MachineCosts : public Costs {
 public:
  MachineCosts(const Machine& machine, bool messages) : machine_(machine), messages_(messages) {
    for (const Link& link : machine.topology.links()) bandwidth_.push_back(link.bandwidth.value());
  }
  [[nodiscard]] KernelCost Kernel(const KernelWork& work) const override {
    return machine_.kernels.Cost(work);
  }
  [[nodiscard]] Slowdown Beside(const KernelWork& work, const CollectivePressure& pressure) const override {
    return machine_.kernels.Beside(work, pressure);
  }
  [[nodiscard]] Seconds Host(HostCall call) const override { return machine_.host.Cost(call); }
  [[nodiscard]] Seconds LaunchLatency() const override { return machine_.host.launch_latency(); }
  [[nodiscard]] int64_t LaunchQueue() const override { return machine_.host.launch_queue(); }
  [[nodiscard]] CollectiveCost Collective(const CollectiveRequest& request) const override {
    CollectiveCost cost = machine_.collectives.Cost(request);
    return messages_ ? Replayed(request, std::move(cost)) : cost;
  }
  [[nodiscard]] CollectiveCost Send(uint32_t from, uint32_t to, Bytes bytes) const override {
    return machine_.collectives.SendCost(from, to, bytes);
  }
  [[nodiscard]] BytesPerSecond LinkBandwidth(LinkId link) const override {
    return machine_.topology.links()[link].bandwidth;
  }
  [[nodiscard]] uint32_t Node(uint32_t accelerator) const override {
    return machine_.topology.node_of(accelerator);
  }
  [[nodiscard]] bool SharesNics() const override {
    const Topology& topology = machine_.topology;
    std::set<uint32_t> reached;
    return std::any_of(topology.links().begin(), topology.links().end(), [&](const Link& link) {
      return topology.vertex_kind(link.from) == VertexKind::kAccelerator && topology.vertex_kind(link.to) == VertexKind::kNic &&
             !reached.insert(link.to).second;
    });
  }
  [[nodiscard]] uint64_t Placement(std::span<const uint32_t> accelerators) const override {
    return machine_.topology.PlacementSignature(accelerators);
  }
  [[nodiscard]] Bytes Memory() const override { return machine_.memory; }

 private:
  struct Kept {
    Seconds time;                  // of all messages
    std::vector<LinkLoad> loads;
  };

  // One group's messages, alone on an idle network. Nothing, where they are too many.
  const Kept* ReplayOne(CollectiveOp op, std::span<const uint32_t> group, Bytes bytes, const CollectiveCost& cost) const {
    const auto [it, fresh] = kept_.try_emplace({op, bytes.value(), {group.begin(), group.end()}});
    if (!fresh) return it->second.loads.empty() ? nullptr : &it->second;
    const MessageSchedule schedule = machine_.collectives.Messages({op, bytes, {group}}, cost);
    if (MessageCount(schedule) > kMostMessages) return nullptr;
    it->second.time = ReplayMessages(schedule, bandwidth_).end.seconds();
    it->second.loads = LoadsOf(schedule);
    return it->second.loads.empty() ? nullptr : &it->second;
  }

  // What is left of the closed form: its choices, and what is paid once whatever the hops.
  CollectiveCost Replayed(const CollectiveRequest& request, CollectiveCost cost) const {
    std::map<LinkId, double> loads;
    for (const auto& group : request.groups) {
      const Kept* one = ReplayOne(request.op, group, request.bytes, cost);
      if (one == nullptr) return cost;
      for (const LinkLoad& load : one->loads) loads[load.link] += load.bytes;
    }
    const Kept& first = *ReplayOne(request.op, request.groups[0], request.bytes, cost);
    double transfer = 0.0;  // of one group, were its messages nothing but bytes
    for (const LinkLoad& load : first.loads) {
      const double seconds = load.bytes / bandwidth_[load.link];
      if (seconds > transfer) cost.bottleneck = load.link;
      transfer = std::max(transfer, seconds);
    }
    cost.time = cost.overhead + first.time;
    cost.latency = std::max(Seconds(), cost.time - Seconds(transfer));
    cost.loads.clear();
    for (const auto& [link, bytes] : loads) cost.loads.push_back({link, bytes});
    return cost;
  }

  const Machine& machine_;
  bool messages_;
  std::vector<double> bandwidth_;  // by link
  mutable std::map<std::tuple<CollectiveOp, int64_t, std::vector<uint32_t>>, Kept> kept_;
};

}  // namespace

Timeline Run(const Program& program, const Machine& machine, const RunOptions& options) {
  return RunWith(MachineCosts(machine, options.messages), program, options);
}

}  // namespace simulate
