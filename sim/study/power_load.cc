#include "sim/study/power_load.h"

#include <vector>

#include "sim/kernel/attention.h"

namespace simulate {
namespace {

bool Counts(KernelKind kind) { return kind == KernelKind::kGemm || kind == KernelKind::kAttention || kind == KernelKind::kMemory; }

double Draw(const KernelWork& work, const PowerCalibration& power) {
  if (work.kind == KernelKind::kGemm) return 1.0;
  if (work.kind == KernelKind::kAttention) return AttentionDraw(work.attention.kernel, power);
  return power.memory_draw[static_cast<size_t>(work.access)];
}

}  // namespace

double PowerLoad(const Program& program, const KernelModel& kernels) {
  std::vector<double> seconds(program.kernels.size(), 0.0);
  for (size_t k = 0; k < program.kernels.size(); ++k) {
    if (Counts(program.kernels[k].kind)) seconds[k] = kernels.Cost(program.kernels[k]).time.value();
  }
  std::vector<double> ranks(program.programs.size(), 0.0);
  for (const uint32_t p : program.program_of_rank) ranks[p] += 1.0;
  const PowerCalibration& power = kernels.accelerator().calibration.power;
  double drawn = 0, all = 0;
  for (size_t p = 0; p < program.programs.size(); ++p) {
    const RankProgram& rank = program.programs[p];
    for (size_t i = rank.step_begin; i < rank.instructions.size(); ++i) {
      if (rank.instructions[i].kind != InstructionKind::kKernel || rank.instructions[i].phase == Phase::kOptimizer) continue;
      const uint32_t kernel = rank.instructions[i].object;
      all += ranks[p] * seconds[kernel];
      drawn += Draw(program.kernels[kernel], power) * ranks[p] * seconds[kernel];
    }
  }
  return all > 0.0 ? drawn / all : 0.0;
}

KernelModel KernelsInStep(const Program& program, const AcceleratorSpec& accelerator, int64_t chips, const HostSide& host) {
  if (accelerator.calibration.power.slope <= 0.0) return KernelModel(accelerator, chips, host);  // nothing would ask for the load
  return KernelModel(accelerator, chips, host, PowerLoad(program, KernelModel(accelerator, chips, host)));
}

}  // namespace simulate
