#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace simulate {
namespace {

using Catch::Contains;

// The small scenario, held to `factor` times its own prediction within 1 %.
void WriteHeld(const Sandbox& box, const std::string& name, double factor) {
  box.Write(name, kSmall);
  const auto run = nlohmann::json::parse(box.Run(name + " --json").out)["runs"][0];
  const double step = run["step_time_s"].get<double>() * factor;
  std::ostringstream text;
  text.precision(17);
  text << kSmall << "reference:\n  source: ourselves\n  points:\n    - {where: {cluster.gpus: 2}, metric: step_time_s, value: "
       << step << " s, tolerance: 1%}\n";
  box.Write(name, text.str());
}

TEST_CASE("a scenario that holds passes") {
  const Sandbox box;
  WriteHeld(box, "good.yaml", 1.0);
  const Outcome outcome = box.Run("check good.yaml");
  INFO(outcome.out << outcome.err);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.out, Contains("1 points of 1 runs, 1 held to a tolerance, 0 fell short, 0 excluded\n"));
}

TEST_CASE("a point that falls short is named with what was predicted and expected") {
  const Sandbox box;
  WriteHeld(box, "bad.yaml", 2.0);
  WriteHeld(box, "good.yaml", 1.0);
  const Outcome outcome = box.Run("check .");
  INFO(outcome.out << outcome.err);
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.out, Contains("short: ./bad.yaml: cluster.gpus=2: step_time_s: predicted ") &&
                              Contains(" (-50.0 %, tolerance 1.0 %)\n") &&
                              Contains("2 points of 2 runs, 2 held to a tolerance, 1 fell short, 0 excluded\n"));
  const auto json = nlohmann::json::parse(box.Run("check . --json").out);
  CHECK(json["points"].size() == 2);
  CHECK(json["points"][0]["passed"] == false);
  CHECK(json["points"][0]["error"].get<double>() == Approx(-0.5));
  CHECK_THAT(box.Run("check . --csv").out, Contains("./bad.yaml,") && Contains(",no,"));
}

TEST_CASE("JUnit counts tests and failures") {
  const Sandbox box;
  WriteHeld(box, "bad.yaml", 2.0);
  CHECK(box.Run("check bad.yaml --junit out.xml").code == 1);
  CHECK_THAT(box.Read("out.xml"), Contains("tests=\"1\" failures=\"1\" skipped=\"0\"") && Contains("<failure message=\"bad.yaml: "));
  CHECK(box.Run("check bad.yaml --junit no/out.xml").code == 2);
}

TEST_CASE("a baseline lists what moved") {
  const Sandbox box;
  WriteHeld(box, "good.yaml", 1.0);
  CHECK(box.Run("check good.yaml --baseline saved.csv").code == 2);  // none yet
  CHECK(box.Run("check good.yaml --baseline saved.csv --update").code == 0);
  CHECK(box.Run("check good.yaml --baseline saved.csv").code == 0);
  std::string saved = box.Read("saved.csv");
  const size_t line = saved.find('\n') + 1;
  box.Write("saved.csv", saved.substr(0, line) + "1000" + saved.substr(saved.find(',', line)));
  const Outcome outcome = box.Run("check good.yaml --baseline saved.csv");
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.out, Contains("moved: good.yaml ") && Contains(": 1000.0 -> "));
  box.Write("saved.csv", "predicted,point\nmany,good.yaml\n");
  const Outcome broken = box.Run("check good.yaml --baseline saved.csv");
  CHECK(broken.code == 2);
  CHECK_THAT(broken.err, Contains("error: expected a predicted value, a comma and a point"));
}

TEST_CASE("nothing to check, broken scenarios and missing files are bad input") {
  const Sandbox box;
  box.Write("plain.yaml", kSmall);
  const Outcome plain = box.Run("check plain.yaml");
  CHECK(plain.code == 2);
  CHECK(plain.err == "error: no scenario with a `reference` block under `plain.yaml`\n");
  CHECK(box.Run("check missing.yaml").code == 2);
  box.Write("broken.yaml", "model: [\n");
  const Outcome broken = box.Run("check broken.yaml");
  CHECK(broken.code == 2);
  CHECK(broken.out.empty());
}

TEST_CASE("a reference table: rows are points, excluded rows keep their reason, broken tables are diagnosed") {
  const Sandbox box;
  box.Write("t.yaml", std::string(kSmall) + "reference: {source: a table, table: t.csv, tolerance: 100%}\n");
  box.Write("t.csv",
            "id,training.micro_batch_size,expect.step_time_s,expect.status,exclude\n"
            "a,1,0.1,,\n"
            "b,2,,ok,\n"
            "c,4096,,out_of_memory,\n"
            "d,8,0.1,,unclear configuration\n");
  const Outcome outcome = box.Run("check t.yaml --json");
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  const auto json = nlohmann::json::parse(outcome.out);
  REQUIRE(json["points"].size() == 3);
  CHECK(json["points"][0]["point"] == "a");
  CHECK(json["points"][1]["error"] == 0.0);
  CHECK(json["points"][2]["error"] == 0.0);
  REQUIRE(json["excluded"].size() == 1);
  CHECK(json["excluded"][0]["reason"] == "unclear configuration");
  box.Write("t.csv", "id,training.micro_batch_sise,expect.step_time_s\na,1,0.02\n");
  CHECK(box.Run("check t.yaml").code == 2);
  std::filesystem::remove(box.folder() / "t.csv");
  CHECK(box.Run("check t.yaml").code == 2);
}

}  // namespace
}  // namespace simulate
