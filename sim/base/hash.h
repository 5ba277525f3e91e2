// FNV-1a, 64 bits (Fowler, Noll, Vo; isthe.com/chongo/tech/comp/fnv): tells whether two texts are the same one.
// The same on every machine; not for adversaries.
#pragma once

#include <cstdint>
#include <string>

namespace simulate {

inline constexpr uint64_t kHashOfNothing = 0xCBF29CE484222325ULL;

[[nodiscard]] inline uint64_t Hash(const std::string& text, uint64_t before = kHashOfNothing) {
  uint64_t hash = before;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  return hash;
}

}  // namespace simulate
