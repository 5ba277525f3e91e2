// The flows that are on the network now and their shares of full speed, 0 < share <= 1.
//
// Shares are max-min fair (max_min.h) and are recomputed once per instant, only for flows that are
// connected to a change through shared resources. They are rounded to multiples of 2^-20, so that the
// order of a sum, which folding changes, never changes a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/max_min.h"

namespace simulate {

class Network {
 public:
  explicit Network(std::span<const double> capacity);

  // Flow ids are small integers of the caller's, reusable after Remove.
  void Add(uint32_t flow, std::span<const Demand> demands, double growth);
  void Remove(uint32_t flow);
  // Recomputes what changed; returns the flows whose share is another now, each once, in no special order.
  [[nodiscard]] std::span<const uint32_t> Update();

  [[nodiscard]] double share(uint32_t flow) const { return flows_[flow].share; }
  [[nodiscard]] uint64_t updates() const { return updates_; }
  // Highest used part of a resource so far.
  [[nodiscard]] double peak_utilisation(uint32_t resource) const { return resources_[resource].peak; }

 private:
  struct Flow {
    std::span<const Demand> demands;
    double growth = 1.0;
    double share = 1.0;
    uint64_t seen = 0;
    bool active = false;
  };
  struct Resource {
    std::vector<uint32_t> flows;
    double used = 0.0;
    double peak = 0.0;
    uint64_t seen = 0;
    bool touched = false;
  };
  void Touch(const Flow& flow);
  void CollectComponent(uint32_t seed);
  void SolveComponent();

  std::span<const double> capacity_;
  std::vector<Flow> flows_;
  std::vector<Resource> resources_;
  std::vector<uint32_t> touched_;
  std::vector<uint32_t> component_resources_, component_flows_;
  std::vector<FairFlow> fair_;
  std::vector<uint32_t> changed_;
  MaxMinSolver solver_;
  uint64_t round_ = 0;
  uint64_t updates_ = 0;
};

}  // namespace simulate
