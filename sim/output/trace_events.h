// A Timeline as the slices, counters and arrows that trace viewers show, before any file format.
//
// One process per simulated kind of rank ("rank 0 (stands for 512)") or per rank, tracks for the host, every stream
// that did something, and counters for memory, achieved TFLOPS and link use. Slices carry what the viewer shows on a
// click: phase, layer, shape, FLOPs, bytes, how much sharing cost. Times are simulated nanoseconds.
//
//   link use       what leaves or enters the rank, whichever is more: nccl-tests' bus bandwidth of every collective that
//                  is on the wire, and the bytes of every transfer, added up where they overlap
//   flow           from the slice that sends to the end of the slice that receives, so that an arrow never points back
//
// Events are handed to a sink rank by rank, so that a trace of many ranks never sits in memory.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "sim/engine/timeline.h"
#include "sim/program/program.h"

namespace simulate {

using TraceValue = std::variant<int64_t, double, std::string>;
using TraceArguments = std::vector<std::pair<const char*, TraceValue>>;

struct TraceSlice {
  uint64_t track = 0;
  std::string name;
  const char* category = "";
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
  TraceArguments arguments;
  std::vector<uint64_t> flows_out;  // leave at the slice's begin
  std::vector<uint64_t> flows_in;   // arrive at its end
};

enum class CounterUnit : uint8_t { kBytes, kNone };

// Receives events. Tracks are announced before they are used; slices of a track come in order of time
// and never overlap.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void Process(uint64_t track, int32_t pid, const std::string& name) = 0;
  virtual void Thread(uint64_t track, uint64_t process, int32_t pid, int32_t tid, const std::string& name) = 0;
  virtual void CounterTrack(uint64_t track, uint64_t process, int32_t pid, const std::string& name, CounterUnit unit) = 0;
  virtual void Slice(const TraceSlice& slice) = 0;
  virtual void Counter(uint64_t track, int64_t at_ns, double value) = 0;
};

// `every_rank`: a process for each rank instead of one for those that fared alike. REQUIRES: the run recorded spans.
void EmitTrace(const Program& program, const Timeline& timeline, bool every_rank, TraceSink& sink);

}  // namespace simulate
