// Links that a scenario degrades or fails, and collectives replayed message by message.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace simulate {
namespace {

using Catch::Contains;

constexpr const char* kTwoNodes =
    "title: two nodes\n"
    "model: gpt-1.3b\n"
    "cluster: {hardware: dgx-a100-80gb, gpus: 16}\n"
    "training: {micro_batch_size: 4, sequence_length: 1024, precision: bf16_mixed}\n"
    "parallelism: {data: {strategy: zero3}}\n";

double Step(const Sandbox& box, const std::string& rest) {
  box.Write("s.yaml", kTwoNodes + rest);
  const Outcome outcome = box.Run("s.yaml --json");
  INFO(outcome.err);
  REQUIRE(outcome.code == 0);
  return nlohmann::json::parse(outcome.out)["runs"][0]["step_time_s"];
}

}  // namespace

TEST_CASE("a degraded link slows the step down, a failed one sends its traffic another way") {
  const Sandbox box;
  const double healthy = Step(box, "");
  const double slow = Step(box, "perturb: {link: node0.nic1 -> su0.rail1, bandwidth: 0.1}\n");
  const double failed = Step(box, "perturb: {link: node0.nic1 -> su0.rail1, bandwidth: 0}\n");
  CHECK(slow > healthy * 1.05);
  CHECK(failed > healthy);
  CHECK(failed < slow);  // seven NICs do what eight did; waiting for one at a tenth of its speed is worse
  CHECK(Step(box, "perturb: {link: node0.nic1 -> su0.rail1, bandwidth: 1}\n") == Approx(healthy).epsilon(1e-6));
}

TEST_CASE("a link that is not there is found by every command that reads the scenario") {
  const Sandbox box;
  box.Write("s.yaml", std::string(kTwoNodes) +
                          "perturb:\n"
                          "  - {link: node0.nic1 -> su0.rail1, bandwidth: 0.5}\n"
                          "  - {link: node0.gpu0 -> node9.switch, bandwidth: 0.5}\n"
                          "reference: {source: by hand, points: [{metric: step_time_s, value: 1 s}]}\n");
  for (const char* command : {"s.yaml", "check s.yaml", "plan s.yaml", "memory s.yaml", "sensitivity s.yaml", "compare s.yaml s.yaml"}) {
    INFO(command);
    const Outcome outcome = box.Run(command);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.find("error: there is no such link to perturb\n"
                           " --> s.yaml:8:12\n"
                           "  |\n"
                           "8 |   - {link: node0.gpu0 -> node9.switch, bandwidth: 0.5}\n"
                           "  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^ `dgx-a100-80gb` of 16 accelerators has no link `node0.gpu0 -> node9.switch`\n"
                           "help: links are named as `node0.gpu0 -> node0.switch`; `simulate topology` prints them\n") == 0);
  }
}

TEST_CASE("failed links that leave no way are said where the first of them stands") {
  const Sandbox box;
  box.Write("s.yaml", std::string(kTwoNodes) +
                          "perturb:\n"
                          "  - {link: node0.gpu0 -> node0.switch, bandwidth: 0}\n"
                          "  - {link: node0.gpu0 -> node0.host, bandwidth: 0}\n"
                          "  - {link: node0.gpu0 -> node0.nic0, bandwidth: 0}\n");
  const Outcome outcome = box.Run("s.yaml");
  CHECK(outcome.code == 2);
  CHECK(outcome.err ==
        "error: failed links cut the cluster in two\n"
        " --> s.yaml:7:12\n"
        "  |\n"
        "7 |   - {link: node0.gpu0 -> node0.switch, bandwidth: 0}\n"
        "  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^ no way is left from node0.gpu0 to node0.gpu1\n"
        "help: leave one way, or a share of the bandwidth: `bandwidth: 0.1`\n");
}

TEST_CASE("fidelity: messages replays every collective, close to the closed forms, folded or not") {
  const Sandbox box;
  const double flows = Step(box, "fidelity: flows\n");
  const double messages = Step(box, "fidelity: messages\n");
  CHECK(messages != flows);
  CHECK(messages == Approx(flows).epsilon(0.05));
  CHECK(box.Run("s.yaml --json").out == box.Run("s.yaml --json --unfold").out);
}

TEST_CASE("fidelity: messages inside one node is the closed form") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  const auto step = [&](const char* set) {
    return nlohmann::json::parse(box.Run(std::string("s.yaml --json --set fidelity=") + set).out)["runs"][0]["step_time_s"].get<double>();
  };
  CHECK(step("messages") == Approx(step("flows")).epsilon(0.001));
}

TEST_CASE("collective --messages prints the replay beside the closed form") {
  const Sandbox box;
  const Outcome text = box.Run("collective all_reduce --hardware dgx-h100 --bytes 1GiB --algorithm nvls --messages");
  REQUIRE(text.code == 0);
  CHECK_THAT(text.out, Contains("replayed") && Contains("messages"));
  const Outcome json = box.Run("collective all_gather --hardware dgx-h100 --bytes 1GiB --messages --json");
  const auto row = nlohmann::json::parse(json.out)["rows"][0];
  CHECK(row["messages"] == 8 * 7);
  CHECK(row["replayed_time_s"].get<double>() == Approx(row["time_s"].get<double>()).epsilon(0.01));
  const Outcome many = box.Run("collective all_reduce --hardware dgx-h100 --gpus 16384 --bytes 16GiB --algorithm ring --messages");
  CHECK(many.code == 2);
  CHECK(many.err ==
        "error: ring over 16384 accelerators takes 4294705152 messages, more than can be replayed\n"
        "help: at most 400000000; fewer accelerators, or without --messages\n");
}

}  // namespace simulate
