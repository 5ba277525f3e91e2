// The engine's clock: an int64 count of picoseconds since the start of the run.
//
// Integer time makes the order of events exact and independent of compiler and
// summation order; the range is +-106 days. Durations are rounded in one place,
// SimTime::FromSeconds (half up; a positive duration never becomes zero).
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

#include "sim/base/units.h"

namespace simulate {

class SimTime {
 public:
  constexpr SimTime() = default;
  constexpr explicit SimTime(int64_t picoseconds) : ps_(picoseconds) {}
  // REQUIRES: 0 <= s < 9.2e6 (checked).
  [[nodiscard]] static SimTime FromSeconds(Seconds s);
  [[nodiscard]] static constexpr SimTime Max() { return SimTime(std::numeric_limits<int64_t>::max()); }

  [[nodiscard]] constexpr int64_t picoseconds() const { return ps_; }
  [[nodiscard]] constexpr Seconds seconds() const { return Seconds(static_cast<double>(ps_) * 1e-12); }

  constexpr auto operator<=>(const SimTime&) const = default;
  constexpr SimTime& operator+=(SimTime o) { ps_ += o.ps_; return *this; }
  friend constexpr SimTime operator+(SimTime a, SimTime b) { return SimTime(a.ps_ + b.ps_); }
  friend constexpr SimTime operator-(SimTime a, SimTime b) { return SimTime(a.ps_ - b.ps_); }

 private:
  int64_t ps_ = 0;
};

}  // namespace simulate
