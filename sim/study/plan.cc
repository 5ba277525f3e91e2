#include "sim/study/plan.h"

#include <cmath>
#include <tuple>

namespace simulate {

std::pair<double, Seconds> Goodput(const ReliabilitySpec& reliability, int64_t nodes) {
  const double failures = reliability.mean_time_between_failures_per_node.value();
  if (failures <= 0.0) return {1.0, Seconds()};
  const double between = failures / static_cast<double>(nodes);
  const double checkpoint = reliability.checkpoint_time.value();
  double interval = reliability.checkpoint_interval.value();
  if (interval <= 0.0) interval = std::sqrt(2.0 * checkpoint * between);
  if (interval <= 0.0) return {1.0 / (1.0 + reliability.restart_time.value() / between), Seconds()};
  const double lost = (interval / 2.0 + checkpoint / 2.0 + reliability.restart_time.value()) / between;
  return {interval / (interval + checkpoint) / (1.0 + lost), Seconds(interval)};
}

RunPlan PlanRun(const Scenario& scenario, const Report& report) {
  RunPlan plan;
  plan.steps = std::ceil(scenario.training.tokens / report.tokens);
  std::tie(plan.goodput, plan.checkpoint_interval) = Goodput(scenario.reliability, report.nodes);
  const double hours = plan.steps * report.step_time.value() / plan.goodput / 3600.0;
  const double node_hours = hours * static_cast<double>(report.nodes);
  plan.days = hours / 24.0;
  plan.dollars = node_hours * scenario.hardware.node.price.value();
  plan.kilowatt_hours = node_hours * scenario.hardware.node.power.value() * 1e-3;
  plan.dollars_per_billion_tokens = plan.dollars / (scenario.training.tokens * 1e-9);
  return plan;
}

}  // namespace simulate
