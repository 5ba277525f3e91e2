#include "sim/output/report_record.h"

#include <catch2/catch.hpp>

#include "sim/output/csv.h"
#include "sim/output/json.h"
#include "sim/output/text.h"

namespace simulate {
namespace {

// Every field differs from its default and has digits that a rounded number would lose.
Report Whole() {
  Report r;
  r.settings = {{"cluster.gpus", "16"}, {"training.precision", "\"bf16, mixed\"\n"}};
  r.gpus = 16;
  r.nodes = 2;
  r.data_parallel = 4;
  r.tensor_parallel = 2;
  r.pipeline_parallel = 2;
  r.context_parallel = 3;
  r.expert_parallel = 5;
  r.global_batch_size = 64;
  r.step_time = Seconds(1.0 / 3.0);
  r.tflops_per_gpu = 100.0 / 7.0;
  r.hardware_tflops_per_gpu = 101.0 / 7.0;
  r.mfu = 0.1 + 0.2;
  r.hfu = 0.7 / 3.0;
  r.tokens_per_s = 1e6 / 3.0;
  r.tokens_per_s_per_gpu = 1e5 / 3.0;
  r.samples_per_s = 1e3 / 3.0;
  r.memory_rank = 7;
  r.memory.peak_allocated = Bytes(int64_t{27'000'000'001});
  r.memory.peak_active = Bytes(int64_t{27'000'000'003});
  r.memory.peak_reserved = Bytes(int64_t{39'000'000'007});
  for (size_t c = 0; c < r.memory.at_peak.size(); ++c) r.memory.at_peak[c] = Bytes(static_cast<int64_t>(1000 + c));
  r.memory.retries = 3;
  r.memory_capacity = Bytes(int64_t{80'000'000'000});
  r.worst_rank = 9;
  r.breakdown.compute = Seconds(0.1 / 3.0);
  r.breakdown.exposed_communication = {{"all_gather", Seconds(0.2 / 3.0)}, {"reduce_scatter", Seconds(1e-9 / 3.0)}};
  r.breakdown.pipeline_bubble = Seconds(0.3 / 3.1);
  r.breakdown.host_bound = Seconds(0.4 / 3.1);
  r.breakdown.optimizer = Seconds(0.5 / 3.1);
  r.breakdown.idle = Seconds(0.6 / 3.1);
  r.breakdown.contention = Seconds(0.7 / 3.1);
  r.breakdown.recompute = Seconds(0.8 / 3.1);
  r.communication = {Seconds(1.1 / 3.0), Seconds(1.2 / 3.0), Seconds(1.3 / 3.0), 146};
  r.parameters = 11'300'000'000;
  r.model_flops = Flops(1e15 / 3.0);
  r.hardware_flops = Flops(1.3e15 / 3.0);
  r.tokens = 8192.0;
  r.samples = 8.0;
  r.micro_batches_simulated = 12;
  r.peak = FlopsPerSecond(989.4e12);
  r.trust = {{"all_gather", Confidence::kCoarse, 1.0 / 3.0}, {"matrix products", Confidence::kCalibrated, 0.5 / 3.0}};
  PathShare share;
  share.kind = "all_gather";
  share.group = "data_parallel";
  share.link = 3;
  share.over = "infiniband";
  share.seconds = Seconds(0.9 / 3.1);
  share.share = 0.9 / 3.2;
  share.count = 12;
  share.gain_of_ten_percent = Seconds(0.09 / 3.1);
  r.path = {share};
  r.advice = "try \"this\"";
  r.stats = {1, 2, 3, 4};
  return r;
}

TEST_CASE("a report that was read back prints the same bytes") {
  const Report first = Whole();
  const std::string line = RecordReport(first);
  CHECK(line.find('\n') == std::string::npos);
  const std::optional<Report> second = ReadReportRecord(line);
  REQUIRE(second);
  CHECK(RecordReport(*second) == line);
  CHECK(RenderJson("t", {*second}) == RenderJson("t", {first}));
  CHECK(RenderCsv({*second}) == RenderCsv({first}));
  CHECK(RenderText("t", "", {*second}, {}) == RenderText("t", "", {first}, {}));
  CHECK(second->stats.simulated_ranks == 4);
  CHECK(second->samples == 8.0);
}

TEST_CASE("so does one that ran out of memory") {
  Report first = Whole();
  first.out_of_memory = first.memory.out_of_memory = true;
  first.memory.requested = Bytes(int64_t{3'000'000'000});
  first.memory.failed_category = MemoryCategory::kLogits;
  first.memory.failed_instruction = 17;
  const std::optional<Report> second = ReadReportRecord(RecordReport(first));
  REQUIRE(second);
  CHECK(RenderJson("t", {*second}) == RenderJson("t", {first}));
}

TEST_CASE("a line that was cut off is not a report") {
  const std::string line = RecordReport(Whole());
  CHECK_FALSE(ReadReportRecord(line.substr(0, line.size() / 2)));
  CHECK_FALSE(ReadReportRecord(""));
  CHECK_FALSE(ReadReportRecord("{}"));
  CHECK_FALSE(ReadReportRecord(R"({"gpus":"many"})"));
}

}  // namespace
}  // namespace simulate
