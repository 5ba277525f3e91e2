#include "sim/study/predict.h"

#include "sim/study/plan.h"
#include "sim/study/simulate.h"
#include "sim/study/tweak.h"
#include "tests/study/scenarios.h"

namespace simulate {
namespace {

void CheckAgainstExact(const Scenario& point) {
  const Report exact = Predict(point, {.exact = true});
  const Report continued = Predict(point);
  CHECK(exact.micro_batches_simulated == point.training.gradient_accumulation_steps);
  CHECK(continued.micro_batches_simulated < exact.micro_batches_simulated);
  CHECK(continued.step_time.value() == Approx(exact.step_time.value()).epsilon(0.002));
  CHECK(continued.tflops_per_gpu == Approx(exact.tflops_per_gpu).epsilon(0.002));
  CHECK(continued.tokens == Approx(exact.tokens));
  CHECK(continued.global_batch_size == exact.global_batch_size);
  CHECK(continued.breakdown.total().value() == Approx(continued.step_time.value()).epsilon(1e-9));
  // Of ranks that end at the same instant another may be the one that is shown, and where exactly the largest live
  // buffers meet depends on the last micro-batches.
  CHECK(continued.breakdown.compute.value() == Approx(exact.breakdown.compute.value()).epsilon(0.03));
  CHECK(continued.memory.peak_allocated / exact.memory.peak_allocated == Approx(1.0).epsilon(0.01));
}

TEST_CASE("a long pipelined step continued from a short one is the long one") {
  CheckAgainstExact(Load(kPipeline).points[0]);
}

TEST_CASE("so is an interleaved one") {
  Scenario point = Load(kPipeline).points[0];
  point.parallelism.pipeline.schedule = PipelineScheduleKind::kInterleaved1F1B;
  point.parallelism.pipeline.virtual_stages = 2;
  CheckAgainstExact(point);
}

TEST_CASE("and gradient accumulation under FSDP and DDP") {
  for (const char* strategy : {"ddp", "fsdp"}) {
    INFO(strategy);
    CheckAgainstExact(Load(std::string("model: gpt-125m\ncluster: {hardware: hgx-h200, gpus: 8}\n"
                                       "training: {micro_batch_size: 2, gradient_accumulation_steps: 24, sequence_length: 1024}\n"
                                       "parallelism: {data: {strategy: ") + strategy + "}}\n")
                          .points[0]);
  }
}

TEST_CASE("a full device's stalls are not taken for the work of micro-batches") {
  Scenario point = Load("model: gpt-1.3b\ncluster: {hardware: hgx-h200, gpus: 8}\n"
                        "training: {micro_batch_size: 8, gradient_accumulation_steps: 64, sequence_length: 1024,\n"
                        "           activation_checkpointing: full}\n"
                        "parallelism: {data: {strategy: fsdp, version: 1}}\n")
                       .points[0];
  const Report ample = Predict(point);
  REQUIRE(ample.memory.retries == 0);
  bool stalled = false;
  for (double gigabytes = 16; gigabytes > 8 && !stalled; gigabytes -= 0.05) {
    point.hardware.accelerator.memory = Bytes(static_cast<int64_t>(gigabytes * 1e9));
    const Report tight = Predict(point);
    stalled = tight.memory.retries > 0 && !tight.out_of_memory;
    if (!stalled) continue;
    CHECK(tight.breakdown.compute.value() == Approx(ample.breakdown.compute.value()).epsilon(1e-9));
    CHECK(tight.step_time >= ample.step_time);
    CHECK((tight.step_time - ample.step_time).value() ==
          Approx((tight.breakdown.host_bound - ample.breakdown.host_bound).value()).epsilon(1e-6).margin(1e-9));
  }
  CHECK(stalled);
}

TEST_CASE("short steps are simulated whole") {
  Scenario point = Load(kPipeline).points[0];
  for (const int64_t steps : {1, 8, 20}) {
    point.training.gradient_accumulation_steps = steps;
    CHECK(ContinuationOf(point).exact());
  }
  point.training.gradient_accumulation_steps = 21;
  CHECK(ContinuationOf(point).first == 8);
  CHECK(ContinuationOf(point).second == 12);
}

TEST_CASE("a tracer that serializes kernels leaves a gap behind each of them") {
  // One GPU and one graph, so that nothing but kernels takes time: each ends later by the gap.
  Scenario point = Load("model: gpt-125m\ncluster: {hardware: dgx-a100-80gb, gpus: 1}\n"
                        "training: {micro_batch_size: 1, sequence_length: 1024, runtime: cuda_graph}\n").points[0];
  point.hardware.accelerator.calibration.power = {};
  point.hardware.accelerator.calibration.traced_gap = Seconds(1e-3);
  const Simulation plain = Simulate(point);
  int64_t kernels = 0;
  for (const Instruction& i : plain.program.programs[0].instructions) kernels += i.kind == InstructionKind::kKernel;
  point.training.traced_kernels = true;
  CHECK(kernels > 100);
  CHECK((Simulate(point).report.step_time - plain.report.step_time).value() == Approx(1e-3 * static_cast<double>(kernels)));
}

TEST_CASE("a run's days and dollars") {
  // 10 s a step of 1e6 tokens, 1e9 tokens: 1000 steps, 1e4 s; 2 nodes of 36 $/h: 200 $; 1800 W: 10 kWh.
  Scenario scenario;
  scenario.training.tokens = 1e9;
  scenario.hardware.node.price = DollarsPerHour(36.0);
  scenario.hardware.node.power = Watts(1800.0);
  Report report;
  report.nodes = 2;
  report.tokens = 1e6;
  report.step_time = Seconds(10.0);
  const RunPlan plan = PlanRun(scenario, report);
  CHECK(plan.steps == 1000.0);
  CHECK(plan.days == Approx(1e4 / 86400.0));
  CHECK(plan.dollars == Approx(200.0));
  CHECK(plan.kilowatt_hours == Approx(10.0));
  CHECK(plan.dollars_per_billion_tokens == Approx(200.0));
  CHECK(plan.goodput == 1.0);
}

TEST_CASE("goodput takes Young's interval when none is stated") {
  // M = 1e6 s over 10 nodes = 1e5 s, C = 50 s: T = sqrt(2 50 1e5) = 3162 s.
  ReliabilitySpec r;
  CHECK(Goodput(r, 10).first == 1.0);
  r.mean_time_between_failures_per_node = Seconds(1e6);
  r.checkpoint_time = Seconds(50.0);
  r.restart_time = Seconds(300.0);
  const auto [share, interval] = Goodput(r, 10);
  CHECK(interval.value() == Approx(3162.28).epsilon(1e-4));
  CHECK(share == Approx(3162.28 / 3212.28 / (1.0 + (1581.14 + 25.0 + 300.0) / 1e5)).epsilon(1e-4));
  for (const double other : {0.7, 1.4}) {  // no other interval does better by more than a rounding
    r.checkpoint_interval = Seconds(3162.28 * other);
    CHECK(Goodput(r, 10).first < share);
  }
}

TEST_CASE("faster parts never slow a step; what plays no part moves nothing") {
  const Scenario point = Load("model: gpt-125m\ncluster: {hardware: hgx-h200, gpus: 8}\n"
                              "training: {micro_batch_size: 8, sequence_length: 1024}\nparallelism: {data: {strategy: fsdp}}\n")
                             .points[0];
  const std::vector<Sensitivity> found = Sensitivities(point, 0.2, 2);
  REQUIRE(!found.empty());
  bool memory = false;
  for (const Sensitivity& s : found) {
    INFO(s.name);
    memory = memory || s.name == "accelerator.memory_bandwidth";
    CHECK(s.name != "fabric.link.bandwidth");  // one node
    if (s.name.find("bandwidth") == std::string::npos && s.name.find("peak") == std::string::npos) continue;
    CHECK(s.less >= -1e-6);
    CHECK(s.more <= 1e-6);
  }
  CHECK(memory);
}

}  // namespace
}  // namespace simulate
