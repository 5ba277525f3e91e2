// What the engine asks of a machine: prices and places, no more. engine.cc answers from a Machine;
// tests answer by hand. Every question is asked once and its answer kept (plan.h), never inside the loop,
// except Beside, whose answers the loop keeps.
#pragma once

#include <cstdint>
#include <span>

#include "sim/collective/collective_model.h"
#include "sim/kernel/kernel_model.h"
#include "sim/spec/kernel_work.h"

namespace simulate {

class Costs {
 public:
  virtual ~Costs() = default;
  [[nodiscard]] virtual KernelCost Kernel(const KernelWork& work) const = 0;
  [[nodiscard]] virtual Slowdown Beside(const KernelWork& work, const CollectivePressure& pressure) const = 0;
  [[nodiscard]] virtual Seconds Host(HostCall call) const = 0;
  [[nodiscard]] virtual Seconds LaunchLatency() const = 0;
  // How many launches one stream holds before the host has to wait; 0: any number.
  [[nodiscard]] virtual int64_t LaunchQueue() const { return 0; }
  [[nodiscard]] virtual CollectiveCost Collective(const CollectiveRequest& request) const = 0;
  [[nodiscard]] virtual CollectiveCost Send(uint32_t from, uint32_t to, Bytes bytes) const = 0;
  [[nodiscard]] virtual BytesPerSecond LinkBandwidth(LinkId link) const = 0;
  [[nodiscard]] virtual uint32_t Node(uint32_t accelerator) const = 0;
  // Whether some accelerators of a node leave it through one NIC.
  [[nodiscard]] virtual bool SharesNics() const { return false; }
  // Equal for groups that are placed alike.
  [[nodiscard]] virtual uint64_t Placement(std::span<const uint32_t> accelerators) const = 0;
  [[nodiscard]] virtual Bytes Memory() const = 0;
};

}  // namespace simulate
