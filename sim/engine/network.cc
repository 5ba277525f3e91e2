#include "sim/engine/network.h"

#include <algorithm>
#include <cmath>

#include "sim/base/check.h"

namespace simulate {

namespace {
double Quantise(double share) {
  constexpr double kSteps = 1048576.0;
  return std::clamp(std::floor(share * kSteps + 0.5), 1.0, kSteps) / kSteps;
}
}  // namespace

Network::Network(std::span<const double> capacity) : capacity_(capacity), resources_(capacity.size()) {}

void Network::Touch(const Flow& flow) {
  for (const Demand& demand : flow.demands) {
    Resource& resource = resources_[demand.resource];
    if (resource.touched) continue;
    resource.touched = true;
    touched_.push_back(demand.resource);
  }
}

void Network::Add(uint32_t id, std::span<const Demand> demands, double growth) {
  if (id >= flows_.size()) flows_.resize(id + size_t{1});
  Flow& flow = flows_[id];
  SIM_CHECK(!flow.active, "flow ", id, " is already on the network");
  flow.demands = demands;
  flow.growth = growth;
  flow.share = 1.0;
  flow.active = true;
  for (const Demand& demand : demands) resources_[demand.resource].flows.push_back(id);
  Touch(flow);
}

void Network::Remove(uint32_t id) {
  Flow& flow = flows_[id];
  SIM_CHECK(flow.active, "flow ", id, " is not on the network");
  flow.active = false;
  for (const Demand& demand : flow.demands) {
    std::vector<uint32_t>& users = resources_[demand.resource].flows;
    const auto at = std::find(users.begin(), users.end(), id);
    *at = users.back();
    users.pop_back();
  }
  Touch(flow);
}

// All flows that share something, directly or through others, with those on `seed`.
void Network::CollectComponent(uint32_t seed) {
  component_resources_.assign(1, seed);
  component_flows_.clear();
  resources_[seed].seen = round_;
  for (size_t next = 0; next < component_resources_.size(); ++next) {
    for (const uint32_t id : resources_[component_resources_[next]].flows) {
      Flow& flow = flows_[id];
      if (flow.seen == round_) continue;
      flow.seen = round_;
      component_flows_.push_back(id);
      for (const Demand& demand : flow.demands) {
        Resource& resource = resources_[demand.resource];
        if (resource.seen == round_) continue;
        resource.seen = round_;
        component_resources_.push_back(demand.resource);
      }
    }
  }
  std::sort(component_flows_.begin(), component_flows_.end());
}

void Network::SolveComponent() {
  fair_.clear();
  for (const uint32_t id : component_flows_) {
    fair_.push_back({.demands = flows_[id].demands, .growth = flows_[id].growth, .limit = 1.0});
  }
  solver_.Solve(fair_, capacity_);
  ++updates_;
  for (size_t f = 0; f < fair_.size(); ++f) {
    Flow& flow = flows_[component_flows_[f]];
    const double share = Quantise(fair_[f].rate);
    if (share == flow.share) continue;
    flow.share = share;
    changed_.push_back(component_flows_[f]);
  }
  for (const uint32_t r : component_resources_) resources_[r].used = 0.0;
  for (const uint32_t id : component_flows_) {
    for (const Demand& demand : flows_[id].demands) {
      resources_[demand.resource].used += demand.amount * flows_[id].share;
    }
  }
  for (const uint32_t r : component_resources_) {
    resources_[r].peak = std::max(resources_[r].peak, std::min(1.0, resources_[r].used / capacity_[r]));
  }
}

std::span<const uint32_t> Network::Update() {
  changed_.clear();
  if (touched_.empty()) return {};
  ++round_;
  for (const uint32_t r : touched_) {
    resources_[r].touched = false;
    if (resources_[r].seen == round_ || resources_[r].flows.empty()) continue;
    CollectComponent(r);
    SolveComponent();
  }
  touched_.clear();
  return changed_;
}

}  // namespace simulate
