// Seeded random numbers that are the same on every compiler and machine.
//
// splitmix64 (Steele, Lea, Flood 2014). One stream per purpose: derive it from the
// scenario's seed, a rank and a purpose, so that adding a draw never shifts others.
#pragma once

#include <cstdint>

namespace simulate {

class Random {
 public:
  explicit constexpr Random(uint64_t seed, uint64_t stream = 0) : state_(seed + 0x9E3779B97F4A7C15ULL * (stream + 1)) {}

  constexpr uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  // Uniform in [0, bound). REQUIRES: bound > 0.
  constexpr uint64_t Below(uint64_t bound) { return Next() % bound; }
  // Uniform in [0, 1).
  constexpr double Unit() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

 private:
  uint64_t state_;
};

}  // namespace simulate
