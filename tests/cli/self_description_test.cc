#include <catch2/catch.hpp>
#include <sstream>

#include "tests/cli/program.h"

namespace simulate {
namespace {

using Catch::Contains;

// The long options that a command's help shows: completion and man page must have them all.
std::vector<std::string> OptionsOf(const Sandbox& box, const std::string& command) {
  std::vector<std::string> options;
  std::istringstream words(box.Run(command + " --help").out);
  for (std::string word; words >> word;) {
    const size_t at = word.find("--");
    if (at != 0 && (at == std::string::npos || word[at - 1] != ',')) continue;
    const std::string name = word.substr(at, word.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", at) - at);
    if (name.size() > 3) options.push_back(name);
  }
  return options;
}

const std::vector<std::string> kCommands = {"run", "check", "compare", "plan", "sensitivity", "memory", "list", "show",
                                            "collective", "topology", "calibrate", "replay", "completion", "man"};

TEST_CASE("completion scripts and the man page know every command and option of the help") {
  const Sandbox box;
  const std::string help = box.Run("--help").out;
  const std::string man = box.Run("man").out;
  for (const std::string& command : kCommands) {
    CHECK_THAT(help, Contains("  " + command + " "));
    CHECK_THAT(man, Contains(".SS " + command + "\n"));
  }
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Outcome script = box.Run(std::string("completion ") + shell);
    REQUIRE(script.code == 0);
    for (const std::string& command : kCommands) {
      INFO(shell << " " << command);
      CHECK_THAT(script.out, Contains(command));
      for (const std::string& option : OptionsOf(box, command)) {
        const std::string name = option.substr(2);
        INFO(option);
        CHECK_THAT(script.out, std::string(shell) == "fish" ? Contains("-l " + name) : Contains(option));
        std::string dashed;
        for (const char c : option) dashed += c == '-' ? std::string("\\-") : std::string(1, c);
        CHECK_THAT(man, Contains(dashed));
      }
    }
  }
  const Outcome bad = box.Run("completion tcsh");
  CHECK(bad.code == 2);
  CHECK_THAT(bad.err, Contains("tcsh"));
}

// What bash offers for a half-typed command line.
std::string Complete(const Sandbox& box, const std::string& line) {
  return box.Shell("PATH=$(dirname $simulate):$PATH bash -c 'source <(simulate completion bash); COMP_WORDS=(" + line +
                   " \"\"); [[ \"" + line + "\" == *\" \" ]] || unset \"COMP_WORDS[-1]\"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _simulate; "
                   "printf \"%s\\n\" \"${COMPREPLY[@]}\"'").out;
}

TEST_CASE("bash completes commands, options, their choices and names") {
  const Sandbox box;
  CHECK(Complete(box, "simulate comp") == "compare\ncompletion\n");
  CHECK_THAT(Complete(box, "simulate --re"), Contains("--resume"));
  CHECK(Complete(box, "simulate check --baseline x --th") == "--threshold\n--threads\n");
  CHECK(Complete(box, "simulate x.yaml --color ") == "auto\nalways\nnever\n");
  CHECK(Complete(box, "simulate completion f") == "fish\n");
  CHECK_THAT(Complete(box, "simulate t5_11b"), Contains("t5_11b_fsdp"));
  CHECK_THAT(Complete(box, "simulate topology dgx-a100"), Contains("dgx-a100-80gb"));
  CHECK_THAT(Complete(box, "simulate show llama-3-40"), Contains("llama-3-405b"));
  box.Write("mine.yaml", "");
  CHECK_THAT(Complete(box, "simulate memory mi"), Contains("mine.yaml"));
}

TEST_CASE("the other shells read their scripts, where they are installed") {
  const Sandbox box;
  for (const char* shell : {"bash", "zsh", "fish"}) {
    if (std::system((std::string("command -v ") + shell + " >/dev/null 2>&1").c_str()) != 0) {
      WARN("skipped: " << shell << " is not on this machine");
      continue;
    }
    const Outcome read = box.Shell(std::string("$simulate completion ") + shell + " >script && " + shell + " -n script");
    INFO(shell << read.err);
    CHECK(read.code == 0);
  }
}

TEST_CASE("the man page is one that man can show") {
  const Sandbox box;
  if (std::system("command -v groff >/dev/null 2>&1") != 0) {
    WARN("skipped: groff is not on this machine");
    return;
  }
  const Outcome shown = box.Shell("$simulate man | groff -man -Tascii -ww");
  CHECK(shown.code == 0);
  CHECK(shown.err.empty());
  CHECK_THAT(shown.out, Contains("discrete-event simulator"));
}

TEST_CASE("a pipeline is drawn for every schedule, plainly when piped") {
  const Sandbox box;
  box.Write("s.yaml", "model: gpt-125m\ncluster: {hardware: dgx-a100-80gb, gpus: 4}\n"
                      "training: {micro_batch_size: 16, gradient_accumulation_steps: 8, sequence_length: 1024, runtime: megatron}\n"
                      "parallelism: {pipeline: {stages: 4}}\n");
  const std::vector<std::pair<const char*, const char*>> schedules = {
      {"gpipe", "27.3 % with equal stages and free communication (GPipe: (p-1)/(m+p-1))"},
      {"1f1b", "27.3 % with equal stages and free communication (1F1B: (p-1)/(m+p-1))"},
      {"interleaved_1f1b --set parallelism.pipeline.virtual_stages=3", "11.1 % with equal stages and free communication (interleaved 1F1B: (p-1)/(vm+p-1))"},
      {"zero_bubble_h1", "(ZB-H1: (p-1)(F+B-W) of the time)"},
      {"zero_bubble_v", "0.0 % with equal stages and free communication (ZB-V)"},
      {"dualpipe", "(DualPipe: (p/2-1)(F+2B-W) of the time)"}};
  for (const auto& [schedule, closed_form] : schedules) {
    INFO(schedule);
    const Outcome drawn = box.Run(std::string("s.yaml --gantt --quiet --set parallelism.pipeline.schedule=") + schedule);
    CHECK(drawn.code == 0);
    CHECK_THAT(drawn.out, Contains("stage 0 |") && Contains("stage 3 |") && Contains("bubble: ") && Contains(closed_form));
    CHECK_THAT(drawn.out, !Contains("\x1b"));
    std::istringstream lines(drawn.out);
    for (std::string line; std::getline(lines, line);) {
      if (line.rfind("stage ", 0) != 0) continue;
      CHECK(line.size() == 120);
      CHECK_THAT(line, Contains(">") && Contains("<"));
    }
  }
  CHECK_THAT(box.Run("s.yaml --gantt --color always").out, Contains("\x1b[30;46m"));
  const Outcome none = box.Run("s.yaml --gantt --set parallelism.pipeline.stages=1");
  CHECK(none.code == 2);
  CHECK(none.out.empty());
  CHECK(none.err ==
        "error: --gantt draws a pipeline, and this scenario has one stage\n"
        "help: for example --set parallelism.pipeline.stages=4 --set training.gradient_accumulation_steps=8\n");
  CHECK(box.Run("s.yaml --gantt --json").code == 2);
}

}  // namespace
}  // namespace simulate
