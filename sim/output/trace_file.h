// Writes a Timeline as a trace file: Perfetto's protobuf format (open in ui.perfetto.dev) or
// Chrome's JSON (chrome://tracing, speedscope, Perfetto as well).
#pragma once

#include <ostream>

#include "sim/engine/timeline.h"
#include "sim/program/program.h"

namespace simulate {

// Both stream packet by packet and hold no more than one rank's counters. `every_rank`: a process for each rank, not
// one for those that fared alike. REQUIRES: the run recorded spans. Errors: check the stream afterwards.
void WritePerfettoTrace(const Program& program, const Timeline& timeline, bool every_rank, std::ostream& out);
void WriteChromeTrace(const Program& program, const Timeline& timeline, bool every_rank, std::ostream& out);

}  // namespace simulate
