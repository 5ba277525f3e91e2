// Execution traces on a cluster: TraceProgram -> Timeline -> Report, beside study/simulate.h's line from a Scenario.
//
// An export of ours brings its host calls, so the host is priced anew on the given hardware; a foreign trace brings
// recorded host operators and launches (chakra/read_traces.h), so nothing is added to them.
#pragma once

#include <string>

#include "sim/chakra/description.h"
#include "sim/chakra/read_traces.h"
#include "sim/chakra/write_trace.h"
#include "sim/study/simulate.h"

namespace simulate {

// Whether the cluster holds so many ranks.
[[nodiscard]] bool CheckReplayHardware(const HardwareSpec& hardware, int64_t ranks, Diagnostics& diagnostics);

struct ReplayedTrace {
  Scenario scenario;      // what the report is made of: hardware, ranks, layout
  Simulation simulation;
};

// REQUIRES: CheckReplayHardware.
[[nodiscard]] ReplayedTrace ReplayTrace(TraceProgram trace, const HardwareSpec& hardware, bool unfold);

// What a trace of this scenario's step says beside its Program, and what its host calls cost.
[[nodiscard]] TraceContext TraceContextOf(const Scenario& scenario);
[[nodiscard]] TraceExport TraceExportOf(const Scenario& scenario, const Simulation& simulation, const std::string& generator);

}  // namespace simulate
