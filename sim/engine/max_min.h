// Max-min fair sharing of resources by progressive filling.
//
// A flow f runs at rate x_f and takes a_fr * x_f of each resource r that it demands, so that
// sum over f of a_fr * x_f <= capacity_r. All rates grow together, x_f = growth_f * level, until a resource
// is full or the flow reaches its limit; flows on a full resource stop, the rest grow on
// (Bertsekas & Gallager, Data Networks, 6.5.2, with weights). The result is the only one in which no
// flow can gain without a slower one losing.
//
// Cost: O(rounds * resources + demands); a round freezes at least one flow, ties freeze together.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace simulate {

struct Demand {
  uint32_t resource = 0;
  double amount = 0.0;  // > 0; taken per unit of rate
};

struct FairFlow {
  std::span<const Demand> demands;
  double growth = 1.0;
  double limit = std::numeric_limits<double>::infinity();
  double rate = 0.0;  // the answer
};

// Keeps its scratch space between calls.
class MaxMinSolver {
 public:
  // REQUIRES: every flow has a demand or a finite limit; resources index `capacity`.
  void Solve(std::span<FairFlow> flows, std::span<const double> capacity);

 private:
  struct Resource {
    uint32_t id = 0;
    double left = 0.0;    // capacity not taken by frozen flows
    double growth = 0.0;  // sum of growth * amount over flows that still grow
    uint32_t growing = 0;
    uint32_t first_user = 0;
    uint32_t user_count = 0;
  };
  void Collect(std::span<const FairFlow> flows, std::span<const double> capacity);
  [[nodiscard]] double NextFullLevel() const;
  void Freeze(std::span<FairFlow> flows, uint32_t flow, double rate);

  std::vector<Resource> resources_;
  std::vector<uint32_t> place_of_;  // resource -> index in resources_, or kNone
  std::vector<uint32_t> users_;     // flows of each resource
  std::vector<uint32_t> by_limit_;  // flows in order of the level at which they reach their limit
  std::vector<uint32_t> full_now_;  // resources that the current level fills
  std::vector<uint8_t> frozen_;
};

}  // namespace simulate
