#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace simulate {
namespace {

using Catch::Contains;
using Catch::StartsWith;

TEST_CASE("help and version are results") {
  const Sandbox box;
  const Outcome help = box.Run("--help");
  CHECK(help.code == 0);
  CHECK_THAT(help.out, Contains("Usage: simulate") && Contains("--set KEY=VALUE") && Contains("check"));
  CHECK(help.err.empty());
  const Outcome version = box.Run("--version");
  CHECK(version.code == 0);
  CHECK_THAT(version.out, StartsWith("simulate "));
}

TEST_CASE("a bad command line is bad input") {
  const Sandbox box;
  for (const char* arguments : {"", "--no-such-flag", "a.yaml --json --csv", "a.yaml --color sometimes", "check",
                                "a.yaml --threads -1"}) {
    INFO(arguments);
    const Outcome outcome = box.Run(arguments);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK_FALSE(outcome.err.empty());
  }
}

TEST_CASE("a scenario that is not there") {
  const Sandbox box;
  const Outcome outcome = box.Run("nope.yaml");
  CHECK(outcome.code == 2);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, StartsWith("error: there is no scenario `nope.yaml`\n"));
}

TEST_CASE("an override without a value") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  const Outcome outcome = box.Run("s.yaml --set cluster.gpus");
  CHECK(outcome.code == 2);
  CHECK(outcome.err ==
        "error: `--set cluster.gpus` is not of the form key=value\n"
        "help: for example --set cluster.gpus=64\n");
}

TEST_CASE("a step of months is bad input, however each of its numbers is in range") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  const Outcome outcome = box.Run("s.yaml --set cluster.hardware.accelerator.memory_bandwidth=1MB/s --set training.micro_batch_size=500000");
  CHECK(outcome.code == 2);
  CHECK(outcome.out.empty());
  CHECK(outcome.err ==
        "error: this step takes longer than 50 days, more than the clock holds\n"
        "help: some number of the scenario or of the hardware is off by orders of magnitude\n");
}

TEST_CASE("the result object is all that is printed") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  const Outcome outcome = box.Run("s.yaml --json");
  REQUIRE(outcome.code == 0);
  CHECK(outcome.err.empty());
  const auto json = nlohmann::json::parse(outcome.out);
  REQUIRE(json["runs"].size() == 1);
  const auto& run = json["runs"][0];
  CHECK(json["schema"] == 1);
  CHECK(json["title"] == "small");
  CHECK(run["gpus"] == 2);
  CHECK(run["status"] == "ok");
  CHECK(run["data_parallel"] == 2);
  CHECK(run["global_batch_size"] == 8);
  const double step = run["step_time_s"];
  CHECK(step > 0.0);
  CHECK(run["tokens_per_s"].get<double>() == Approx(8 * 1024 / step));
  CHECK(run["tflops_per_gpu"].get<double>() == Approx(run["model_flops"].get<double>() / step / 2 / 1e12));
  double sum = 0.0;
  for (const auto& [name, part] : run["breakdown"].items()) {
    if (part.is_number()) sum += part.get<double>();
    if (!part.is_object()) continue;
    for (const auto& [kind, seconds] : part.items()) sum += seconds.get<double>();
  }
  CHECK(sum == Approx(step).epsilon(1e-9));
}

TEST_CASE("overrides reach the run, and sweeps keep their order on any number of threads") {
  const Sandbox box;
  box.Write("s.yaml", std::string(kSmall) + "sweep: {training.micro_batch_size: [1, 2, 4], cluster.gpus: [2, 4]}\n");
  const Outcome one = box.Run("s.yaml --json --threads 1");
  const Outcome many = box.Run("s.yaml --json --threads 4");
  REQUIRE(one.code == 0);
  CHECK(one.out == many.out);
  const auto json = nlohmann::json::parse(one.out);
  REQUIRE(json["runs"].size() == 6);
  const Outcome set = box.Run("s.yaml --json --set training.sequence_length=512");
  const auto shorter = nlohmann::json::parse(set.out);
  CHECK(shorter["runs"][0]["tokens_per_s"].get<double>() * shorter["runs"][0]["step_time_s"].get<double>() ==
        Approx(json["runs"][0]["tokens_per_s"].get<double>() * json["runs"][0]["step_time_s"].get<double>() / 2));
}

TEST_CASE("folded and unfolded runs print the same bytes") {
  const Sandbox box;
  box.Write("s.yaml", std::string(kSmall) + "sweep: {cluster.gpus: [2, 8, 16]}\n");
  const Outcome folded = box.Run("s.yaml --json");
  const Outcome unfolded = box.Run("s.yaml --json --unfold");
  REQUIRE(folded.code == 0);
  CHECK(folded.out == unfolded.out);
}

