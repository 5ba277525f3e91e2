// The engine's clock: an int64 count of picoseconds since the start of the run.
//
// Integer time makes the order of events exact and independent of compiler and
// summation order; the range is +-106 days. Durations are rounded in one place,
// SimTime::FromSeconds (half up; a positive duration never becomes zero).
// That a step takes months follows from numbers that are each in range, and shows only
// when it is timed: what does not fit is thrown as TimeOverflow, bad input and no bug.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <stdexcept>

#include "sim/base/units.h"

namespace simulate {

class TimeOverflow : public std::overflow_error {
 public:
  TimeOverflow() : std::overflow_error("this step takes longer than 50 days, more than the clock holds") {}
};

class SimTime {
 public:
  constexpr SimTime() = default;
  constexpr explicit SimTime(int64_t picoseconds) : ps_(picoseconds) {}
  // Throws TimeOverflow above half of the range, so that the sum of two fits. REQUIRES: s >= 0 (checked).
  [[nodiscard]] static SimTime FromSeconds(Seconds s);
  [[nodiscard]] static constexpr SimTime Max() { return SimTime(std::numeric_limits<int64_t>::max()); }

  [[nodiscard]] constexpr int64_t picoseconds() const { return ps_; }
  [[nodiscard]] constexpr Seconds seconds() const { return Seconds(static_cast<double>(ps_) * 1e-12); }

  constexpr auto operator<=>(const SimTime&) const = default;
  constexpr SimTime& operator+=(SimTime o) { return *this = *this + o; }
  // Wraps round like unsigned numbers; the event queue throws TimeOverflow for what has.
  friend constexpr SimTime operator+(SimTime a, SimTime b) {
    return SimTime(static_cast<int64_t>(static_cast<uint64_t>(a.ps_) + static_cast<uint64_t>(b.ps_)));
  }
  friend constexpr SimTime operator-(SimTime a, SimTime b) { return SimTime(a.ps_ - b.ps_); }

 private:
  int64_t ps_ = 0;
};

}  // namespace simulate
