// Physical quantities as people write them: "3.35 TB/s", "400 Gb/s", "25 us", "80 GB", "40 MiB", "98.32 $/h".
//
// A number, optional blanks, a unit. The unit is mandatory (only 0 needs none): GB is 1e9 bytes, GiB 2^30,
// b bits, B bytes. Upper and lower case matter, because Mb is not MB. Negative numbers are refused.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/units.h"

namespace simulate {

enum class Dimension : uint8_t { kSize, kBandwidth, kTime, kFlopRate, kFrequency, kPower, kPrice };

enum class QuantityError : uint8_t { kNone, kNotANumber, kMissingUnit, kUnknownUnit, kWrongDimension, kNegative, kOutOfRange };

struct ParsedQuantity {
  QuantityError error = QuantityError::kNone;
  double value = 0.0;       // in bytes, bytes/s, seconds, FLOP/s, Hz, W, $/h
  std::string unit;         // as written
  Dimension found{};        // with kWrongDimension: what the unit measures
};

[[nodiscard]] ParsedQuantity ParseQuantity(const std::string& text, Dimension dimension);

// Decimal numbers only: no hexadecimal, no octal, no infinities. False when the text is not one.
[[nodiscard]] bool ParseNumber(const std::string& text, double* out);

[[nodiscard]] const char* Name(Dimension dimension);      // "bandwidth"
[[nodiscard]] const char* Example(Dimension dimension);   // "400 Gb/s"
[[nodiscard]] std::vector<std::string> Units(Dimension dimension);

// Three significant digits and the unit that suits: "3.35 TB/s", "25.0 us", "79.3 GB".
[[nodiscard]] std::string Format(Bytes value);            // decimal: kB, MB, GB, TB
[[nodiscard]] std::string FormatBinary(Bytes value);      // KiB, MiB, GiB; exact multiples without digits
[[nodiscard]] std::string Format(BytesPerSecond value);
[[nodiscard]] std::string Format(Seconds value);
[[nodiscard]] std::string Format(FlopsPerSecond value);

}  // namespace simulate
