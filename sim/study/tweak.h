// Named quantities of a scenario that a what-if can scale: the inputs of a tornado table.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "sim/spec/scenario.h"

namespace simulate {

struct Tweak {
  std::string name;                                   // "node.nic.bandwidth"
  std::string unit;
  std::function<double(const Scenario&)> read;        // 0: not stated, so not scaled
  std::function<void(Scenario&, double)> scale;       // by a factor
};

// Datasheet numbers, fitted constants, links, host times; sizes of the model are not among them.
[[nodiscard]] const std::vector<Tweak>& Tweaks();

// What a change of one quantity does to the step time.
struct Sensitivity {
  std::string name;
  double less = 0.0;  // step time at 1 - change over the step time, less 1
  double more = 0.0;  // at 1 + change
  [[nodiscard]] double swing() const;
};

// Largest swing first; quantities without influence are left out. REQUIRES: the point fits in memory.
[[nodiscard]] std::vector<Sensitivity> Sensitivities(const Scenario& point, double change, int threads,
                                                     const std::function<void(size_t, size_t)>& progress = {});

}  // namespace simulate
