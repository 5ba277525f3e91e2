// Sets of ranks as texts: "0-7,12".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/program/program.h"

namespace simulate {

// `ranks` in ascending order.
[[nodiscard]] std::string ShowRanks(const std::vector<RankId>& ranks);

// Ascending, each once; nullopt: not of that form, or a rank that is not below `world`.
[[nodiscard]] std::optional<std::vector<RankId>> ReadRanks(const std::string& text, int64_t world);

}  // namespace simulate
