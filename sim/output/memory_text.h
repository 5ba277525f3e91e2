// Memory for a person: the peak by category, the classes of ranks, and how the allocated bytes move over the step.
#pragma once

#include <string>

#include "sim/engine/timeline.h"
#include "sim/report/report.h"

namespace simulate {

// The categories at the peak of the fullest rank, largest first. `totals` adds the peaks, the device and, if something is
// offloaded, the host's memory.
[[nodiscard]] std::string RenderMemoryTable(const Report& report, const std::string& title, bool totals, bool colour);

// One row per kind of rank; empty if all are alike.
[[nodiscard]] std::string RenderRankMemory(const Timeline& timeline, bool colour);

// One line: allocated bytes of the steady step in `width` columns, each as high as its highest moment.
[[nodiscard]] std::string RenderMemoryTimeline(const MemoryUse& memory, size_t width, bool unicode);

}  // namespace simulate
