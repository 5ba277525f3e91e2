#include "sim/report/explain.h"

#include <catch2/catch.hpp>

#include "sim/report/metric.h"

namespace simulate {
namespace {

Report Point(int64_t gpus, const std::string& batch, double compute, double gather, double contention = 0.0) {
  Report r;
  r.settings = {{"cluster.gpus", std::to_string(gpus)}, {"training.micro_batch_size", batch}};
  r.gpus = gpus;
  r.breakdown.compute = Seconds(compute + contention);
  r.breakdown.contention = Seconds(contention);
  r.breakdown.exposed_communication = {{"all_gather", Seconds(gather)}};
  r.step_time = r.breakdown.total();
  r.tokens_per_s_per_gpu = 1000.0 / r.step_time.value();
  r.tflops_per_gpu = 100.0 / r.step_time.value();
  return r;
}

TEST_CASE("curves are points that differ only in GPUs, in order of GPUs") {
  const std::vector<Report> reports = {Point(16, "8", 1, 0), Point(16, "4", 1, 0), Point(8, "8", 1, 0)};
  const std::vector<Curve> curves = Curves(reports);
  REQUIRE(curves.size() == 2);
  CHECK(curves[0].points == std::vector<size_t>{2, 0});
  CHECK(curves[0].fixed == std::vector<Setting>{{"training.micro_batch_size", "8"}});
  CHECK(curves[1].points == std::vector<size_t>{1});
}

TEST_CASE("the sentence names what grew on the curve that loses most") {
  std::vector<Report> reports = {Point(8, "8", 1.0, 0.0), Point(512, "8", 1.0, 0.08, 0.02), Point(8, "16", 2.0, 0.0),
                                 Point(512, "16", 2.0, 0.08)};
  CHECK(Explain(reports) ==
        "From 8 to 512 accelerators (micro batch size 8) each does 9.1 % less a second; the step takes 100 ms longer: "
        "exposed all gather +80 ms, compute slowed beside communication +20 ms.");
  reports[1].communication = {Seconds(0.3), Seconds(0.3), Seconds(0.09), 147};
  CHECK(Explain(reports) ==
        "From 8 to 512 accelerators (micro batch size 8) each does 9.1 % less a second; the step takes 100 ms longer: "
        "exposed all gather +80 ms, compute slowed beside communication +20 ms; the latency of its 147 collectives grows "
        "by 90 ms and their transfers by 210 ms.");
}

TEST_CASE("a flat curve is said to be flat") {
  CHECK(Explain({Point(8, "8", 1.0, 0.0), Point(16, "8", 1.0, 0.0)}) ==
        "From 8 to 16 accelerators (micro batch size 8) each does 0.0 % less a second: nothing bends this curve.");
}

TEST_CASE("a single run is explained by its largest parts") {
  CHECK(Explain({Point(8, "8", 0.9, 0.1)}) == "The step is compute 90.0 %, exposed all gather 10.0 %.");
}

TEST_CASE("an out-of-memory run says what overflowed") {
  Report r;
  r.gpus = 8;
  r.out_of_memory = r.memory.out_of_memory = true;
  r.memory_capacity = Bytes(int64_t{80'000'000'000});
  r.memory.peak_allocated = Bytes(int64_t{79'000'000'000});
  r.memory.requested = Bytes(int64_t{2'000'000'000});
  r.memory.failed_category = MemoryCategory::kOptimizerState;
  r.memory.at_peak[static_cast<size_t>(MemoryCategory::kParameters)] = Bytes(int64_t{45'000'000'000});
  const std::string text = Explain({r});
  CHECK(text.substr(0, 101) ==
        "The run on 8 accelerators does not fit: 79.0 GB of 80.0 GB were allocated when 2.0 GB more were asked");
  CHECK(text.substr(text.size() - 10) == "(45.0 GB).");
}

TEST_CASE("metrics by name") {
  Report r = Point(8, "8", 2.0, 0.0);
  CHECK(Metric(r, "step_time_s") == 2.0);
  CHECK(Metric(r, "no_such_metric") == std::nullopt);
  r.out_of_memory = true;
  CHECK(Metric(r, "step_time_s") == std::nullopt);
  CHECK(Metric(r, "status") == 1.0);
  for (const std::string& name : MetricNames()) CHECK(Metric(Point(8, "8", 2.0, 0.0), name).has_value());
}

TEST_CASE("reference points are compared in the order in which they are named") {
  ReferenceSpec spec;
  spec.points.resize(3);
  spec.points[0].metric = "step_time_s";
  spec.points[0].value = 4.0;
  spec.points[0].tolerance = 0.05;
  spec.points[1].metric = "status";
  spec.points[2].metric = "tflops_per_gpu";
  Report r = Point(8, "8", 2.0, 0.0);
  Compare(spec, {1, 0}, r);
  REQUIRE(r.reference.size() == 2);
  CHECK(r.reference[0].metric == "status");
  CHECK(r.reference[0].error == 0.0);
  CHECK(r.reference[1].error == Approx(-0.5));
  CHECK(r.reference[1].tolerance == 0.05);
  r.out_of_memory = true;
  Compare(spec, {0, 1}, r);
  CHECK(r.reference[0].missing);
  CHECK(r.reference[1].error == 1.0);
}

}  // namespace
}  // namespace simulate
