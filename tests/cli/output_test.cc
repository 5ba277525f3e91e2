// Where results go, and what happens when they cannot: full disks, folders that are not there, closed pipes,
// interruptions. No half files.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/cli/program.h"

namespace simulate {
namespace {

using Catch::Contains;
using Catch::EndsWith;
using Catch::StartsWith;

// Every option that writes a file, with a command line that reaches it.
const std::vector<std::pair<const char*, std::string>> kWriters = {
    {"-o", "s.yaml -o "},
    {"-o of JSON", "s.yaml --json -o "},
    {"-o of CSV", "s.yaml --csv -o "},
    {"--html", "s.yaml --html "},
    {"--trace", "s.yaml --trace "},
    {"--resume", "s.yaml --resume "},
    {"--junit", "check checked.yaml --junit "},
    {"--page", "check checked.yaml --page "},
    {"--baseline", "check checked.yaml --update --baseline "},
    {"--dot", "topology hgx-h200 --dot "},
};

std::string Checked() {
  return std::string(kSmall) + "reference: {source: made up, points: [{metric: step_time_s, value: 0.05}]}\n";
}

// Every key of objects within `json`, below those whose keys are names of something else.
void CollectKeys(const nlohmann::json& json, std::set<std::string>& keys) {
  if (json.is_array()) {
    for (const auto& item : json) CollectKeys(item, keys);
  }
  if (!json.is_object()) return;
  for (const auto& [key, value] : json.items()) {
    keys.insert(key);
    if (key != "settings" && key != "exposed_communication") CollectKeys(value, keys);
  }
}

TEST_CASE("docs/RESULT.md names every key of the results, and no CSV column stands twice") {
  const Sandbox box;
  box.Write("s.yaml", Checked());
  const std::string sweep = "s.yaml --set sweep.training.micro_batch_size=[1,4096] ";  // the second does not fit
  const Outcome json = box.Run(sweep + "--json");
  REQUIRE(json.code == 0);
  std::set<std::string> keys;
  CollectKeys(nlohmann::json::parse(json.out), keys);
  CHECK(keys.size() > 60);
  std::ifstream file(SIMULATE_SOURCE_DIR "/docs/RESULT.md");
  std::ostringstream page;
  page << file.rdbuf();
  for (const std::string& key : keys) {
    INFO(key);
    CHECK_THAT(page.str(), Contains("`" + key + "`"));
  }
  const std::string csv = box.Run(sweep + "--csv").out;
  std::istringstream header(csv.substr(0, csv.find('\n')));
  std::set<std::string> columns;
  for (std::string column; std::getline(header, column, ',');) {
    INFO(column);
    CHECK(columns.insert(column).second);
  }
}

TEST_CASE("an unwritable path is an error with its reason, and nothing is left behind") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  box.Write("checked.yaml", Checked());
  for (const auto& [name, arguments] : kWriters) {
    INFO(name);
    const size_t files = box.FileCount();
    const Outcome nowhere = box.Run(arguments + "no/such/folder/file");
    CHECK(nowhere.code == 2);
    CHECK_THAT(nowhere.err, Contains("error: cannot write `no/such/folder/file"));
    CHECK_THAT(nowhere.err, Contains(": No such file or directory\n"));
    CHECK(box.FileCount() == files);
    const Outcome folder = box.Run(arguments + ".");
    CHECK(folder.code == 2);
    CHECK_THAT(folder.err, Contains("Is a directory\n"));
    CHECK(box.FileCount() == files);
  }
}

TEST_CASE("an empty name, as of an unset shell variable, is refused") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  for (const char* option : {"--html", "--trace", "-o", "--chakra", "--resume"}) {
    INFO(option);
    const Outcome outcome = box.Run(std::string("s.yaml ") + option + " \"$unset\"");
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK_THAT(outcome.err, EndsWith(": the name is empty\nRun with --help for more information.\n"));
  }
}

TEST_CASE("a full disk is an error, too") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  box.Write("checked.yaml", Checked());
  for (const auto& [name, arguments] : kWriters) {
    if (std::string(name) == "--page") continue;  // writes /dev/full.svg first
    INFO(name);
    const Outcome full = box.Run(arguments + "/dev/full");
    CHECK(full.code == 2);
    CHECK_THAT(full.err, Contains("error: cannot write `/dev/full`: No space left on device\n"));
  }
  CHECK(std::filesystem::exists("/dev/full"));
}

// A file size limit of 8 KiB fails in the middle of a file, as a disk does that fills up.
TEST_CASE("a disk that fills up half-way leaves what was there before, and no temporary file") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  box.Write("step.pftrace", "before");
  box.Write("page.html", "before");
  for (const char* arguments : {"--trace step.pftrace", "--html page.html", "--trace step.pftrace --html page.html"}) {
    INFO(arguments);
    const size_t files = box.FileCount();
    const Outcome full = box.Shell(std::string("trap '' XFSZ; ulimit -f 16; $simulate s.yaml --quiet ") + arguments);
    CHECK(full.code == 2);
    CHECK_THAT(full.err, Contains(": File too large\n"));
    CHECK(box.FileCount() == files);
    CHECK(box.Read("step.pftrace") == "before");
    CHECK(box.Read("page.html") == "before");
  }
}

