#include "sim/study/topic_pages.h"

#include <catch2/catch.hpp>

#include "absl/strings/match.h"

namespace simulate {
namespace {

CheckedPoint Point(const std::string& id, const std::string& layout, const std::string& metric, double error) {
  CheckedPoint p;
  p.file = "tables/t.yaml";
  p.id = id;
  p.metric = metric;
  p.expected = metric == "status" ? 0.0 : 1e9;
  p.predicted = p.expected * (1.0 + error);
  p.error = error;
  p.accelerator = "A";
  p.parallelism = layout;
  return p;
}

const std::string& Text(const std::vector<PageFile>& files, const std::string& name) {
  for (const PageFile& file : files) {
    if (file.name == name) return file.text;
  }
  FAIL("no file " << name);
  return files.front().text;
}

TEST_CASE("a topic's page holds its own points, and the worst rows carry what a person suspects") {
  CheckResult result;
  result.points = {Point("run-a", "ddp", "step_time_s", 0.10), Point("run-b", "tensor+ddp", "step_time_s", 0.50),
                   Point("run-c", "zero3", "step_time_s", -0.30), Point("run-c", "zero3", "peak_allocated_bytes", 0.2)};
  const std::vector<Suspect> suspects = {{"t", "run-c", "time", "prefetch | depth"}};
  const auto files = RenderTopicPages(result, suspects);
  REQUIRE(files.size() == 6);  // data_parallel, three_d, memory: a page and a picture each
  CHECK(absl::StrContains(Text(files, "three_d.md"), "run-b"));
  const std::string& time = Text(files, "data_parallel.md");
  CHECK(absl::StrContains(time, "2 runs: mean absolute error **20.0 %**"));
  CHECK_FALSE(absl::StrContains(time, "run-b"));
  CHECK(absl::StrContains(time, "| t: run-c | -30.0 % | zero3 | A | out of memory | prefetch \\| depth |"));
  CHECK(absl::StrContains(time, "| t: run-a | +10.0 % | ddp | A | out of memory | not known |"));
  const std::string& memory = Text(files, "memory.md");
  CHECK(absl::StrContains(memory, "| t: run-c | +20.0 % | zero3 | A | peak_allocated_bytes | not known |"));
  CHECK_FALSE(absl::StrContains(memory, "Does it fit"));
  CHECK(absl::StrContains(Text(files, "memory.svg"), "measured or published peak memory"));
}

TEST_CASE("out-of-memory outcomes are told apart by the way in which they are wrong") {
  CheckResult result;
  result.points = {Point("a", "ddp", "status", 0.0), Point("b", "ddp", "status", 1.0), Point("c", "ddp", "status", 0.0),
                   Point("d", "ddp", "status", 0.0), Point("d", "ddp", "peak_allocated_bytes", 0.0)};
  CHECK(absl::StrContains(Text(RenderTopicPages(result, {}), "memory.md"), "| ddp | 4 | 75.0 % | 1 | 0 |"));
}

TEST_CASE("topics without a point have no page") { CHECK(RenderTopicPages({}, {}).empty()); }

}  // namespace
}  // namespace simulate
