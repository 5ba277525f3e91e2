// What one export says once for all its nodes: the tables of a Program (streams, communicators, calls, kernels' shapes) and
// what a replay needs beside it (runtime, layout, counts for rates). It travels as one JSON text in the attribute
// `simulate.program` of a trace's GlobalMetadata; nodes refer to its tables by number, and it names every enumerator
// that it uses, so that a file outlives a renumbering. docs/TRACES.md lists its keys.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/program/program.h"
#include "sim/spec/training.h"

namespace simulate {

inline constexpr int kDescriptionFormat = 1;
inline constexpr int64_t kMostRanks = int64_t{1} << 20;

struct TraceContext {
  std::string hardware;  // that it was simulated on
  Runtime runtime = Runtime::kEager;
  DType compute = DType::kBf16;
  bool fp8_matmuls = false;
  bool traced_kernels = false;
  int64_t tensor = 1, pipeline = 1, context = 1, expert = 1;
  int64_t micro_batches = 1;
};

struct Description {
  Program tables;  // streams, kernels, calls, communicators, totals; no names, no programs
  int64_t world_size = 0;
  TraceContext context;
  std::vector<HostCall> host_calls;  // what a node's numbers stand for
  std::vector<Phase> phases;
  std::vector<DType> dtypes;
};

[[nodiscard]] std::string DescribeProgram(const Program& program, const TraceContext& context);

// nullopt: the text is not what DescribeProgram writes (`error` says where).
[[nodiscard]] std::optional<Description> ReadDescription(const std::string& text, std::string* error);

}  // namespace simulate