TEST_CASE("results go to pipes as well, and a reader that has gone is no error") {
  const Sandbox box;
  box.Write("s.yaml", kSmall);
  CHECK_THAT(box.Run("s.yaml --csv -o /dev/stdout").out, StartsWith("gpus,"));  // a file, here: the link stays what it is
  CHECK(std::filesystem::is_symlink("/dev/stdout"));
  CHECK_THAT(box.Shell("$simulate s.yaml --csv -o /dev/stdout | cat").out, StartsWith("gpus,"));
  box.Write("real.csv", "before");
  std::filesystem::create_symlink("real.csv", box.folder() / "link.csv");
  CHECK(box.Run("s.yaml --csv -o link.csv").code == 0);
  CHECK(std::filesystem::is_symlink(box.folder() / "link.csv"));
  CHECK_THAT(box.Read("real.csv"), StartsWith("gpus,"));
  CHECK_THAT(box.Shell("$simulate s.yaml --quiet --trace /dev/fd/3 3>&1 >/dev/null | head -c 2").out, !Contains("error"));
  for (const char* arguments : {"s.yaml", "s.yaml --csv", "list", "topology hgx-h200", "man", "--help"}) {
    INFO(arguments);
    const Outcome closed = box.Shell(std::string("{ $simulate ") + arguments + "; echo $? >code; } | true; while [ ! -s code ]; do sleep 0.02; done; cat code; rm code");
    CHECK(closed.out == "0\n");
    CHECK(closed.err.empty());
  }
  const Outcome full = box.Shell("$simulate list >/dev/full");
  CHECK(full.code == 2);
  CHECK(full.err == "error: cannot write to standard output: No space left on device\n");
}

// 48 points that take a few milliseconds each.
std::string Sweep() {
  std::string text =
      "model: gpt-350m\ncluster: {hardware: hgx-h200, gpus: 2}\ntraining: {gradient_accumulation_steps: 8, sequence_length: 64}\n"
      "parallelism: {data: {strategy: fsdp}}\nsweep: {training.micro_batch_size: [1, 2, 3], training.sequence_length: [";
  for (int i = 1; i <= 16; ++i) text += (i > 1 ? ", " : "") + std::to_string(32 * i);
  return text + "]}\n";
}

// Interrupts the sweep when `file` holds the head and two points, and prints the exit code.
std::string Interrupted(const std::string& signal, const std::string& options, const std::string& file) {
  return "bash -c 'set -m; $0 s.yaml --json --threads 1 " + options + " >part 2>said & while [ $(wc -l 2>/dev/null <" + file +
         " || echo 0) -lt 3 ]; do kill -0 $! 2>/dev/null || break; sleep 0.01; done; kill -" + signal + " $!; wait $!; echo $?' $simulate; cat said >&2";
}

