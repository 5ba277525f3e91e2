#include "sim/kernel/variation.h"

#include <cmath>

namespace simulate {

double ExpectedLargest(int64_t n) {
  if (n <= 1) return 0.0;
  const double count = static_cast<double>(n);
  const double share = (count - 0.375) / (count + 0.25);
  double low = 0.0, high = 10.0;  // the normal distribution's quantile, by bisection
  for (int i = 0; i < 50; ++i) {
    const double middle = 0.5 * (low + high);
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < share ? low : high) = middle;
  }
  return low;
}

}  // namespace simulate
