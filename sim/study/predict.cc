#include "sim/study/predict.h"

#include <algorithm>
#include <cmath>

#include "sim/report/advise.h"

namespace simulate {
namespace {

Report AtMicroBatches(const Scenario& scenario, int64_t micro_batches, const SimulationOptions& options) {
  Scenario shorter = scenario;
  shorter.training.gradient_accumulation_steps = micro_batches;
  return Simulate(shorter, options).report;
}

// The line through two points.
struct Line {
  double factor;  // (all - second) / (second - first)
  [[nodiscard]] Seconds operator()(Seconds first, Seconds second) const { return second + (second - first) * factor; }
};

double ExposedOf(const Breakdown& b, const std::string& kind) {
  for (const auto& [name, seconds] : b.exposed_communication) {
    if (name == kind) return seconds.value();
  }
  return 0.0;
}

// A part that shrank by a rounding of the schedule must not become negative: compute takes the difference.
void MoveIntoCompute(Seconds* part, Breakdown* b) {
  if (part->value() >= 0.0) return;
  b->compute += *part;
  *part = Seconds();
}

Breakdown Continue(const Breakdown& first, const Breakdown& second, Line line) {
  Breakdown b;
  b.compute = line(first.compute, second.compute);
  b.pipeline_bubble = line(first.pipeline_bubble, second.pipeline_bubble);
  b.host_bound = line(first.host_bound, second.host_bound);
  b.optimizer = line(first.optimizer, second.optimizer);
  b.idle = line(first.idle, second.idle);
  b.contention = std::max(Seconds(), line(first.contention, second.contention));
  b.recompute = std::max(Seconds(), line(first.recompute, second.recompute));
  for (const auto& [kind, seconds] : second.exposed_communication) {
    b.exposed_communication.emplace_back(kind, line(Seconds(ExposedOf(first, kind)), seconds));
  }
  for (const auto& [kind, seconds] : first.exposed_communication) {  // kinds that vanished
    if (ExposedOf(second, kind) == 0.0) b.exposed_communication.emplace_back(kind, line(seconds, Seconds()));
  }
  for (Seconds* part : {&b.pipeline_bubble, &b.host_bound, &b.optimizer, &b.idle}) MoveIntoCompute(part, &b);
  for (auto& [kind, seconds] : b.exposed_communication) MoveIntoCompute(&seconds, &b);
  return b;
}

// The path's shares grow with the micro-batches as the step does.
std::vector<PathShare> ContinuePath(const Report& first, const Report& second, Line line, Seconds step) {
  std::vector<PathShare> path = second.path;
  for (PathShare& share : path) {
    const auto before = std::find_if(first.path.begin(), first.path.end(), [&](const PathShare& s) {
      return s.kind == share.kind && s.group == share.group;
    });
    const Seconds less = before == first.path.end() ? Seconds() : before->seconds;
    const double fewer = before == first.path.end() ? 0.0 : static_cast<double>(before->count);
    const auto count = static_cast<double>(share.count);
    share.seconds = std::max(Seconds(), line(less, share.seconds));
    share.count = static_cast<uint64_t>(std::llround(std::max(0.0, count + (count - fewer) * line.factor)));
    share.share = share.seconds / step;
    share.gain_of_ten_percent = 0.1 * share.seconds;
  }
  std::stable_sort(path.begin(), path.end(), [](const PathShare& a, const PathShare& b) { return a.seconds > b.seconds; });
  return path;
}

}  // namespace

Continuation ContinuationOf(const Scenario& scenario) {
  const int64_t all = scenario.training.gradient_accumulation_steps;
  const int64_t stages = std::max<int64_t>(1, scenario.parallelism.pipeline.stages);
  // Interleaved schedules ask for whole rounds; what is over is continued with the rest.
  const int64_t first = stages > 1 ? 2 * stages : 4;
  const int64_t second = first + stages;
  if (all <= first + second) return {all, all, all};  // nothing to save
  return {first, second, all};
}

Report Predict(const Scenario& scenario, const SimulationOptions& options) {
  const Continuation c = ContinuationOf(scenario);
  if (options.exact || c.exact()) return Simulate(scenario, options).report;
  Report report = AtMicroBatches(scenario, c.second, options);
  const double more = static_cast<double>(c.all) / static_cast<double>(c.second);
  report.settings = scenario.settings;
  report.model_flops *= more;
  report.hardware_flops *= more;
  report.tokens *= more;
  report.samples *= more;
  report.global_batch_size = report.global_batch_size / c.second * c.all;
  report.micro_batches_simulated = c.second;
  if (report.out_of_memory) return report;
  SimulationOptions times = options;
  times.memory = false;
  const Report first = AtMicroBatches(scenario, c.first, times);
  // How often a full device stalls the host follows no line: the line is that of steps that it does not stall.
  const bool stalls = report.memory.retries > 0;
  const Report unstalled = stalls ? AtMicroBatches(scenario, c.second, times) : Report();
  const Report& second = stalls ? unstalled : report;
  const Seconds stalled = report.step_time - second.step_time;
  report.stats.events += first.stats.events;
  report.stats.tasks += first.stats.tasks;
  report.stats.share_updates += first.stats.share_updates;
  const Line line{static_cast<double>(c.all - c.second) / static_cast<double>(c.second - c.first)};
  report.step_time = line(first.step_time, second.step_time) + stalled;
  report.breakdown = Continue(first.breakdown, second.breakdown, line);
  report.breakdown.host_bound += stalled;
  report.communication.busy = line(first.communication.busy, second.communication.busy);
  report.communication.alone = line(first.communication.alone, second.communication.alone);
  report.communication.latency = line(first.communication.latency, second.communication.latency);
  report.communication.calls += (report.communication.calls - first.communication.calls) * (c.all - c.second) / (c.second - c.first);
  report.path = ContinuePath(first, report, line, report.step_time);
  SetRates(report);
  if (options.explain) report.advice = Advise(scenario, report);
  return report;
}

}  // namespace simulate
