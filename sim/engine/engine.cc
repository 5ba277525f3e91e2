#include "sim/engine/engine.h"

#include "sim/engine/costs.h"
#include "sim/engine/simulate_ranks.h"

namespace simulate {

namespace {

class MachineCosts : public Costs {
 public:
  explicit MachineCosts(const Machine& machine) : machine_(machine) {}
  [[nodiscard]] KernelCost Kernel(const KernelWork& work) const override {
    return machine_.kernels.Cost(work);
  }
  [[nodiscard]] Slowdown Beside(const KernelWork& work, const CollectivePressure& pressure) const override {
    return machine_.kernels.Beside(work, pressure);
  }
  [[nodiscard]] Seconds Host(HostCall call) const override { return machine_.host.Cost(call); }
  [[nodiscard]] Seconds LaunchLatency() const override { return machine_.host.launch_latency(); }
  [[nodiscard]] CollectiveCost Collective(const CollectiveRequest& request) const override {
    return machine_.collectives.Cost(request);
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
  [[nodiscard]] uint64_t Placement(std::span<const uint32_t> accelerators) const override {
    return machine_.topology.PlacementSignature(accelerators);
  }
  [[nodiscard]] Bytes Memory() const override { return machine_.memory; }

 private:
  const Machine& machine_;
};

}  // namespace

Timeline Run(const Program& program, const Machine& machine, const RunOptions& options) {
  return RunWith(MachineCosts(machine), program, options);
}

}  // namespace simulate
