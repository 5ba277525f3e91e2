// Chakra execution traces as a Program: what `simulate replay` runs.
//
// A trace that simulate wrote (write_trace.h) gives back its very Program: same tables, same instructions, same step.
// A trace that someone else wrote (PyTorch's converter, text converters, ASTRA-sim's examples) becomes a Program so:
//   host operators (is_cpu_op)  recorded work on a stream per thread (`tid`)
//   compute nodes               recorded work, as long as duration_micros says, on the stream that `stream` (older
//                               converters: `tid`) names; where no time is given, num_ops and tensor_size over a roofline
//   memory nodes                tensor_size over the link to the host
//   collectives                 simulate's own, on a stream per process group; groups from metadata nodes or
//                               comm_groups.json, without a name: everybody
//   sends and receives          matched by source, destination and tag, in order; a send does not wait for its receive
// Streams run in order, nodes of one stream in order of their ids as far as dependencies allow.
// Absent on purpose: memory; ASTRA-sim's logical dimensions (involved_dim); contention beside recorded work.
#pragma once

#include <optional>
#include <string>

#include "sim/base/diagnostics.h"
#include "sim/chakra/description.h"
#include "sim/program/program.h"

namespace simulate {

struct TraceOptions {
  bool recorded = false;        // take a trace of ours as if someone else had written it
  bool roofline = false;        // num_ops and tensor_size before recorded durations of compute nodes
  double compute_scale = 1.0;   // recorded durations on the device times this
  double host_scale = 1.0;      // recorded durations on the host times this
  BytesPerSecond host_link;     // for memory nodes
};

struct TraceProgram {
  Program program;
  std::string name;             // PREFIX
  bool own = false;             // rebuilt from an export of ours
  TraceContext context;         // own: what it was exported with
};

// nullopt: the traces cannot be replayed, and `diagnostics` says why, all in one go.
[[nodiscard]] std::optional<TraceProgram> ReadTraces(const std::string& path, const TraceOptions& options,
                                                     Diagnostics& diagnostics);

}  // namespace simulate
