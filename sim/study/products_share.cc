#include "sim/study/products_share.h"

#include <vector>

#include "sim/kernel/attention.h"

namespace simulate {
namespace {

bool Counts(KernelKind kind) { return kind == KernelKind::kGemm || kind == KernelKind::kAttention || kind == KernelKind::kMemory; }

// How busy a kernel keeps the multipliers, and so how much it draws, against a product.
double Draws(const KernelWork& work, const AcceleratorSpec& accelerator) {
  if (work.kind == KernelKind::kGemm) return 1.0;
  return work.kind == KernelKind::kAttention ? AttentionIntensity(work.attention.kernel, accelerator) : 0.0;
}

}  // namespace

double ProductsShare(const Program& program, const KernelModel& kernels) {
  std::vector<double> seconds(program.kernels.size(), 0.0);
  for (size_t k = 0; k < program.kernels.size(); ++k) {
    if (Counts(program.kernels[k].kind)) seconds[k] = kernels.Cost(program.kernels[k]).time.value();
  }
  std::vector<double> ranks(program.programs.size(), 0.0);
  for (const uint32_t p : program.program_of_rank) ranks[p] += 1.0;
  double products = 0, all = 0;
  for (size_t p = 0; p < program.programs.size(); ++p) {
    const RankProgram& rank = program.programs[p];
    for (size_t i = rank.step_begin; i < rank.instructions.size(); ++i) {
      if (rank.instructions[i].kind != InstructionKind::kKernel || rank.instructions[i].phase == Phase::kOptimizer) continue;
      const uint32_t kernel = rank.instructions[i].object;
      all += ranks[p] * seconds[kernel];
      products += Draws(program.kernels[kernel], kernels.accelerator()) * ranks[p] * seconds[kernel];
    }
  }
  return all > 0.0 ? products / all : 0.0;
}

KernelModel KernelsInStep(const Program& program, const AcceleratorSpec& accelerator, int64_t chips, const HostSide& host) {
  if (accelerator.calibration.power.slope <= 0.0) return KernelModel(accelerator, chips, host);  // nothing would ask for the share
  return KernelModel(accelerator, chips, host, ProductsShare(program, KernelModel(accelerator, chips, host)));
}

}  // namespace simulate
