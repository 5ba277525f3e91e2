#include "sim/output/format.h"

#include <cmath>

#include "absl/strings/str_format.h"

namespace simulate {

std::string ShowNumber(double value, int significant) {
  if (value == 0.0) return "0";
  const double size = std::fabs(value);
  if (size >= 1e7 || size < 1e-4) return absl::StrFormat("%.*g", significant, value);
  const int before = static_cast<int>(std::floor(std::log10(size))) + 1;
  return absl::StrFormat("%.*f", std::max(0, significant - before), value);
}

std::string ShowTime(Seconds s) {
  const double size = std::fabs(s.value());
  if (size == 0.0) return "0 s";
  if (size >= 1.0) return ShowNumber(s.value(), 4) + " s";
  if (size >= 1e-3) return ShowNumber(s.value() * 1e3, 4) + " ms";
  return ShowNumber(s.value() * 1e6, 4) + " us";
}

std::string ShowSize(Bytes b) {
  const auto value = static_cast<double>(b.value());
  const double size = std::fabs(value);
  if (size >= 1e9) return ShowNumber(value * 1e-9, 4) + " GB";
  if (size >= 1e6) return ShowNumber(value * 1e-6, 4) + " MB";
  if (size >= 1e3) return ShowNumber(value * 1e-3, 4) + " kB";
  return absl::StrFormat("%d B", b.value());
}

std::string ShowCount(double n) {
  const double size = std::fabs(n);
  if (size >= 1e12) return ShowNumber(n * 1e-12, 4) + " T";
  if (size >= 1e9) return ShowNumber(n * 1e-9, 4) + " B";
  if (size >= 1e6) return ShowNumber(n * 1e-6, 4) + " M";
  if (size >= 1e4) return ShowNumber(n * 1e-3, 4) + " k";
  return ShowNumber(n, 4);
}

std::string ShowPercent(double share, int digits) { return absl::StrFormat("%.*f %%", digits, share * 100.0); }

std::string ShowSignedPercent(double share, int digits) { return absl::StrFormat("%+.*f %%", digits, share * 100.0); }

}  // namespace simulate
