// The result of a replayed trace as text: a trace has no memory, and often no counts of tokens or FLOPs, so it shows less
// than text.h does.
#pragma once

#include <string>

#include "sim/output/text.h"
#include "sim/report/report.h"

namespace simulate {

[[nodiscard]] std::string RenderReplayText(const std::string& title, const Report& report, const TextStyle& style);

}  // namespace simulate
