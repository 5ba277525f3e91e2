// A hand-made machine for the engine's tests: every price can be worked out on paper.
//
// A kernel takes as many microseconds as it has FLOPs. Accelerator r has one link, number r, of
// `bandwidth`; a collective of b bytes puts b on the link of each member and takes latency + b/bandwidth.
// A message loads the link of its sender. Nodes hold `per_node` accelerators.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/engine/costs.h"
#include "sim/program/builder.h"

namespace simulate {

struct FakeCosts : Costs {
  double kernel_slowdown = 1.0;  // beside a collective
  double collective_slowdown = 1.0;
  Seconds host;  // every call but kNone
  Seconds launch;
  Seconds latency;
  BytesPerSecond bandwidth = GBps(1);  // 1000 bytes a microsecond
  int cores = 1;
  int64_t queue = 0;  // launches that a stream holds
  Bytes memory = GiB(80);
  uint32_t per_node = 8;
  std::map<uint32_t, double> link_scale;
  // Two communicators' groups of equal size and stride are placed alike.
  [[nodiscard]] KernelCost Kernel(const KernelWork& work) const override {
    return {.time = Microseconds(work.flops.value())};
  }
  [[nodiscard]] Slowdown Beside(const KernelWork&, const CollectivePressure& pressure) const override {
    if (pressure.cores == 0) return {};
    return {kernel_slowdown, collective_slowdown};
  }
  [[nodiscard]] Seconds Host(HostCall call) const override {
    return call == HostCall::kNone ? Seconds(0) : host;
  }
  [[nodiscard]] Seconds LaunchLatency() const override { return launch; }
  [[nodiscard]] int64_t LaunchQueue() const override { return queue; }
  [[nodiscard]] CollectiveCost Collective(const CollectiveRequest& request) const override {
    CollectiveCost cost;
    cost.latency = latency;
    cost.time = latency + request.bytes / bandwidth;
    cost.cores = cores;
    for (const auto& group : request.groups) {
      for (const uint32_t member : group)
        cost.loads.push_back({member, static_cast<double>(request.bytes.value())});
    }
    return cost;
  }
  [[nodiscard]] CollectiveCost Send(uint32_t from, uint32_t, Bytes bytes) const override {
    CollectiveCost cost;
    cost.latency = latency;
    cost.time = latency + bytes / bandwidth;
    cost.cores = cores;
    cost.loads = {{from, static_cast<double>(bytes.value())}};
    return cost;
  }
  [[nodiscard]] BytesPerSecond LinkBandwidth(LinkId link) const override {
    const auto scale = link_scale.find(link);
    return bandwidth * (scale == link_scale.end() ? 1.0 : scale->second);
  }
  [[nodiscard]] uint32_t Node(uint32_t accelerator) const override { return accelerator / per_node; }
  [[nodiscard]] uint64_t Placement(std::span<const uint32_t> accelerators) const override {
    std::map<uint32_t, uint64_t> nodes;
    uint64_t signature = 14695981039346656037ULL;
    for (const uint32_t a : accelerators) {
      const uint64_t node = nodes.try_emplace(Node(a), nodes.size()).first->second;
      signature = (signature ^ node) * 1099511628211ULL;
    }
    return signature;
  }
  [[nodiscard]] Bytes Memory() const override { return memory; }
};

inline KernelWork Work(double microseconds) { return {.flops = Flops(microseconds)}; }

}  // namespace simulate
