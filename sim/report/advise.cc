#include "sim/report/advise.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace simulate {
namespace {

constexpr double kWorthSaying = 0.03;  // of the step
constexpr double kHeadroom = 0.95;     // of the device's memory may be planned for

struct Remedy {
  Seconds attacked;
  std::string text;
};

double Gb(Bytes bytes) { return static_cast<double>(bytes.value()) * 1e-9; }

Bytes Category(const Report& r, MemoryCategory category) { return r.memory.at_peak[static_cast<size_t>(category)]; }

// What scales with the micro-batch, once more, still fits.
bool TwiceTheMicroBatchFits(const Report& r) {
  const double more = Gb(Category(r, MemoryCategory::kActivations)) + Gb(Category(r, MemoryCategory::kLogits)) +
                      Gb(Category(r, MemoryCategory::kWorkspace));
  return Gb(r.memory.peak_reserved) + more < kHeadroom * Gb(r.memory_capacity);
}

std::string Free(const Report& r) {
  return absl::StrFormat("%.0f of %.0f GB are free", Gb(r.memory_capacity) - Gb(r.memory.peak_reserved), Gb(r.memory_capacity));
}

std::string LargerMicroBatch(const Scenario& s, const Report& r) {
  return absl::StrFormat("training.micro_batch_size=%d, as %s", 2 * s.training.micro_batch_size, Free(r));
}

Remedy AgainstBubble(const Scenario& s, const Report& r) {
  const PipelineSpec& p = s.parallelism.pipeline;
  const bool can_interleave = p.virtual_stages == 1 && p.schedule == PipelineScheduleKind::k1F1B;
  return {r.breakdown.pipeline_bubble,
          absl::StrFormat("against the bubble training.gradient_accumulation_steps=%d%s", 2 * s.training.gradient_accumulation_steps,
                          can_interleave ? " (a larger batch), or parallelism.pipeline.virtual_stages=2" : " (a larger batch)")};
}

Remedy AgainstCommunication(const Scenario& s, const Report& r) {
  const DataParallelSpec& d = s.parallelism.data;
  const Seconds exposed = r.breakdown.exposed() + r.breakdown.contention;
  if (TwiceTheMicroBatchFits(r)) return {exposed, absl::StrCat("to hide communication behind more work ", LargerMicroBatch(s, r))};
  if (d.strategy == DataStrategy::kFsdp && d.sharding == Sharding::kFullShard && r.nodes > 1) {
    return {exposed, "to keep gathers inside the node parallelism.data.sharding=hybrid_shard, if memory allows"};
  }
  return {exposed, absl::StrFormat("to communicate less often training.gradient_accumulation_steps=%d (a larger batch)",
                                   2 * s.training.gradient_accumulation_steps)};
}

std::vector<Remedy> Remedies(const Scenario& s, const Report& r) {
  std::vector<Remedy> remedies;
  const Breakdown& b = r.breakdown;
  if (s.parallelism.pipeline.stages > 1) remedies.push_back(AgainstBubble(s, r));
  remedies.push_back(AgainstCommunication(s, r));
  if (s.training.runtime == Runtime::kEager) {
    remedies.push_back({b.host_bound, TwiceTheMicroBatchFits(r) ? absl::StrCat("to outrun the host ", LargerMicroBatch(s, r))
                                                                : "to outrun the host training.runtime=compiled"});
  }
  if (s.training.activation_checkpointing == Checkpointing::kFull && TwiceTheMicroBatchFits(r)) {
    remedies.push_back({b.recompute, absl::StrCat("against recomputation training.activation_checkpointing=selective, as ", Free(r))});
  }
  std::stable_sort(remedies.begin(), remedies.end(), [](const Remedy& x, const Remedy& y) { return y.attacked < x.attacked; });
  return remedies;
}

// What the path's largest operator and its largest collective could bring.
std::string Gains(const Report& r) {
  const auto say = [](const PathShare& share) {
    std::string name = share.kind == "host" ? "the host" : share.kind;
    if (!share.over.empty()) absl::StrAppend(&name, " over ", share.over);
    return absl::StrFormat("%s saves at most %.2g %%", name, share.share * 10.0);
  };
  const PathShare* work = nullptr;
  const PathShare* wire = nullptr;
  const std::vector<PathShare> path = ByOperator(r.path);
  for (const PathShare& share : path) {
    const PathShare*& best = share.group.empty() ? work : wire;
    if (best == nullptr) best = &share;
  }
  if (work == nullptr) return "";
  std::string text = absl::StrCat("10 % faster ", say(*work), " of the step");
  if (wire != nullptr && wire->share >= kWorthSaying / 3.0) absl::StrAppend(&text, ", 10 % faster ", say(*wire));
  return absl::StrCat(text, ".");
}

}  // namespace

std::string Advise(const Scenario& scenario, const Report& report) {
  if (report.out_of_memory) return "To try: `simulate memory` with this scenario lists neighbouring settings that fit.";
  std::string text;
  const std::vector<Remedy> remedies = Remedies(scenario, report);
  if (!remedies.empty() && remedies.front().attacked / report.step_time >= kWorthSaying) {
    absl::StrAppend(&text, "To try: ", remedies.front().text, ".");
  }
  const std::string gains = Gains(report);
  if (gains.empty()) return text;
  return text.empty() ? gains : absl::StrCat(text, " ", gains);
}

}  // namespace simulate
