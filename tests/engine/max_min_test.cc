// Max-min fairness on textbook cases.
#include "sim/engine/max_min.h"

#include <catch2/catch.hpp>

#include "sim/base/random.h"

namespace simulate {
namespace {

std::vector<double> Rates(const std::vector<std::vector<Demand>>& demands,
                          const std::vector<double>& capacity, const std::vector<double>& limits = {}) {
  std::vector<FairFlow> flows;
  for (size_t f = 0; f < demands.size(); ++f) {
    flows.push_back({.demands = demands[f]});
    if (!limits.empty()) flows.back().limit = limits[f];
  }
  MaxMinSolver solver;
  solver.Solve(flows, capacity);
  std::vector<double> rates;
  for (const FairFlow& flow : flows) rates.push_back(flow.rate);
  return rates;
}

TEST_CASE("two flows on one link get half each") {
  CHECK(Rates({{{0, 1}}, {{0, 1}}}, {10}) == std::vector<double>{5, 5});
}

TEST_CASE("a long flow over a chain leaves the rest to the short ones") {
  // Bertsekas & Gallager: links of 1, 1, 2; the long flow shares each with one short one.
  // The first full links are 0 and 1 at 1/2; link 2 then has 3/2 for its short flow.
  const std::vector<double> rates =
      Rates({{{0, 1}, {1, 1}, {2, 1}}, {{0, 1}}, {{1, 1}}, {{2, 1}}}, {1, 1, 2});
  CHECK(rates[0] == Approx(0.5));
  CHECK(rates[1] == Approx(0.5));
  CHECK(rates[2] == Approx(0.5));
  CHECK(rates[3] == Approx(1.5));
}

TEST_CASE("what a flow cannot use goes to the others") {
  const std::vector<double> rates = Rates({{{0, 1}}, {{0, 1}}, {{0, 1}}}, {12}, {2, 100, 100});
  CHECK(rates == std::vector<double>{2, 5, 5});
}

TEST_CASE("a flow that demands double weighs double on its link") {
  // x + 2x = 12.
  const std::vector<double> rates = Rates({{{0, 1}}, {{0, 2}}}, {12});
  CHECK(rates == std::vector<double>{4, 4});
}

TEST_CASE("growth sets the ratio of rates on a shared bottleneck") {
  std::vector<std::vector<Demand>> demands = {{{0, 1}}, {{0, 1}}};
  std::vector<FairFlow> flows = {{.demands = demands[0], .growth = 1}, {.demands = demands[1], .growth = 3}};
  MaxMinSolver solver;
  solver.Solve(flows, std::vector<double>{8});
  CHECK(flows[0].rate == Approx(2));
  CHECK(flows[1].rate == Approx(6));
}

TEST_CASE("no link is oversubscribed and every flow has a bottleneck") {
  // The definition: each flow crosses a full link on which it is among the fastest, or has its limit.
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed);
    const size_t links = 2 + random.Below(6);
    std::vector<double> capacity;
    for (size_t l = 0; l < links; ++l) capacity.push_back(1.0 + static_cast<double>(random.Below(9)));
    std::vector<std::vector<Demand>> demands(1 + random.Below(12));
    for (auto& flow : demands) {
      for (uint32_t l = 0; l < links; ++l) {
        if (random.Below(2) == 0) flow.push_back({l, 1.0});
      }
      if (flow.empty()) flow.push_back({0, 1.0});
    }
    const std::vector<double> rates = Rates(demands, capacity);
    std::vector<double> used(links, 0.0), fastest(links, 0.0);
    for (size_t f = 0; f < rates.size(); ++f) {
      for (const Demand& d : demands[f]) {
        used[d.resource] += rates[f];
        fastest[d.resource] = std::max(fastest[d.resource], rates[f]);
      }
    }
    INFO("seed " << seed);
    for (size_t l = 0; l < links; ++l) CHECK(used[l] <= capacity[l] * (1 + 1e-9));
    for (size_t f = 0; f < rates.size(); ++f) {
      bool bottleneck = false;
      for (const Demand& d : demands[f]) {
        bottleneck |= used[d.resource] >= capacity[d.resource] * (1 - 1e-9) &&
                      rates[f] >= fastest[d.resource] * (1 - 1e-9);
      }
      CHECK(bottleneck);
    }
  }
}

}  // namespace
}  // namespace simulate
