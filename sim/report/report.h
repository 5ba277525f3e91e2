// report/ - from what happened to the numbers that people ask for. Pure functions of a Timeline.
//
//   tflops_per_gpu          = model FLOPs of the step (no recomputation) / step time / accelerators
//   hardware_tflops_per_gpu = the same with recomputation counted
//   mfu, hfu                = those over the dense peak of the type that the multipliers see
//   tokens_per_s            = tokens of the step / step time
//
// breakdown.h says how the seconds of the worst rank are told apart; metric.h names the numbers; explain.h puts
// them into a sentence. Absent on purpose: how anything is shown (output/).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/confidence.h"
#include "sim/engine/timeline.h"
#include "sim/program/program.h"
#include "sim/report/breakdown.h"
#include "sim/spec/scenario.h"

namespace simulate {

struct ReferenceResult {
  std::string metric;
  double value = 0.0;
  double predicted = 0.0;
  double error = 0.0;      // relative: predicted / value - 1
  double tolerance = 0.0;  // 0: not held
  std::string note;
  bool missing = false;    // the run has no such number (it ran out of memory)
};

inline constexpr const char* kMemoryBoundClass = "memory-bound operators";

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
  bool out_of_memory = false;        // then there are no times and no rates
  Seconds step_time;
  double tflops_per_gpu = 0.0, hardware_tflops_per_gpu = 0.0, mfu = 0.0, hfu = 0.0;
  double tokens_per_s = 0.0, tokens_per_s_per_gpu = 0.0, samples_per_s = 0.0;
  RankId memory_rank = 0;
  MemoryUse memory;                  // worst rank
  Bytes memory_capacity;
  Bytes host_memory;                 // that offload takes on the fullest node
  Bytes host_capacity;               // of a node; 0: not stated
  RankId worst_rank = 0;             // whose breakdown it is
  Breakdown breakdown;
  Communication communication;
  int64_t parameters = 0;
  Flops model_flops;                 // per step
  Flops hardware_flops;
  double tokens = 0.0, samples = 0.0;
  int64_t micro_batches_simulated = 0;  // fewer than there are when study/predict.h continued the step
  FlopsPerSecond peak;               // that mfu and hfu are shares of
  std::vector<ReferenceResult> reference;
  std::vector<TrustNote> trust;      // weakest first
  RunStats stats;
};

// Fills the rates from step_time, counts and peak.
void SetRates(Report& report);

[[nodiscard]] Report BuildReport(const Scenario& scenario, const Program& program, const Timeline& timeline);

}  // namespace simulate
