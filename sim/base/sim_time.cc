#include "sim/base/sim_time.h"

#include <cmath>

#include "sim/base/check.h"

namespace simulate {

SimTime SimTime::FromSeconds(Seconds s) {
  const double ps = s.value() * 1e12;
  SIM_CHECK(ps >= 0.0, "no duration: ", s.value(), " s");
  if (ps > 4.6e18) throw TimeOverflow();
  const auto rounded = static_cast<int64_t>(std::floor(ps + 0.5));
  return SimTime(ps > 0.0 && rounded == 0 ? 1 : rounded);
}

}  // namespace simulate
