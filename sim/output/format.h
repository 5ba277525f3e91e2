// Numbers as a person reads them. One unit per column is the table's business; these choose by size.
#pragma once

#include <optional>
#include <string>

#include "sim/base/units.h"

namespace simulate {

[[nodiscard]] std::string ShowTime(Seconds s);               // "2.736 s", "18.94 ms", "7.1 us"
[[nodiscard]] std::string ShowSize(Bytes b);                 // "27.31 GB": 1e9
[[nodiscard]] std::string ShowCount(double n);               // "1.234 M"
[[nodiscard]] std::string ShowPercent(double share, int digits = 1);        // "48.0 %"
[[nodiscard]] std::string ShowSignedPercent(double share, int digits = 1);  // "-1.7 %"
[[nodiscard]] std::string ShowNumber(double value, int significant);        // no exponent between 1e-4 and 1e7

}  // namespace simulate
