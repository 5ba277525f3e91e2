#include "sim/base/quantity_text.h"

#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace simulate {
namespace {

struct Unit {
  Dimension dimension;
  const char* name;
  double factor;
};

constexpr double kKi = 1024.0, kMi = kKi * 1024, kGi = kMi * 1024, kTi = kGi * 1024;

constexpr Unit kUnits[] = {
    {Dimension::kSize, "B", 1},          {Dimension::kSize, "kB", 1e3},        {Dimension::kSize, "KB", 1e3},
    {Dimension::kSize, "MB", 1e6},       {Dimension::kSize, "GB", 1e9},        {Dimension::kSize, "TB", 1e12},
    {Dimension::kSize, "PB", 1e15},      {Dimension::kSize, "KiB", kKi},       {Dimension::kSize, "MiB", kMi},
    {Dimension::kSize, "GiB", kGi},      {Dimension::kSize, "TiB", kTi},
    {Dimension::kBandwidth, "B/s", 1},   {Dimension::kBandwidth, "kB/s", 1e3}, {Dimension::kBandwidth, "MB/s", 1e6},
    {Dimension::kBandwidth, "GB/s", 1e9}, {Dimension::kBandwidth, "TB/s", 1e12}, {Dimension::kBandwidth, "MiB/s", kMi},
    {Dimension::kBandwidth, "GiB/s", kGi}, {Dimension::kBandwidth, "TiB/s", kTi},
    {Dimension::kBandwidth, "Mb/s", 1e6 / 8}, {Dimension::kBandwidth, "Gb/s", 1e9 / 8},
    {Dimension::kBandwidth, "Tb/s", 1e12 / 8},
    {Dimension::kTime, "ps", 1e-12},     {Dimension::kTime, "ns", 1e-9},       {Dimension::kTime, "us", 1e-6},
    {Dimension::kTime, "µs", 1e-6},      {Dimension::kTime, "ms", 1e-3},       {Dimension::kTime, "s", 1},
    {Dimension::kTime, "min", 60},       {Dimension::kTime, "h", 3600},        {Dimension::kTime, "days", 86400},
    {Dimension::kFlopRate, "GFLOPS", 1e9}, {Dimension::kFlopRate, "TFLOPS", 1e12}, {Dimension::kFlopRate, "PFLOPS", 1e15},
    {Dimension::kFlopRate, "TOPS", 1e12}, {Dimension::kFlopRate, "POPS", 1e15},
    {Dimension::kFrequency, "Hz", 1},    {Dimension::kFrequency, "MHz", 1e6},  {Dimension::kFrequency, "GHz", 1e9},
    {Dimension::kPower, "W", 1},         {Dimension::kPower, "kW", 1e3},       {Dimension::kPower, "MW", 1e6},
    {Dimension::kPrice, "$/h", 1},
};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Length of the decimal number that `text` starts with; 0 if it starts with none.
size_t NumberLength(const std::string& text) {
  size_t i = 0;
  const auto digits = [&] {
    const size_t start = i;
    while (i < text.size() && IsDigit(text[i])) ++i;
    return i - start;
  };
  if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
  if (digits() == 0) return 0;
  if (i + 1 < text.size() && text[i] == '.' && IsDigit(text[i + 1])) {
    ++i;
    digits();
  }
  if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
    const size_t mark = i++;
    if (i < text.size() && (text[i] == '-' || text[i] == '+')) ++i;
    if (digits() == 0) i = mark;  // a unit that starts with e
  }
  return i;
}

std::string Scaled(double value, const char* const* units, size_t count, double step, const char* suffix) {
  size_t i = 0;
  while (i + 1 < count && std::abs(value) >= step * 0.9995) {
    value /= step;
    ++i;
  }
  const double magnitude = std::abs(value);
  const int decimals = magnitude >= 99.95 || magnitude == 0.0 ? 0 : magnitude >= 9.995 ? 1 : 2;
  return absl::StrFormat("%.*f %s%s", decimals, value, units[i], suffix);
}

}  // namespace

