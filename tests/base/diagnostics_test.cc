// How diagnostics look, and which names are near which.
#include "sim/base/diagnostics.h"

#include <catch2/catch.hpp>

#include <string>

namespace simulate {
namespace {

TEST_CASE("a diagnostic quotes its line and points at the value") {
  Diagnostics d;
  d.AddSource("gpt3.yaml", "\n\n\n\n\n\n\n\n\nmodel: gpt3\n\n\n\n  tensor: 10\n");
  Diagnostic& e = d.Error("tensor parallel size must divide the number of attention heads", {"gpt3.yaml", 14, 11, 2});
  e.label = "96 heads cannot be split 10 ways";
  e.notes.push_back({"`num_attention_heads` is set here", {"models/gpt3-175b.yaml", 6, 18, 2}});
  e.notes.push_back({"a fact without a place", {}});
  e.help.emplace_back("divisors of 96 that fit one 8-device node: 1, 2, 4, 8");
  CHECK(d.Render() == R"(error: tensor parallel size must divide the number of attention heads
  --> gpt3.yaml:14:11
   |
14 |   tensor: 10
   |           ^^ 96 heads cannot be split 10 ways
note: `num_attention_heads` is set here
  --> models/gpt3-175b.yaml:6:18
note: a fact without a place
help: divisors of 96 that fit one 8-device node: 1, 2, 4, 8
)");
}

TEST_CASE("diagnostics come in the order of files and places, those without a place first") {
  Diagnostics d;
  d.AddSource("a.yaml", "x\ny\n");
  d.AddSource("b.yaml", "z\n");
  d.Error("fourth", {"b.yaml", 1, 1, 1});
  d.Error("third", {"a.yaml", 2, 1, 1});
  d.Warning("second", {"a.yaml", 1, 1, 1});
  d.Error("first");
  CHECK(d.Render() == R"(error: first

warning: second
 --> a.yaml:1:1
  |
1 | x
  | ^

error: third
 --> a.yaml:2:1
  |
2 | y
  | ^

error: fourth
 --> b.yaml:1:1
  |
1 | z
  | ^
)");
  CHECK(d.errors() == 3);
}

TEST_CASE("columns count characters, and control characters do not move the carets") {
  Diagnostics d;
  d.AddSource("a.yaml", "\"größe\":\tx\r\n");
  d.Error("bad", {"a.yaml", 1, 12, 1});  // in bytes: ö and ß take two each
  CHECK(d.Render() == "error: bad\n --> a.yaml:1:10\n  |\n1 | \"größe\": x\n  |          ^\n");
}

TEST_CASE("a place outside the text is named and not quoted") {
  Diagnostics d;
  d.AddSource("a.yaml", "x\n");
  d.Error("beyond", {"a.yaml", 7, 3, 1});
  d.Error("unknown file", {"b.yaml", 2, 1, 1});
  CHECK(d.Render() == "error: beyond\n  --> a.yaml:7:3\n\nerror: unknown file\n  --> b.yaml:2:1\n");
}

TEST_CASE("long lines are cut around the place") {
  Diagnostics d;
  d.AddSource("a.yaml", std::string(300, 'x') + "Y" + std::string(300, 'z'));
  d.Error("here", {"a.yaml", 1, 301, 1});
  CHECK(d.Render() == "error: here\n --> a.yaml:1:301\n  |\n1 | ..." + std::string(60, 'x') + "Y" + std::string(59, 'z') +
                          "...\n  | " + std::string(63, ' ') + "^\n");
}

TEST_CASE("warnings alone are no errors, and repetitions are dropped") {
  Diagnostics d;
  d.Warning("slow", {"a.yaml", 1, 1, 1});
  CHECK_FALSE(d.HasErrors());
  d.Error("bad", {"a.yaml", 1, 1, 1});
  d.Error("bad", {"a.yaml", 1, 1, 1});
  d.Error("bad", {"a.yaml", 2, 1, 1});
  d.Deduplicate();
  CHECK(d.all().size() == 3);
  CHECK(d.errors() == 2);
}

TEST_CASE("later warnings can be dropped, errors stay") {
  Diagnostics d;
  d.Warning("kept");
  d.Warning("dropped");
  d.Error("bad");
  d.DropWarningsAfter(1);
  CHECK(d.Render() == "warning: kept\n\nerror: bad\n");
  CHECK(d.errors() == 1);
}

TEST_CASE("colour is only added when asked for") {
  Diagnostics d;
  d.Error("bad");
  CHECK(d.Render() == "error: bad\n");
  CHECK(d.Render(true) == "\x1b[1;31merror\x1b[0m\x1b[1m: bad\x1b[0m\n");
}

TEST_CASE("near names are found by edit distance, case and dashes aside") {
  const std::vector<std::string> keys = {"bandwidth", "latency", "gpus", "micro_batch_size"};
  CHECK(NearestName("bandwith", keys) == "bandwidth");
  CHECK(NearestName("latnecy", keys) == "latency");            // two letters swapped count once
  CHECK(NearestName("Micro-Batch-Size", keys) == "micro_batch_size");
  CHECK(NearestName("gpu", keys) == "gpus");
  CHECK(NearestName("colour", keys).empty());
  CHECK(NearestName("x", keys).empty());                       // a third of its length is less than one letter
  CHECK(NearestName("", keys).empty());
}

}  // namespace
}  // namespace simulate
