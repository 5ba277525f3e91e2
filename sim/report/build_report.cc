#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "sim/base/check.h"
#include "sim/report/report.h"

namespace simulate {
namespace {

// The rank that ends last; of several the first.
const RankTimeline& WorstRank(const Timeline& timeline) {
  return *std::max_element(timeline.ranks.begin(), timeline.ranks.end(),
                           [](const RankTimeline& a, const RankTimeline& b) { return a.end < b.end; });
}

const RankTimeline& FullestRank(const Timeline& timeline) {
  return *std::max_element(timeline.ranks.begin(), timeline.ranks.end(), [](const auto& a, const auto& b) {
    const auto key = [](const RankTimeline& r) {
      return std::tuple(r.memory.out_of_memory, r.memory.peak_allocated, r.memory.peak_reserved);
    };
    return key(a) < key(b);
  });
}

const char* ClassName(const KernelWork& work) {
  switch (work.kind) {
    case KernelKind::kGemm: return "matrix products";
    case KernelKind::kAttention: return "fused attention";
    case KernelKind::kMemory: return kMemoryBoundClass;
    case KernelKind::kHostCopy: return "copies to and from the host";
    case KernelKind::kHostOptimizer: return "optimizer on the host";
    case KernelKind::kRecorded: return "recorded work";
  }
  return "";
}

// Shares of the step by class of work and by how well it is known.
std::vector<TrustNote> Trust(const Program& program, const Timeline& timeline, const RankTimeline& rank) {
  const RankProgram& code = program.programs[program.program_of_rank[rank.rank]];
  const Seconds step = timeline.end.seconds();
  std::map<std::pair<std::string, Confidence>, double> seconds;
  for (const Span& span : rank.spans) {
    const Instruction& i = code.instructions[span.instruction];
    const bool host = program.streams[i.stream].kind == StreamKind::kHost && i.kind == InstructionKind::kKernel;
    if (host && program.kernels[i.object].kind == KernelKind::kRecorded) continue;  // operators, beside the device
    const double taken = (span.end - span.start).seconds().value();
    if (i.kind == InstructionKind::kKernel) {
      seconds[{ClassName(program.kernels[i.object]), timeline.kernels[i.object].confidence}] += taken;
    } else if (i.kind == InstructionKind::kCollective) {
      seconds[{Name(program.collectives[i.object].op), timeline.collectives[i.object].confidence}] += taken;
    }
  }
  std::vector<TrustNote> notes;
  for (const auto& [key, value] : seconds) notes.push_back({key.first, key.second, value / step.value()});
  std::stable_sort(notes.begin(), notes.end(), [](const TrustNote& a, const TrustNote& b) {
    return std::tuple(b.confidence, b.share) < std::tuple(a.confidence, a.share);
  });
  return notes;
}

// Of the fullest node: ranks fill nodes in order.
Bytes HostMemory(const Scenario& scenario, const Program& program) {
  const auto per_node = static_cast<size_t>(std::max<int64_t>(1, scenario.hardware.node.accelerators));
  Bytes most;
  for (size_t first = 0; first < program.program_of_rank.size(); first += per_node) {
    Bytes sum;
    for (size_t r = first; r < std::min(first + per_node, program.program_of_rank.size()); ++r) {
      sum += program.programs[program.program_of_rank[r]].host_memory;
    }
    most = std::max(most, sum);
  }
  return most;
}

void SetCounts(const Scenario& scenario, const Program& program, Report& report) {
  report.settings = scenario.settings;
  report.gpus = scenario.gpus;
  report.nodes = DivCeil(scenario.gpus, std::max<int64_t>(1, scenario.hardware.node.accelerators));
  report.tensor_parallel = scenario.parallelism.tensor;
  report.pipeline_parallel = scenario.parallelism.pipeline.stages;
  report.context_parallel = scenario.parallelism.context;
  report.expert_parallel = scenario.parallelism.expert;
  report.data_parallel =
      program.world_size() / (report.tensor_parallel * report.pipeline_parallel * report.context_parallel);
  report.global_batch_size = std::llround(program.totals.samples);
  report.tokens = program.totals.tokens;
  report.samples = program.totals.samples;
  report.micro_batches_simulated = scenario.training.gradient_accumulation_steps;
  report.parameters = program.totals.parameters;
  report.model_flops = program.totals.model_flops;
  report.hardware_flops = program.totals.hardware_flops;
  const PrecisionSpec& precision = scenario.training.precision;
  report.peak = scenario.hardware.accelerator.Peak(precision.fp8_matmuls ? DType::kFp8 : precision.compute);
}

}  // namespace

void SetRates(Report& report) {
  const double seconds = report.step_time.value();
  const auto gpus = static_cast<double>(report.gpus);
  if (seconds <= 0.0 || report.gpus == 0) return;
  report.tflops_per_gpu = report.model_flops.value() / seconds / gpus * 1e-12;
  report.hardware_tflops_per_gpu = report.hardware_flops.value() / seconds / gpus * 1e-12;
  if (report.peak.value() > 0.0) {
    report.mfu = report.tflops_per_gpu * 1e12 / report.peak.value();
    report.hfu = report.hardware_tflops_per_gpu * 1e12 / report.peak.value();
  }
  report.tokens_per_s = report.tokens / seconds;
  report.tokens_per_s_per_gpu = report.tokens_per_s / gpus;
  report.samples_per_s = report.samples / seconds;
}

Report BuildReport(const Scenario& scenario, const Program& program, const Timeline& timeline) {
  SIM_CHECK(!timeline.ranks.empty(), "a timeline without ranks");
  Report report;
  SetCounts(scenario, program, report);
  report.stats = timeline.stats;
  report.memory_capacity = scenario.hardware.accelerator.memory;
  const RankTimeline& fullest = FullestRank(timeline);
  report.memory_rank = fullest.rank;
  report.memory = fullest.memory;
  report.out_of_memory = fullest.memory.out_of_memory;
  report.host_memory = HostMemory(scenario, program);
  report.host_capacity = scenario.hardware.node.host_memory;
  if (report.host_capacity > Bytes(0) && report.host_memory > report.host_capacity) report.out_of_memory = true;
  if (report.out_of_memory) return report;  // the times are those of a device that it would fit

  const RankTimeline& worst = WorstRank(timeline);
  report.worst_rank = worst.rank;
  report.step_time = timeline.end.seconds();
  SetRates(report);
  report.breakdown = BreakDown(program, worst, timeline.end);
  report.communication = SumCommunication(program, timeline, worst);
  report.trust = Trust(program, timeline, worst);
  return report;
}

}  // namespace simulate
