#include "sim/engine/max_min.h"

#include <algorithm>

#include "sim/base/check.h"

namespace simulate {

namespace {
constexpr uint32_t kNone = 0xFFFFFFFF;
constexpr double kTie = 1.0 + 1e-12;  // levels closer than this are one level
}  // namespace

void MaxMinSolver::Collect(std::span<const FairFlow> flows, std::span<const double> capacity) {
  for (const Resource& r : resources_) place_of_[r.id] = kNone;  // of the previous call
  resources_.clear();
  place_of_.resize(std::max(place_of_.size(), capacity.size()), kNone);
  for (const FairFlow& flow : flows) {
    for (const Demand& demand : flow.demands) {
      uint32_t& place = place_of_[demand.resource];
      if (place == kNone) {
        place = static_cast<uint32_t>(resources_.size());
        resources_.push_back({.id = demand.resource, .left = capacity[demand.resource]});
      }
      Resource& r = resources_[place];
      r.growth += flow.growth * demand.amount;
      ++r.growing;
    }
  }
  uint32_t next = 0;
  for (Resource& r : resources_) {
    r.first_user = next;
    next += r.growing;
  }
  users_.resize(next);
  for (uint32_t f = 0; f < flows.size(); ++f) {
    for (const Demand& demand : flows[f].demands) {
      Resource& r = resources_[place_of_[demand.resource]];
      users_[r.first_user + r.user_count++] = f;
    }
  }
}

double MaxMinSolver::NextFullLevel() const {
  double level = std::numeric_limits<double>::infinity();
  for (const Resource& r : resources_) {
    if (r.growing > 0) level = std::min(level, r.left / r.growth);
  }
  return level;
}

void MaxMinSolver::Freeze(std::span<FairFlow> flows, uint32_t flow, double rate) {
  frozen_[flow] = 1;
  flows[flow].rate = rate;
  for (const Demand& demand : flows[flow].demands) {
    Resource& r = resources_[place_of_[demand.resource]];
    r.left = std::max(0.0, r.left - rate * demand.amount);
    r.growth -= flows[flow].growth * demand.amount;
    --r.growing;
  }
}

void MaxMinSolver::Solve(std::span<FairFlow> flows, std::span<const double> capacity) {
  Collect(flows, capacity);
  frozen_.assign(flows.size(), 0);
  by_limit_.resize(flows.size());
  for (uint32_t f = 0; f < flows.size(); ++f) by_limit_[f] = f;
  std::sort(by_limit_.begin(), by_limit_.end(), [&](uint32_t a, uint32_t b) {
    const double level_a = flows[a].limit / flows[a].growth;
    const double level_b = flows[b].limit / flows[b].growth;
    return level_a != level_b ? level_a < level_b : a < b;
  });
  for (size_t next = 0; next < by_limit_.size();) {
    const FairFlow& slowest = flows[by_limit_[next]];
    if (frozen_[by_limit_[next]] != 0) {
      ++next;
      continue;
    }
    const double full = NextFullLevel();
    const double limit = slowest.limit / slowest.growth;
    SIM_CHECK(
        full < std::numeric_limits<double>::infinity() || limit < std::numeric_limits<double>::infinity(),
        "a flow without demands needs a limit");
    if (limit <= full) {
      Freeze(flows, by_limit_[next++], slowest.limit);
      continue;
    }
    // Levels are read before anything freezes, so that ties fall together.
    const double tie = full * kTie;
    full_now_.clear();
    for (uint32_t r = 0; r < resources_.size(); ++r) {
      if (resources_[r].growing > 0 && resources_[r].left / resources_[r].growth <= tie)
        full_now_.push_back(r);
    }
    for (const uint32_t r : full_now_) {
      for (uint32_t u = 0; u < resources_[r].user_count; ++u) {
        const uint32_t f = users_[resources_[r].first_user + u];
        if (frozen_[f] == 0) Freeze(flows, f, std::min(flows[f].limit, flows[f].growth * full));
      }
    }
  }
}

}  // namespace simulate
