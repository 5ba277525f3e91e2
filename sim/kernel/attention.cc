#include "sim/kernel/attention.h"

#include <algorithm>
#include <cmath>

#include "sim/base/check.h"

namespace simulate {
namespace {

constexpr double kBlock = 128;

// Blocks of scores that are computed, for one head of one sequence.
double ScoreBlocks(const AttentionShape& s) {
  const double rows = std::ceil(static_cast<double>(s.query_length) / kBlock);
  const double columns = std::ceil(static_cast<double>(s.key_length) / kBlock);
  // The mask's diagonal ends at the last key, so later queries see more when there are more keys than queries.
  return s.causal ? rows * columns - rows * (rows - 1) / 2 : rows * columns;
}

// How much longer than FlashAttention-2 an older implementation takes (attention.h).
double AgainstFlash2(AttentionKernel kernel, bool backward) {
  switch (kernel) {
    case AttentionKernel::kFlash1: return 2.0;
    case AttentionKernel::kTriton: return backward ? 2.0 : 1.4;
    case AttentionKernel::kFlash:
    case AttentionKernel::kMemoryEfficient:
    case AttentionKernel::kFlash2: return 1.0;
  }
  return 1.0;
}

// The kernel whose constants price this one.
AttentionKernel PricedAs(AttentionKernel kernel) {
  return kernel == AttentionKernel::kFlash1 || kernel == AttentionKernel::kTriton ? AttentionKernel::kFlash2 : kernel;
}

}  // namespace

Seconds AttentionTime(const AttentionShape& s, DType type, const AcceleratorSpec& a) {
  if (PricedAs(s.kernel) != s.kernel) {
    AttentionShape second = s;
    second.kernel = PricedAs(s.kernel);
    return AgainstFlash2(s.kernel, s.backward) * AttentionTime(second, type, a);
  }
  SIM_CHECK(s.batch >= 1 && s.query_heads >= 1 && s.query_length >= 1 && s.key_length >= 1 && s.head_dim >= 1, "empty attention");
  const double peak = a.Peak(type).value();
  SIM_CHECK(peak > 0, a.name, " has no multipliers for ", Name(type));
  const AttentionCalibration& c = a.calibration.attention[static_cast<int>(s.kernel)][s.backward ? 1 : 0];
  const double units = static_cast<double>(a.compute_units);
  const double heads = static_cast<double>(s.batch) * static_cast<double>(s.query_heads);
  const double blocks = heads * std::ceil(static_cast<double>(s.query_length) / kBlock);
  const double scores = heads * ScoreBlocks(s) * kBlock * kBlock;
  const auto head = static_cast<double>(s.head_dim), value = static_cast<double>(s.value_dim > 0 ? s.value_dim : s.head_dim);
  const double products = 2.0 * (s.backward ? 3.0 * head + 2.0 * value : head + value) * units / (peak * c.efficiency);
  const double softmax = c.softmax_cycles / a.clock.value();
  const double tensor = 0.5 * static_cast<double>(s.batch) * 0.5 * (head + value) *
      static_cast<double>(SizeOf(type, 1).value()) *
      (static_cast<double>(s.query_heads * s.query_length) + static_cast<double>(s.key_value_heads * s.key_length));
  const double bandwidth =
      a.memory_bandwidth.value() * a.calibration.memory.access[static_cast<int>(MemoryAccess::kElementwise)].bandwidth;
  const double spread = blocks / units * c.block.value() + scores / units * (softmax + products);
  const double rows = static_cast<double>(std::min(c.rows, s.query_length));
  const double longest = rows * (static_cast<double>(s.key_length) * (softmax + products) + c.block.value() / kBlock);
  return c.launch + Seconds(std::max(spread, longest) + c.tensor_passes * tensor / bandwidth);
}

double AttentionDraw(AttentionKernel kernel, const PowerCalibration& power) {
  return power.attention_draw[static_cast<size_t>(PricedAs(kernel))] / AgainstFlash2(kernel, false);
}

}  // namespace simulate