TEST_CASE("an interrupted sweep is gone on with, and ends with the same bytes") {
  const Sandbox box;
  box.Write("s.yaml", Sweep());
  const std::string whole = box.Run("s.yaml --json").out;
  REQUIRE(whole.size() > 10'000);
  const auto [signal, code] = GENERATE(std::pair("INT", "130\n"), std::pair("TERM", "143\n"), std::pair("KILL", "137\n"));
  INFO(signal);
  const Outcome stopped = box.Shell(Interrupted(signal, "--resume kept", "kept"));
  CHECK_THAT(stopped.out, Catch::EndsWith(code));
  if (std::string(signal) != "KILL") {
    CHECK_THAT(stopped.err, Contains("interrupted: ") && Contains(" of 48 points are finished and kept in `kept`\n"
                                       "help: the same command with --resume kept goes on from there\n"));
  }
  CHECK(box.Read("part").empty());  // no result that looks whole
  box.Write("kept", box.Read("kept") + "7 {\"settings\":[");  // as if the last line had been cut off
  const Outcome resumed = box.Run("s.yaml --json --resume kept");
  CHECK(resumed.code == 0);
  CHECK(resumed.out == whole);
  CHECK_THAT(resumed.err, StartsWith("resumed: ") && Contains(" of 48 points were finished before\n"));
  CHECK_FALSE(std::filesystem::exists(box.folder() / "kept"));  // it has served
}

TEST_CASE("a sweep that was not told a file keeps its points in one of its own") {
  const Sandbox box;
  box.Write("s.yaml", Sweep());
  // It shows no sign of how far it is, so it is given a moment; a sweep that ended before that shows as exit code 0.
  const Outcome stopped = box.Shell(
      "bash -c 'set -m; $0 s.yaml --csv --threads 1 >part 2>said & sleep 0.15; kill -INT $!; wait $!; echo $?' $simulate; cat said >&2");
  if (stopped.out == "0\n") return;
  CHECK(stopped.out == "130\n");
  if (!std::filesystem::exists(box.folder() / "s.resume")) return;  // no point was finished; perhaps none begun, which says nothing
  CHECK_THAT(stopped.err, Contains("interrupted: "));
  CHECK_THAT(stopped.err, Contains("kept in `s.resume`\nhelp: the same command with --resume s.resume goes on from there\n"));
  const Outcome resumed = box.Run("s.yaml --csv --resume s.resume");
  CHECK(resumed.code == 0);
  CHECK(resumed.out == box.Run("s.yaml --csv").out);
}

TEST_CASE("points of another sweep are not taken for this one's") {
  const Sandbox box;
  box.Write("s.yaml", Sweep());
  box.Write("t.yaml", Sweep() + "# changed\n");
  CHECK(box.Shell(Interrupted("INT", "--resume kept", "kept")).out == "130\n");
  const std::string refused =
      "error: `kept` is of another sweep: the scenario, what it names, an option or the program has changed\n"
      "help: remove it to begin anew, or name another file\n";
  for (const char* arguments : {"t.yaml", "s.yaml --set training.precision=bf16", "s.yaml --exact"}) {
    INFO(arguments);
    const Outcome other = box.Run(std::string(arguments) + " --resume kept");
    CHECK(other.code == 2);
    CHECK(other.err == refused);
  }
  const Outcome not_one = box.Run("s.yaml --resume s.yaml");
  CHECK(not_one.code == 2);
  CHECK(not_one.err ==
        "error: `s.yaml` is not a file of an interrupted sweep\n"
        "help: name a file that is not there yet; it is made\n");
  CHECK(box.Read("s.yaml") == Sweep());
}

TEST_CASE("a result that could not be written keeps the finished points") {
  const Sandbox box;
  box.Write("s.yaml", std::string(kSmall) + "sweep: {training.micro_batch_size: [1, 2]}\n");
  CHECK(box.Run("s.yaml --json --resume kept -o /dev/full").code == 2);
  CHECK(std::filesystem::exists(box.folder() / "kept"));
  CHECK(box.Shell("$simulate s.yaml --json --resume kept >/dev/full").code == 2);
  CHECK(std::filesystem::exists(box.folder() / "kept"));
  CHECK(box.Run("s.yaml --json --resume kept").err == "resumed: 2 of 2 points were finished before\n");
  CHECK_FALSE(std::filesystem::exists(box.folder() / "kept"));
}

TEST_CASE("an interruption removes the file that is being written") {
  const Sandbox box;
  // A trace of 400 micro-steps takes a while to write; wait for its temporary file.
  box.Write("s.yaml", "model: gpt-125m\ncluster: {hardware: hgx-h200, gpus: 2}\n"
                      "training: {micro_batch_size: 1, gradient_accumulation_steps: 400, sequence_length: 64}\nparallelism: {data: {strategy: fsdp}}\n");
  const Outcome stopped = box.Shell(
      "bash -c 'set -m; $0 s.yaml --quiet --trace step.json >part 2>said & while ! ls step.json.*.tmp >/dev/null 2>&1; do sleep 0.01; "
      "kill -0 $! 2>/dev/null || break; done; kill -INT $! 2>/dev/null; wait $!; echo $?' $simulate");
  if (stopped.out != "0\n") {  // else it had been written before it could be interrupted
    CHECK(stopped.out == "130\n");
    CHECK_FALSE(std::filesystem::exists(box.folder() / "step.json"));
  }
  for (const auto& entry : std::filesystem::directory_iterator(box.folder())) {
    CHECK_THAT(entry.path().filename().string(), !Contains(".tmp"));
  }
}

TEST_CASE("progress with rate and time left is for a terminal only") {
  const Sandbox box;
  box.Write("s.yaml", Sweep());
  CHECK(box.Run("s.yaml --csv --threads 1").err.empty());
  if (std::system("command -v script >/dev/null 2>&1") != 0) {
    WARN("skipped: `script` (bsdutils) is not on this machine");
    return;
  }
  // A sweep that ends within a second says nothing, so it is made longer.
  box.Write("long.yaml", std::string(kSmall) + "sweep: {training.micro_batch_size: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], training.sequence_length: "
                         "[" + [] { std::string s = "4"; for (int i = 2; i < 250; ++i) s += ", " + std::to_string(4 * i); return s; }() + "]}\n");
  const Outcome shown = box.Shell("script -qec \"$simulate long.yaml --csv --threads 1 >/dev/null\" /dev/null");
  CHECK_THAT(shown.out, Contains("point ") && Contains(" of 3984, ") && Contains(" a second, ") && Contains(" s left"));
}

}  // namespace
}  // namespace simulate