TEST_CASE("an out-of-memory run is a result") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  const Outcome outcome = box.Run("s.yaml --json --set training.micro_batch_size=4096");
  CHECK(outcome.code == 0);
  const auto run = nlohmann::json::parse(outcome.out)["runs"][0];
  CHECK(run["status"] == "out_of_memory");
  CHECK(run["step_time_s"].is_null());
  CHECK(run["out_of_memory"]["requested_bytes"].get<int64_t>() > 0);
  CHECK_THAT(box.Run("s.yaml --set training.micro_batch_size=4096").out, Contains("does not fit"));
}

TEST_CASE("colour only where it is asked for") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  CHECK_THAT(box.Run("s.yaml").out, !Contains("\x1b"));
  CHECK_THAT(box.Run("s.yaml --color always").out, Contains("\x1b["));
  CHECK_THAT(box.Shell("NO_COLOR=1 $simulate s.yaml --color auto").out, !Contains("\x1b"));
}

TEST_CASE("files are written wholly or not at all") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  const Outcome written = box.Run("s.yaml --json -o result.json");
  CHECK(written.code == 0);
  CHECK(written.out.empty());
  CHECK(nlohmann::json::parse(box.Read("result.json"))["schema"] == 1);
  const size_t files = box.FileCount();
  const Outcome nowhere = box.Run("s.yaml --json -o no/such/folder/result.json");
  CHECK(nowhere.code == 2);
  CHECK(nowhere.err == "error: cannot write `no/such/folder/result.json`: No such file or directory\n");
  const Outcome folder = box.Run("s.yaml --json -o .");
  CHECK(folder.code == 2);
  CHECK(folder.err == "error: cannot write `.`: Is a directory\n");
  CHECK(box.FileCount() == files);
}

TEST_CASE("a full disk and a closed pipe") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  const Outcome full = box.Shell("$simulate s.yaml --json >/dev/full");
  CHECK(full.code == 2);
  CHECK(full.err == "error: cannot write to standard output: No space left on device\n");
  CHECK(box.Run("s.yaml --json -o /dev/full").err == "error: cannot write `/dev/full`: No space left on device\n");
  const Outcome closed = box.Shell("{ $simulate s.yaml --json; echo $? >code; } | true; sleep 0.1; cat code");
  CHECK(closed.out == "0\n");
  CHECK(closed.err.empty());
}

TEST_CASE("traces and the page are written") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  REQUIRE(box.Run("s.yaml --trace step.json --html page.html").code == 0);
  REQUIRE(box.Run("s.yaml --trace step.pftrace").code == 0);
  CHECK(nlohmann::json::parse(box.Read("step.json"))["traceEvents"].size() > 100);
  CHECK(box.Read("step.pftrace").size() > 10'000);
  CHECK_THAT(box.Read("page.html"), StartsWith("<!DOCTYPE html>") || StartsWith("<!doctype html>"));
}

TEST_CASE("statistics go to standard error") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  const Outcome outcome = box.Run("s.yaml --csv --stats");
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.err, StartsWith("1 points in ") && Contains("events"));
  CHECK_THAT(outcome.out, StartsWith("gpus,nodes,"));
}

TEST_CASE("scenarios that are shipped run by name from any folder") {
  const Sandbox box;
  const Outcome outcome = box.Run("gpt_175b_fsdp --quiet --set cluster.gpus=128");
  CHECK(outcome.code == 0);
}

// What the README promises: a config.json from Hugging Face as it is, and a what-if on it.
TEST_CASE("a model of one's own from its config.json") {
  const Sandbox box;
  box.Write("config.json",
            R"({"architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643, "eos_token_id": 151645,
                "hidden_act": "silu", "hidden_size": 3584, "initializer_range": 0.02, "intermediate_size": 18944,
                "max_position_embeddings": 32768, "max_window_layers": 28, "model_type": "qwen2", "num_attention_heads": 28,
                "num_hidden_layers": 28, "num_key_value_heads": 4, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
                "sliding_window": null, "tie_word_embeddings": false, "torch_dtype": "bfloat16", "transformers_version": "4.43.1",
                "use_cache": true, "use_sliding_window": false, "vocab_size": 152064})");
  box.Write("my.yaml",
            "model: config.json\ncluster: {hardware: hgx-h200, gpus: 8}\n"
            "training: {micro_batch_size: 1, sequence_length: 4096}\nparallelism: {data: {strategy: fsdp}}\n");
  const Outcome mine = box.Run("my.yaml --json");
  INFO(mine.err);
  REQUIRE(mine.code == 0);
  // Qwen2-7B: 7.62e9 parameters, those of the biases on queries, keys and values among them.
  CHECK(nlohmann::json::parse(mine.out)["runs"][0]["parameters"].get<double>() == Approx(7.616e9).epsilon(0.001));
  CHECK(box.Run("my.yaml --quiet --set sweep.cluster.gpus=[8,16] --set training.activation_checkpointing=full").code == 0);
}

}  // namespace
}  // namespace simulate
