// Writes a simulated step as MLCommons Chakra execution traces, one file per rank, as ASTRA-sim and Chakra's own tools
// read them (ASTRA-sim: astra-sim/workload/Workload.cc and Chakra's feeder; attributes: its et_feeder_node_attr.h).
//
//   host calls  COMP_NODE with is_cpu_op: each depends on the one before; a host that blocks depends on what it waits for
//   kernels     COMP_NODE with num_ops (FLOPs) and tensor_size (bytes of device memory traffic)
//   collectives COMM_COLL_NODE with comm_type, comm_size and pg_name; an exchange is a send node and a receive node
//   device work depends on the host call that enqueued it, on the work before it on its stream, and on what it waits for
// All of these are data_deps. Process groups are in a file of their own (WriteCommGroups): ASTRA-sim's statistics refuse
// the METADATA_NODEs that PyTorch's traces carry them in. comm_size is the input of one rank, as PyTorch and ASTRA-sim count it: of an all-gather the
// shard. Times are those of the run, in whole microseconds, rounded so that they add up along a stream.
// The attribute `simulate` and the metadata `simulate.program` (description.h) hold what the format has no place for;
// replaying them gives back the very Program, so the same step. Allocations are left out: memory is not replayed.
#pragma once

#include <array>
#include <ostream>
#include <string>

#include "sim/engine/timeline.h"
#include "sim/program/program.h"

namespace simulate {

// The first number of a node's attribute `simulate`; those that follow are indices of description.h's tables.
enum class TracePart : int64_t {
  kHostWork,    // host call, times, phase, layer
  kHostWait,    // host call, times, phase, layer
  kEnqueue,     // host call, times, phase, layer: the host's part of the device work that follows
  kKernel,      // phase, layer, kernel
  kCollective,  // phase, layer, collective
  kSend,        // phase, layer, transfer
  kReceive,     // phase, layer, transfer; right behind the node that sends as part of the same exchange
};

struct TraceExport {
  const Program& program;
  const Timeline& timeline;                         // with spans
  std::string description;                          // DescribeProgram's
  std::string generator;                            // "simulate 0.1.0"
  std::array<int64_t, kHostCalls> host_call_ps{};  // what each call costs the host
};

// The trace of one rank, streamed node by node. `ranks` says which ranks the file stands for, as in "0-7,12".
// Errors: check the stream afterwards.
void WriteRankTrace(const TraceExport& what, RankId rank, const std::string& ranks, std::ostream& out);

// {"1": [0, 1, ...], ...}: every process group by the number that `pg_name` gives it, as ASTRA-sim's
// --comm-group-configuration reads it.
void WriteCommGroups(const Program& program, std::ostream& out);

// About how large WriteRankTrace's file is.
[[nodiscard]] int64_t EstimateTraceBytes(const Program& program, RankId rank);

}  // namespace simulate
