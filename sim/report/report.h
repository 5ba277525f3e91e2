// report/ - from what happened to the numbers that people ask for. Pure functions of a Timeline.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/confidence.h"
#include "sim/engine/timeline.h"
#include "sim/program/program.h"
#include "sim/spec/scenario.h"

namespace simulate {

// Seconds of the step on the worst rank; they sum to step_time.
struct Breakdown {
  Seconds compute;
  std::vector<std::pair<std::string, Seconds>> exposed_communication;  // by kind: all_gather, reduce_scatter, ...
  Seconds pipeline_bubble;
  Seconds host_bound;
  Seconds optimizer;
  Seconds idle;
};

struct ReferenceResult {
  std::string metric;
  double value = 0.0;
  double predicted = 0.0;
  double error = 0.0;      // relative: predicted / value - 1
  double tolerance = 0.0;  // 0: not held
};

struct TrustNote {
  std::string what;        // operator class or link
  Confidence confidence = Confidence::kCoarse;
  double share = 0.0;      // of the step
};

struct Report {
  std::vector<Setting> settings;
  int64_t gpus = 0, nodes = 0;
  int64_t data_parallel = 1, tensor_parallel = 1, pipeline_parallel = 1, context_parallel = 1, expert_parallel = 1;
  int64_t global_batch_size = 0;
  bool out_of_memory = false;
  Seconds step_time;
  double tflops_per_gpu = 0.0, hardware_tflops_per_gpu = 0.0, mfu = 0.0, hfu = 0.0;
  double tokens_per_s = 0.0, tokens_per_s_per_gpu = 0.0, samples_per_s = 0.0;
  MemoryUse memory;                  // worst rank
  Bytes memory_capacity;
  Breakdown breakdown;
  int64_t parameters = 0;
  Flops model_flops;                 // per step
  std::vector<ReferenceResult> reference;
  std::vector<TrustNote> trust;      // weakest first
  RunStats stats;
};

}  // namespace simulate
