#include "sim/report/advise.h"

#include <catch2/catch.hpp>

namespace simulate {
namespace {

Bytes Gb(double gb) { return RoundBytes(gb * 1e9); }

// A second, half of it free memory.
Report Step() {
  Report r;
  r.step_time = Seconds(1.0);
  r.memory_capacity = Gb(80.0);
  r.memory.peak_reserved = Gb(40.0);
  r.memory.at_peak[static_cast<size_t>(MemoryCategory::kActivations)] = Gb(10.0);
  return r;
}

TEST_CASE("the largest part that a setting can attack is what to try") {
  Scenario s;
  s.training.micro_batch_size = 4;
  s.training.gradient_accumulation_steps = 8;
  Report r = Step();
  r.breakdown.compute = Seconds(1.0);
  CHECK(Advise(s, r).empty());
  r.breakdown.host_bound = Seconds(0.2);
  CHECK(Advise(s, r) == "To try: to outrun the host training.micro_batch_size=8, as 40 of 80 GB are free.");
  r.breakdown.exposed_communication = {{"all_gather", Seconds(0.3)}};
  CHECK(Advise(s, r) == "To try: to hide communication behind more work training.micro_batch_size=8, as 40 of 80 GB are free.");
  r.memory.peak_reserved = Gb(75.0);
  CHECK(Advise(s, r) == "To try: to communicate less often training.gradient_accumulation_steps=16 (a larger batch).");
  s.parallelism.data.strategy = DataStrategy::kFsdp;
  r.nodes = 4;
  CHECK(Advise(s, r) == "To try: to keep gathers inside the node parallelism.data.sharding=hybrid_shard, if memory allows.");
  s.parallelism.pipeline.stages = 4;
  r.breakdown.pipeline_bubble = Seconds(0.4);
  CHECK(Advise(s, r) == "To try: against the bubble training.gradient_accumulation_steps=16 (a larger batch), or "
                        "parallelism.pipeline.virtual_stages=2.");
}

TEST_CASE("recomputation is given up while memory is free") {
  Scenario s;
  s.training.activation_checkpointing = Checkpointing::kFull;
  Report r = Step();
  r.breakdown.recompute = Seconds(0.25);
  CHECK(Advise(s, r) == "To try: against recomputation training.activation_checkpointing=selective, as 40 of 80 GB are free.");
  r.memory.peak_reserved = Gb(75.0);
  CHECK(Advise(s, r).empty());
}

TEST_CASE("what faster operators and links would save at most") {
  Report r = Step();
  const auto share = [](const char* kind, const char* group, const char* over, double part) {
    PathShare s;
    s.kind = kind;
    s.group = group;
    s.over = over;
    s.seconds = Seconds(part);
    s.share = part;
    return s;
  };
  r.path = {share("w1", "", "", 0.2), share("q", "", "", 0.25), share("w1.weight_gradient", "", "", 0.3),
            share("all_gather", "data_parallel", "infiniband", 0.15)};
  CHECK(Advise(Scenario{}, r) == "10 % faster w1 saves at most 5 % of the step, 10 % faster all_gather over infiniband saves at most 1.5 %.");
}

TEST_CASE("a run that does not fit is sent to the memory command") {
  Report r;
  r.out_of_memory = true;
  CHECK(Advise(Scenario{}, r) == "To try: `simulate memory` with this scenario lists neighbouring settings that fit.");
}

}  // namespace
}  // namespace simulate
