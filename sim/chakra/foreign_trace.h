// A trace that someone else wrote into a Program; read_traces.h says how.
#pragma once

#include <optional>

#include "sim/chakra/read_traces.h"
#include "sim/chakra/trace_file.h"

namespace simulate {

[[nodiscard]] std::optional<TraceProgram> ReadForeignTraces(const TraceFolder& folder, const TraceOptions& options,
                                                            Diagnostics& diagnostics);

}  // namespace simulate
