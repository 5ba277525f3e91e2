// Exporting a scenario's step and replaying it gives the step again.
#include "sim/study/replay.h"

#include <sstream>

#include "sim/chakra/rank_texts.h"
#include "tests/chakra/wire.h"
#include "tests/study/scenarios.h"

namespace simulate {
namespace {

// The FSDP paper's run on 16 of its GPUs.
Scenario T5() {
  Diagnostics diagnostics;
  const auto study = LoadStudy(SIMULATE_SOURCE_DIR "/scenarios/t5_11b_fsdp.yaml", SearchPath{{SIMULATE_SOURCE_DIR}},
                               {{"cluster.gpus", "16"}, {"training.micro_batch_size", "8"}}, diagnostics);
  INFO(diagnostics.Render());
  REQUIRE(study.has_value());
  return study->points[0];
}

constexpr const char* kThreeDimensions =
    "model: gpt-350m\n"
    "cluster: {hardware: dgx-a100-80gb, gpus: 16}\n"
    "training: {micro_batch_size: 1, gradient_accumulation_steps: 6, sequence_length: 1024, precision: bf16_mixed,\n"
    "           runtime: megatron}\n"
    "parallelism: {tensor: 2, pipeline: {stages: 4}}\n";

// One file per rank, or per kind of rank.
void Export(const Scenario& scenario, const Simulation& simulation, bool kinds, const wire::Folder& folder) {
  const TraceExport what = TraceExportOf(scenario, simulation, "simulate test");
  std::map<uint32_t, std::vector<RankId>> ranks;
  for (RankId r = 0; r < simulation.program.world_size(); ++r) ranks[kinds ? simulation.timeline.entry_of_rank[r] : r].push_back(r);
  std::ostringstream groups;
  WriteCommGroups(simulation.program, groups);
  folder.Write("comm_groups.json", groups.str());
  for (const auto& [kind, members] : ranks) {
    std::ostringstream out;
    WriteRankTrace(what, members[0], ShowRanks(members), out);
    folder.Write("x." + std::to_string(members[0]) + ".et", out.str());
  }
}

Simulation ReplayOn(const wire::Folder& folder, const HardwareSpec& hardware, const TraceOptions& options = {}) {
  Diagnostics diagnostics;
  auto trace = ReadTraces(folder.path(), options, diagnostics);
  INFO(diagnostics.Render());
  REQUIRE(trace.has_value());
  return ReplayTrace(std::move(*trace), hardware, false).simulation;
}

HardwareSpec Hardware(const char* name) {
  Diagnostics diagnostics;
  const auto hardware = LoadHardware(name, SearchPath{{SIMULATE_SOURCE_DIR}}, diagnostics);
  REQUIRE(hardware.has_value());
  return *hardware;
}

void CheckRoundTrip(const Scenario& scenario) {
  const Simulation simulation = Simulate(scenario);
  for (const bool kinds : {false, true}) {
    INFO((kinds ? "kinds" : "all"));
    const wire::Folder folder;
    Export(scenario, simulation, kinds, folder);
    const Simulation again = ReplayOn(folder, scenario.hardware);
    CHECK(again.timeline.end == simulation.timeline.end);
    CHECK(again.report.tflops_per_gpu == simulation.report.tflops_per_gpu);
    CHECK(again.report.tokens_per_s == simulation.report.tokens_per_s);
    CHECK(again.report.breakdown.host_bound == simulation.report.breakdown.host_bound);
    CHECK(again.report.breakdown.pipeline_bubble == simulation.report.breakdown.pipeline_bubble);
    CHECK(again.report.breakdown.exposed() == simulation.report.breakdown.exposed());
    CHECK(again.report.data_parallel == simulation.report.data_parallel);
  }
}

TEST_CASE("T5-11B under FSDP: the step that is replayed is the step that was exported") { CheckRoundTrip(T5()); }

TEST_CASE("tensor, pipeline and data parallelism at once: likewise") { CheckRoundTrip(Load(kThreeDimensions).points[0]); }

TEST_CASE("a traced step replays with the tracer's gaps") {
  Scenario scenario = Load(kThreeDimensions).points[0];
  const Seconds untraced = Simulate(scenario).report.step_time;
  scenario.training.traced_kernels = true;
  scenario.hardware.accelerator.calibration.traced_gap = Seconds(20e-6);
  CHECK(Simulate(scenario).report.step_time > untraced);
  CheckRoundTrip(scenario);
}

TEST_CASE("on other hardware the export is what its scenario is there") {
  const Scenario scenario = Load(kThreeDimensions).points[0];
  const wire::Folder folder;
  Export(scenario, Simulate(scenario), true, folder);
  Scenario moved = scenario;
  moved.hardware = Hardware("dgx-h100");
  CHECK(ReplayOn(folder, moved.hardware).timeline.end == Simulate(moved).timeline.end);
}

TEST_CASE("recorded times come near on the same hardware, and follow their scale") {
  const Scenario scenario = T5();
  const Simulation simulation = Simulate(scenario);
  const wire::Folder folder;
  Export(scenario, simulation, false, folder);
  const double step = simulation.timeline.end.seconds().value();
  const Simulation recorded = ReplayOn(folder, scenario.hardware, {.recorded = true});
  CHECK(recorded.timeline.end.seconds().value() == Approx(step).epsilon(0.01));
  const Simulation halved = ReplayOn(folder, scenario.hardware, {.recorded = true, .compute_scale = 0.5, .host_scale = 0.5});
  CHECK(halved.timeline.end.seconds().value() == Approx(step / 2).epsilon(0.03));
}

TEST_CASE("a trace of more ranks than a cluster has room for") {
  Diagnostics diagnostics;
  CHECK(CheckReplayHardware(Hardware("dgx-a100-80gb"), 16, diagnostics));
  CHECK_FALSE(CheckReplayHardware(Hardware("dgx-a100-80gb"), 12, diagnostics));
  CHECK(diagnostics.Render() ==
        "error: the trace has 12 ranks, and on `dgx-a100-80gb` accelerators must fill whole nodes: 12 do not fill nodes of 8\n");
}

}  // namespace
}  // namespace simulate
