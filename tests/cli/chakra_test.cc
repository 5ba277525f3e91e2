#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace simulate {
namespace {

using Catch::Contains;
using Catch::StartsWith;

double StepOf(const Outcome& outcome) {
  REQUIRE(outcome.code == 0);
  return nlohmann::json::parse(outcome.out)["runs"][0]["step_time_s"];
}

TEST_CASE("a step goes out as execution traces and comes back") {
  const Sandbox box;
  box.Write("small.yaml", kSmall);
  const double step = StepOf(box.Run("small.yaml --json --chakra traces/"));
  CHECK(std::filesystem::exists(box.folder() / "traces/small.0.et"));
  CHECK(std::filesystem::exists(box.folder() / "traces/small.1.et"));
  CHECK(nlohmann::json::parse(box.Read("traces/comm_groups.json")).size() == 1);
  CHECK(box.FileCount() == 2);  // nothing temporary is left
  const Outcome back = box.Run("replay traces --hardware hgx-h200 --json");
  CHECK(back.err.empty());
  CHECK(StepOf(back) == step);
  CHECK(StepOf(box.Run("replay traces/small --hardware hgx-h200 --json --unfold")) == step);
  CHECK(StepOf(box.Run("replay traces --hardware dgx-a100-80gb --json")) > step);
}

TEST_CASE("a replay as text, CSV, timeline and page") {
  const Sandbox box;
  box.Write("small.yaml", kSmall);
  REQUIRE(box.Run("small.yaml --quiet --chakra t").code == 0);
  const Outcome text = box.Run("replay t --hardware hgx-h200 --trace step.json --html page.html");
  CHECK(text.code == 0);
  CHECK_THAT(text.out, StartsWith("small: 2 recorded ranks on hgx-h200\n\nranks"));
  CHECK_THAT(text.out, Contains("where the time goes, rank 0") && Contains("\nThe step is "));
  CHECK(nlohmann::json::parse(box.Read("step.json"))["traceEvents"].size() > 100);
  CHECK_THAT(box.Read("page.html"), Contains("small: 2 recorded ranks"));
  CHECK_THAT(box.Run("replay t --hardware hgx-h200 --csv").out, StartsWith("gpus,") && Contains("\n2,1,"));
}

TEST_CASE("one file for each kind of rank, or for some ranks") {
  const Sandbox box;
  box.Write("small.yaml", kSmall);
  const double step = StepOf(box.Run("small.yaml --json --chakra t --chakra-ranks kinds"));
  CHECK_FALSE(std::filesystem::exists(box.folder() / "t/small.1.et"));
  CHECK(StepOf(box.Run("replay t --hardware hgx-h200 --json")) == step);
  REQUIRE(box.Run("small.yaml --quiet --chakra t --chakra-ranks 1").code == 0);  // takes the place of the first
  CHECK_FALSE(std::filesystem::exists(box.folder() / "t/small.0.et"));
  const Outcome missing = box.Run("replay t --hardware hgx-h200");
  CHECK(missing.code == 2);
  CHECK(missing.err == "error: no file in `t` stands for rank 0 of 2\n");
}

TEST_CASE("a folder that is not ours stays as it is, and a failed export leaves nothing") {
  const Sandbox box;
  box.Write("small.yaml", kSmall);
  std::filesystem::create_directory(box.folder() / "full");
  box.Write("full/b.0.et", "");
  box.Write("full/mine.txt", "");
  const Outcome other = box.Run("small.yaml --quiet --chakra full");
  CHECK(other.code == 2);
  CHECK(other.err == "error: cannot write the folder `full`: it holds other files, such as `mine.txt`\n");
  const Outcome file = box.Run("small.yaml --quiet --chakra small.yaml");
  CHECK(file.err == "error: cannot write the folder `small.yaml`: it is a file\n");
  const Outcome nowhere = box.Run("small.yaml --quiet --chakra no/such/folder");
  CHECK(nowhere.code == 2);
  CHECK(nowhere.err == "error: cannot write the folder `no/such/folder`: No such file or directory\n");
  const Outcome ranks = box.Run("small.yaml --quiet --chakra t --chakra-ranks 0-7");
  CHECK(ranks.code == 2);
  CHECK(ranks.err ==
        "error: `--chakra-ranks 0-7` names no ranks of 0 to 1\n"
        "help: all, kinds (one of each kind of rank), or a set such as 0-7,64\n");
  CHECK(box.Run("small.yaml --chakra-ranks 0").code == 2);
  CHECK(box.FileCount() == 2);
}

TEST_CASE("traces of very many ranks are asked about") {
  const Sandbox box;
  box.Write("many.yaml",
            "model: gpt-350m\n"
            "cluster: {hardware: dgx-h100, gpus: 16384}\n"
            "training: {micro_batch_size: 1, sequence_length: 1024, gradient_accumulation_steps: 8, precision: bf16_mixed}\n"
            "parallelism: {tensor: 8, pipeline: {stages: 4}, data: {strategy: ddp}}\n");
  const Outcome asked = box.Run("many.yaml --quiet --chakra t");
  CHECK(asked.code == 2);
  CHECK_THAT(asked.err, StartsWith("error: execution traces of 16384 ranks take about ") && Contains("--chakra-ranks kinds"));
  CHECK_FALSE(std::filesystem::exists(box.folder() / "t"));
  const double step = StepOf(box.Run("many.yaml --json --exact --chakra t --chakra-ranks kinds"));
  CHECK(StepOf(box.Run("replay t --hardware dgx-h100 --json")) == step);
}

TEST_CASE("what replay cannot do is bad input") {
  const Sandbox box;
  box.Write("small.yaml", kSmall);
  REQUIRE(box.Run("small.yaml --quiet --chakra t").code == 0);
  CHECK(box.Run("replay t").code == 2);
  CHECK(box.Run("replay t --hardware hgx-h200 --compute-scale 0").code == 2);
  const Outcome unknown = box.Run("replay nowhere --hardware no-such-cluster");
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.err, Contains("no-such-cluster") && Contains("there are no Chakra traces in `nowhere`"));
  box.Write("t/small.1.et", "not a trace");
  const Outcome broken = box.Run("replay t --hardware hgx-h200");
  CHECK(broken.code == 2);
  CHECK(broken.out.empty());
  CHECK_THAT(broken.err, StartsWith("error: ") && Contains("t/small.1.et"));
}

}  // namespace
}  // namespace simulate
