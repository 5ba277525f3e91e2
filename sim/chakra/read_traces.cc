#include "sim/chakra/read_traces.h"

#include "sim/chakra/foreign_trace.h"
#include "sim/chakra/own_trace.h"

namespace simulate {

std::optional<TraceProgram> ReadTraces(const std::string& path, const TraceOptions& options, Diagnostics& diagnostics) {
  const std::optional<TraceFolder> folder = FindTraces(path, diagnostics);
  if (!folder) return std::nullopt;
  if (!options.recorded) {
    Diagnostics unread;  // a first file that cannot be read is reported with the others
    const auto first = ReadTraceFile(folder->files[0].second, folder->files[0].first, unread);
    if (first && !first->description.empty()) return ReadOwnTraces(*folder, *first, diagnostics);
  }
  return ReadForeignTraces(*folder, options, diagnostics);
}

}  // namespace simulate