bool ParseNumber(const std::string& text, double* out) {
  if (text.empty() || NumberLength(text) != text.size()) return false;
  const size_t first = text[0] == '-' || text[0] == '+' ? 1 : 0;
  if (text[first] == '0' && first + 1 < text.size() && IsDigit(text[first + 1])) return false;  // octal to YAML
  *out = std::strtod(text.c_str(), nullptr);
  return true;
}

ParsedQuantity ParseQuantity(const std::string& text, Dimension dimension) {
  ParsedQuantity result;
  const size_t length = NumberLength(text);
  double number = 0.0;
  if (length == 0 || !ParseNumber(text.substr(0, length), &number)) {
    result.error = QuantityError::kNotANumber;
    return result;
  }
  size_t start = length;
  while (start < text.size() && text[start] == ' ') ++start;
  result.unit = text.substr(start);
  if (number < 0.0) {
    result.error = QuantityError::kNegative;
    return result;
  }
  if (result.unit.empty()) {
    if (number != 0.0) result.error = QuantityError::kMissingUnit;
    return result;
  }
  result.error = QuantityError::kUnknownUnit;
  for (const Unit& unit : kUnits) {
    if (result.unit != unit.name) continue;
    result.value = number * unit.factor;
    result.found = unit.dimension;
    result.error = unit.dimension != dimension ? QuantityError::kWrongDimension : QuantityError::kNone;
    // 2^53: every whole number of bytes below it is exact.
    const double limit = dimension == Dimension::kSize ? 9007199254740992.0 : 1e30;
    if (result.error == QuantityError::kNone && !(result.value <= limit)) result.error = QuantityError::kOutOfRange;
    break;
  }
  return result;
}

const char* Name(Dimension dimension) {
  switch (dimension) {
    case Dimension::kSize: return "size";
    case Dimension::kBandwidth: return "bandwidth";
    case Dimension::kTime: return "time";
    case Dimension::kFlopRate: return "arithmetic rate";
    case Dimension::kFrequency: return "frequency";
    case Dimension::kPower: return "power";
    case Dimension::kPrice: return "price";
  }
  return "";
}

const char* Example(Dimension dimension) {
  switch (dimension) {
    case Dimension::kSize: return "80 GB";
    case Dimension::kBandwidth: return "400 Gb/s";
    case Dimension::kTime: return "25 us";
    case Dimension::kFlopRate: return "989 TFLOPS";
    case Dimension::kFrequency: return "1.83 GHz";
    case Dimension::kPower: return "700 W";
    case Dimension::kPrice: return "98.32 $/h";
  }
  return "";
}

std::vector<std::string> Units(Dimension dimension) {
  std::vector<std::string> names;
  for (const Unit& unit : kUnits) {
    if (unit.dimension == dimension) names.emplace_back(unit.name);
  }
  return names;
}

std::string Format(Bytes value) {
  static constexpr const char* kNames[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  return Scaled(static_cast<double>(value.value()), kNames, 6, 1000, "");
}

std::string FormatBinary(Bytes value) {
  static constexpr const char* kNames[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  int64_t whole = value.value();
  size_t i = 0;
  while (i < 5 && whole != 0 && whole % 1024 == 0) {
    whole /= 1024;
    ++i;
  }
  if (std::abs(whole) < 1024) return absl::StrCat(whole, " ", kNames[i]);
  return Scaled(static_cast<double>(value.value()), kNames, 6, 1024, "");
}

std::string Format(BytesPerSecond value) {
  static constexpr const char* kNames[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  return Scaled(value.value(), kNames, 6, 1000, "/s");
}

std::string Format(Seconds value) {
  static constexpr const char* kNames[] = {"ns", "us", "ms", "s"};
  return Scaled(value.value() * 1e9, kNames, 4, 1000, "");
}

std::string Format(FlopsPerSecond value) {
  static constexpr const char* kNames[] = {"FLOPS", "kFLOPS", "MFLOPS", "GFLOPS", "TFLOPS", "PFLOPS", "EFLOPS"};
  return Scaled(value.value(), kNames, 7, 1000, "");
}

}  // namespace simulate
