#include "sim/study/check.h"

#include <catch2/catch.hpp>
#include <stdexcept>

#include "sim/study/check_output.h"
#include "sim/study/parallel_for.h"

namespace simulate {
namespace {

CheckedPoint Point(const std::string& id, double error, double tolerance = 0.1) {
  CheckedPoint p;
  p.file = "f.yaml";
  p.id = id;
  p.source = "s";
  p.metric = "step_time_s";
  p.expected = 1.0;
  p.predicted = 1.0 + error;
  p.error = error;
  p.tolerance = tolerance;
  return p;
}

TEST_CASE("summaries: mean, median, 90th percentile, bias and worst of the signed errors") {
  // |errors| 0.01 0.02 0.03 0.04 0.30: mean 0.08, median 0.03, p90 between 0.04 and 0.30 at 0.6: 0.196.
  const std::vector<CheckedPoint> points = {Point("a", 0.01), Point("b", -0.02), Point("c", 0.03), Point("d", -0.04),
                                            Point("e", -0.30)};
  const auto all = Summarise(points, [](const CheckedPoint&) { return "all"; });
  REQUIRE(all.size() == 1);
  CHECK(all[0].points == 5);
  CHECK(all[0].mean == Approx(0.08));
  CHECK(all[0].median == Approx(0.03));
  CHECK(all[0].p90 == Approx(0.196));
  CHECK(all[0].bias == Approx(-0.064));
  CHECK(all[0].worst == Approx(-0.30));
  CHECK(all[0].short_of == 1);
  CHECK(Summarise(points, [](const CheckedPoint& p) { return p.id; }).size() == 5);
}

TEST_CASE("a rate that is twice too high is a time that is half as long") {
  CheckedPoint p = Point("a", 1.0);
  p.metric = "tokens_per_s_per_gpu";
  CHECK(p.deviation() == Approx(-0.5));
  p.metric = "step_time_s";
  CHECK(p.deviation() == Approx(1.0));
  p.metric = "peak_allocated_bytes";
  CHECK(p.deviation() == Approx(1.0));
}

TEST_CASE("a point without tolerance is reported but not held; a missing one falls short") {
  CHECK_FALSE(Point("a", 9.0, 0.0).fell_short());
  CHECK(Point("a", 0.11).fell_short());
  CHECK_FALSE(Point("a", -0.1).fell_short());
  CheckedPoint missing = Point("a", 0.0);
  missing.missing = true;
  CHECK(missing.fell_short());
}

TEST_CASE("what moved against a baseline") {
  CheckResult result;
  result.points = {Point("a", 0.0), Point("b", 0.0), Point("new", 0.0)};
  const auto moved = Compare(result, {{"f.yaml a step_time_s", 1.0}, {"f.yaml b step_time_s", 1.01}}, 0.001);
  REQUIRE(moved.size() == 1);
  CHECK(moved[0].key == "f.yaml b step_time_s");
}

TEST_CASE("JUnit escapes what XML reserves") {
  CheckResult result;
  result.points = {Point("a<b>&\"", 0.5)};
  result.excluded = {{"f.yaml", "x", "no <reason>"}};
  CHECK(RenderCheckJunit(result) ==
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
        "<testsuite name=\"simulate check\" tests=\"2\" failures=\"1\" skipped=\"1\">\n"
        "<testcase classname=\"f.yaml\" name=\"a&lt;b&gt;&amp;&quot; step_time_s\"><failure message=\"f.yaml: "
        "a&lt;b&gt;&amp;&quot;: step_time_s: predicted 1.5000, expected 1.0000 (+50.0 %, tolerance 10.0 %)\"/></testcase>\n"
        "<testcase classname=\"f.yaml\" name=\"x\"><skipped message=\"no &lt;reason&gt;\"/></testcase>\n"
        "</testsuite>\n</testsuites>\n");
}

TEST_CASE("every job runs once on any number of threads; the first failure is thrown") {
  for (const int threads : {0, 1, 3, 100}) {
    std::vector<int> runs(50);
    size_t last = 0;
    ParallelFor(50, threads, [&](size_t i) { ++runs[i]; }, [&](size_t done, size_t all) {
      CHECK(all == 50);
      last = std::max(last, done);
    });
    CHECK(last == 50);
    CHECK(runs == std::vector<int>(50, 1));
  }
  CHECK_THROWS_WITH(ParallelFor(9, 3, [](size_t i) { if (i >= 4) throw std::runtime_error(std::to_string(i)); }), "4");
  ParallelFor(0, 2, [](size_t) { FAIL("no jobs"); });
}

}  // namespace
}  // namespace simulate
