#include "sim/output/text.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "sim/output/chart.h"
#include "sim/output/csv.h"
#include "sim/output/format.h"
#include "sim/output/json.h"
#include "sim/output/table.h"

namespace simulate {
namespace {

Report Point(int64_t gpus, double step) {
  Report r;
  r.settings = {{"cluster.gpus", std::to_string(gpus)}, {"training.precision", "bf16, mixed"}};
  r.gpus = gpus;
  r.nodes = gpus / 8;
  r.data_parallel = gpus;
  r.global_batch_size = 8 * gpus;
  r.step_time = Seconds(step);
  r.tflops_per_gpu = 200.0 / step;
  r.hardware_tflops_per_gpu = 250.0 / step;
  r.mfu = 0.4 / step;
  r.hfu = 0.5 / step;
  r.tokens_per_s = 8192.0 * static_cast<double>(gpus) / step;
  r.tokens_per_s_per_gpu = 8192.0 / step;
  r.samples_per_s = 8.0 * static_cast<double>(gpus) / step;
  r.breakdown.compute = Seconds(1.9);
  r.breakdown.optimizer = Seconds(0.04);
  r.breakdown.exposed_communication = {{"all_gather", Seconds(step - 1.94)}};
  r.memory.peak_allocated = Bytes(int64_t{27'000'000'000});
  r.memory.peak_reserved = Bytes(int64_t{39'000'000'000});
  r.memory.at_peak[static_cast<size_t>(MemoryCategory::kParameters)] = Bytes(int64_t{20'000'000'000});
  r.memory.at_peak[static_cast<size_t>(MemoryCategory::kActivations)] = Bytes(int64_t{7'000'000'000});
  r.memory_capacity = Bytes(int64_t{80'000'000'000});
  r.parameters = 11'300'000'000;
  r.model_flops = Flops(1e15);
  r.trust = {{"all_gather", Confidence::kCoarse, 0.3}, {"matrix products", Confidence::kCalibrated, 0.5}};
  return r;
}

Report Full(int64_t gpus) {
  Report r = Point(gpus, 2.0);
  r.out_of_memory = true;
  r.memory.out_of_memory = true;
  r.memory.requested = Bytes(int64_t{3'000'000'000});
  return r;
}

TEST_CASE("numbers as a person reads them") {
  CHECK(ShowTime(Seconds(2.7361)) == "2.736 s");
  CHECK(ShowTime(Seconds(0.018937)) == "18.94 ms");
  CHECK(ShowTime(Seconds(7.1e-6)) == "7.100 us");
  CHECK(ShowTime(Seconds(123.456)) == "123.5 s");
  CHECK(ShowSize(Bytes(int64_t{27'310'000'000})) == "27.31 GB");
  CHECK(ShowSize(Bytes(12)) == "12 B");
  CHECK(ShowCount(1234567) == "1.235 M");
  CHECK(ShowCount(9876) == "9876");
  CHECK(ShowPercent(0.4801) == "48.0 %");
  CHECK(ShowSignedPercent(-0.0171) == "-1.7 %");
  CHECK(ShowNumber(0.0, 4) == "0");
}

TEST_CASE("tables align, drop empty columns and show units") {
  CHECK(RenderTable({{"name", "", true}, {"time", "s"}, {"empty", ""}}, {{"a", "1.5", ""}, {"longer", "10.25", ""}}, false) ==
        "name     time\n"
        "            s\n"
        "a         1.5\n"
        "longer  10.25\n");
  CHECK(RenderTable({{"n", ""}}, {{Cell("x", Tone::kBad)}}, true) == "\x1b[1mn\x1b[0m\n\x1b[31mx\x1b[0m\n");
  CHECK(DisplayWidth("●—×") == 3);
}

TEST_CASE("a chart in ASCII") {
  Chart chart;
  chart.title = "TFLOPS";
  chart.x_name = "GPUs";
  chart.categories = {"8", "16"};
  chart.series = {{"batch 8", {100.0, 90.0}, false}, {"", {95.0, 90.0}, true}};
  chart.height = 3;
  CHECK(RenderChart(chart, false) ==
        "TFLOPS   x reference   * batch 8\n"
        "100.0 |    *\n"
        "95.00 |    x\n"
        "90.00 |            *\n"
        "      +----------------\n"
        "           8      16  GPUs\n");
  chart.categories = {"8"};
  CHECK(RenderChart(chart, false).empty());
}

TEST_CASE("the text of a sweep") {
  std::vector<Report> reports = {Point(8, 2.0), Point(512, 2.2), Full(1024)};
  reports[0].reference = {{"tflops_per_gpu", 98.0, 100.0, 100.0 / 98.0 - 1.0, 0.05, "", false}};
  reports[1].reference = {{"tflops_per_gpu", 98.0, 90.9, 90.9 / 98.0 - 1.0, 0.05, "", false}};
  const std::string text = RenderText("T5", "Zhao et al.", reports, {});
  INFO(text);
  CHECK(text.find("  precision  GPUs           step  TFLOPS/GPU  TFLOPS/GPU     MFU     HFU  tokens/s  exposed  allocated  "
                  "reserved     reference   error\n") != std::string::npos);
  CHECK(text.find("bf16, mixed     8        2.000 s       100.0       125.0  20.0 %  25.0 %   32.77 k    3.0 %   27.00 GB  "
                  "39.00 GB  98.00 TFLOPS  +2.0 %\n") != std::string::npos);
  CHECK(text.find("bf16, mixed  1024  out of memory") != std::string::npos);
  CHECK(text.find("exposed all gather +200 ms") != std::string::npos);
  CHECK(text.find("Least certain: all_gather (coarse, 30 % of the step).\n") != std::string::npos);
  CHECK(text.find("Reference: Zhao et al.\n") != std::string::npos);
  CHECK(text.find('\x1b') == std::string::npos);
  for (const char c : text) REQUIRE(static_cast<unsigned char>(c) < 128);
}

TEST_CASE("a single run shows where time and memory go; quiet shows the table alone") {
  const std::string text = RenderText("T5", "", {Point(8, 2.0)}, {});
  INFO(text);
  CHECK(text.find("where the time goes   seconds   share\n"
                  "compute               1.900 s  95.0 %\n"
                  "exposed all gather   60.00 ms   3.0 %\n"
                  "optimizer            40.00 ms   2.0 %\n") != std::string::npos);
  CHECK(text.find("parameters                  20.00 GB         25.0 %\n") != std::string::npos);
  const std::string quiet = RenderText("T5", "", {Point(8, 2.0)}, {false, false, true});
  CHECK(std::count(quiet.begin(), quiet.end(), '\n') == 3);
}

TEST_CASE("the result object has the stable names") {
  const auto json = nlohmann::json::parse(RenderJson("T5", {Point(8, 2.0), Full(1024)}));
  CHECK(json["schema"] == 1);
  CHECK(json["title"] == "T5");
  REQUIRE(json["runs"].size() == 2);
  const auto& run = json["runs"][0];
  for (const char* key : {"settings", "gpus", "nodes", "data_parallel", "tensor_parallel", "pipeline_parallel",
                          "context_parallel", "expert_parallel", "global_batch_size", "status", "step_time_s",
                          "tflops_per_gpu", "hardware_tflops_per_gpu", "mfu", "hfu", "tokens_per_s",
                          "tokens_per_s_per_gpu", "samples_per_s", "peak_allocated_bytes", "peak_reserved_bytes",
                          "memory", "breakdown", "parameters", "model_flops", "reference"}) {
    CHECK(run.contains(key));
  }
  CHECK(run["settings"]["cluster.gpus"] == 8);
  CHECK(run["settings"]["training.precision"] == "bf16, mixed");
  CHECK(run["status"] == "ok");
  double sum = 0.0;
  for (const auto& [name, part] : run["breakdown"].items()) {
    if (part.is_number()) sum += part.get<double>();
    if (part.is_object()) for (const auto& [kind, seconds] : part.items()) sum += seconds.get<double>();
  }
  CHECK(sum == Approx(2.0));
  CHECK(json["runs"][1]["status"] == "out_of_memory");
  CHECK(json["runs"][1]["step_time_s"].is_null());
  CHECK(json["runs"][1]["out_of_memory"]["requested_bytes"] == 3'000'000'000);
}

TEST_CASE("CSV quotes what needs quoting and keeps every digit") {
  CHECK(CsvField("plain") == "plain");
  CHECK(CsvField("a \"b\", c") == "\"a \"\"b\"\", c\"");
  CHECK(CsvNumber(0.1) == "0.1");
  const std::string text = RenderCsv({Point(8, 2.0), Full(16)});
  CHECK(text.substr(0, 60) == "cluster.gpus,training.precision,gpus,nodes,data_parallel,ten");
  CHECK(text.find("\n8,\"bf16, mixed\",8,1,8,1,1,1,1,64,ok,2,100,125,") != std::string::npos);
  CHECK(text.find("\n16,\"bf16, mixed\",16,2,16,1,1,1,1,128,out_of_memory,,,,") != std::string::npos);
}

}  // namespace
}  // namespace simulate
