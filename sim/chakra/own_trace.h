// An export of ours back into the Program that it was.
#pragma once

#include <optional>

#include "sim/chakra/read_traces.h"
#include "sim/chakra/trace_file.h"

namespace simulate {

// `first` is the first of the files, read already.
[[nodiscard]] std::optional<TraceProgram> ReadOwnTraces(const TraceFolder& folder, const TraceFile& first,
                                                        Diagnostics& diagnostics);

}  // namespace simulate
