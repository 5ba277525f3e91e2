// The simplex method of Nelder and Mead (The Computer Journal 7, 1965) with the coefficients of Gao and Han (2012) for
// several dimensions: minimises a function that has no derivatives. Deterministic.
#pragma once

#include <functional>
#include <vector>

namespace simulate {

using Objective = std::function<double(const std::vector<double>&)>;

// Starts from `start` with steps of a fifth of each value (at least `least_step`), restarts `restarts` times from the best point.
[[nodiscard]] std::vector<double> Minimise(const Objective& objective, std::vector<double> start, int evaluations = 2000,
                                           int restarts = 3, double least_step = 0.02);

}  // namespace simulate
