// Strong units for every physical quantity in the simulator.
//
// A quantity is a number with a dimension. Only meaningful arithmetic compiles:
//   Bytes / BytesPerSecond -> Seconds      Flops / FlopsPerSecond -> Seconds
//   Seconds + Seconds, 2 * Seconds, Seconds / Seconds -> double
// Bytes is an integer (memory totals must add exactly); everything else is double,
// because 6*N*tokens of a large run exceeds the range of int64.
// GB is 1e9 bytes, GiB is 2^30.
#pragma once

#include <cmath>
#include <compare>
#include <cstdint>

namespace simulate {

template <typename Tag>
class Quantity {
 public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(double value) : value_(value) {}
  [[nodiscard]] constexpr double value() const { return value_; }

  constexpr auto operator<=>(const Quantity&) const = default;
  constexpr Quantity& operator+=(Quantity other) { value_ += other.value_; return *this; }
  constexpr Quantity& operator-=(Quantity other) { value_ -= other.value_; return *this; }
  constexpr Quantity& operator*=(double factor) { value_ *= factor; return *this; }

  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity(a.value_ + b.value_); }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity(a.value_ - b.value_); }
  friend constexpr Quantity operator*(Quantity a, double f) { return Quantity(a.value_ * f); }
  friend constexpr Quantity operator*(double f, Quantity a) { return Quantity(a.value_ * f); }
  friend constexpr Quantity operator/(Quantity a, double f) { return Quantity(a.value_ / f); }
  friend constexpr double operator/(Quantity a, Quantity b) { return a.value_ / b.value_; }

 private:
  double value_ = 0.0;
};

using Seconds = Quantity<struct SecondsTag>;
using Flops = Quantity<struct FlopsTag>;
using BytesPerSecond = Quantity<struct BytesPerSecondTag>;
using FlopsPerSecond = Quantity<struct FlopsPerSecondTag>;
using Watts = Quantity<struct WattsTag>;
using Hertz = Quantity<struct HertzTag>;
using Dollars = Quantity<struct DollarsTag>;
using DollarsPerHour = Quantity<struct DollarsPerHourTag>;

// A size in memory or on the wire; exact.
class Bytes {
 public:
  constexpr Bytes() = default;
  constexpr explicit Bytes(int64_t value) : value_(value) {}
  explicit Bytes(double) = delete;  // round on purpose: see RoundBytes
  constexpr explicit Bytes(int value) : value_(value) {}
  [[nodiscard]] constexpr int64_t value() const { return value_; }

  constexpr auto operator<=>(const Bytes&) const = default;
  constexpr Bytes& operator+=(Bytes other) { value_ += other.value_; return *this; }
  constexpr Bytes& operator-=(Bytes other) { value_ -= other.value_; return *this; }

  friend constexpr Bytes operator+(Bytes a, Bytes b) { return Bytes(a.value_ + b.value_); }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return Bytes(a.value_ - b.value_); }
  friend constexpr Bytes operator*(Bytes a, int64_t n) { return Bytes(a.value_ * n); }
  friend constexpr Bytes operator*(int64_t n, Bytes a) { return Bytes(a.value_ * n); }
  friend constexpr double operator/(Bytes a, Bytes b) {
    return static_cast<double>(a.value_) / static_cast<double>(b.value_);
  }

 private:
  int64_t value_ = 0;
};

[[nodiscard]] constexpr int64_t DivCeil(int64_t a, int64_t b) { return (a + b - 1) / b; }
[[nodiscard]] constexpr int64_t RoundUp(int64_t a, int64_t multiple) { return DivCeil(a, multiple) * multiple; }
[[nodiscard]] constexpr Bytes DivCeil(Bytes a, int64_t n) { return Bytes(DivCeil(a.value(), n)); }
[[nodiscard]] inline Bytes RoundBytes(double value) { return Bytes(static_cast<int64_t>(std::llround(value))); }
[[nodiscard]] constexpr Bytes GiB(int64_t n) { return Bytes(n << 30); }
[[nodiscard]] constexpr Bytes MiB(int64_t n) { return Bytes(n << 20); }

[[nodiscard]] constexpr Seconds operator/(Bytes b, BytesPerSecond r) {
  return Seconds(static_cast<double>(b.value()) / r.value());
}
[[nodiscard]] constexpr Seconds operator/(Flops f, FlopsPerSecond r) { return Seconds(f.value() / r.value()); }
[[nodiscard]] constexpr BytesPerSecond operator/(Bytes b, Seconds s) {
  return BytesPerSecond(static_cast<double>(b.value()) / s.value());
}
[[nodiscard]] constexpr FlopsPerSecond operator/(Flops f, Seconds s) { return FlopsPerSecond(f.value() / s.value()); }

[[nodiscard]] constexpr Seconds Microseconds(double us) { return Seconds(us * 1e-6); }
[[nodiscard]] constexpr BytesPerSecond GBps(double gb) { return BytesPerSecond(gb * 1e9); }
[[nodiscard]] constexpr FlopsPerSecond TFlops(double tf) { return FlopsPerSecond(tf * 1e12); }

}  // namespace simulate
