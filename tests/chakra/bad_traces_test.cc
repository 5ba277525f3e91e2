// What is wrong with a trace is said in one go, with its file and node; nothing that a file holds makes the program fail.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/base/random.h"
#include "sim/chakra/read_traces.h"
#include "sim/chakra/write_trace.h"
#include "sim/engine/simulate_ranks.h"
#include "tests/chakra/wire.h"
#include "tests/engine/random_program.h"

namespace simulate {
namespace {

using wire::Coll;
using wire::NodeText;
using wire::Recv;
using wire::Send;

std::string ErrorsOf(const wire::Folder& folder, const TraceOptions& options = {}) {
  Diagnostics diagnostics;
  CHECK_FALSE(ReadTraces(folder.path(), options, diagnostics).has_value());
  return folder.Short(diagnostics.Render());
}
std::string ErrorsOf(const std::vector<std::vector<NodeText>>& ranks) {
  const wire::Folder folder;
  folder.Ranks(ranks);
  return ErrorsOf(folder);
}
NodeText Comp(uint64_t id, std::vector<uint64_t> deps = {}) { return {id, "comp", wire::kComp, std::move(deps), 5, "", {}}; }

TEST_CASE("folders without a trace, or with several") {
  const wire::Folder folder;
  CHECK(ErrorsOf(folder) ==
        "error: there are no Chakra traces in `DIR`\n"
        "help: a trace has a file per rank, named PREFIX.<rank>.et: give their folder, or the folder and PREFIX\n");
  folder.Write("a.0.et", wire::File({Comp(0)}));
  folder.Write("b.0.et", wire::File({Comp(0)}));
  CHECK(ErrorsOf(folder) ==
        "error: `DIR` holds several traces\n"
        "help: name one: DIR/a, DIR/b\n");
  Diagnostics diagnostics;
  CHECK_FALSE(ReadTraces(folder.path() + "/nope/x", {}, diagnostics).has_value());
  CHECK(folder.Short(diagnostics.Render()) == "error: cannot read the folder `DIR/nope`: No such file or directory\n");
}

TEST_CASE("ranks without a file") {
  const wire::Folder folder;
  for (const char* rank : {"0", "2", "5"}) folder.Write(std::string("x.") + rank + ".et", wire::File({Comp(0)}));
  CHECK(ErrorsOf(folder) ==
        "error: ranks 1,3-4 of 6 have no file in `DIR`\n"
        "note: the last one is x.5.et\n");
}

TEST_CASE("files that are no trace, all of them at once") {
  const wire::Folder folder;
  const std::string whole = wire::File({Comp(0), Comp(1, {0})});
  folder.Write("x.0.et", "");
  folder.Write("x.1.et", "{\"schema\": \"1.0.2\", \"nodes\": []} and so on, more than the hundred and twenty-three bytes that its "
                         "first character would announce as a length");
  folder.Write("x.2.et", whole.substr(0, whole.size() - 3));
  folder.Write("x.3.et", wire::Metadata());
  folder.Write("x.4.et", whole + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
  CHECK(ErrorsOf(folder) ==
        "error: the trace is empty\n"
        "  --> DIR/x.0.et\n"
        "help: a Chakra trace begins with a GlobalMetadata message\n"
        "\nerror: byte 0 does not begin a GlobalMetadata message\n"
        "  --> DIR/x.1.et\n"
        "help: expected a Chakra trace in its protobuf form (chakra_converter writes it), not JSON or text\n"
        "\nerror: the trace ends within message 2\n"
        "  --> DIR/x.2.et\n"
        "note: at byte 21 the message is 14 bytes long, and 11 are left\n"
        "help: the file is cut short, or no Chakra trace: copy or convert it again\n"
        "\nerror: the trace has no nodes\n"
        "  --> DIR/x.3.et\n"
        "\nerror: byte 36 does not begin the length of message 3\n"
        "  --> DIR/x.4.et\n"
        "help: expected a Chakra trace in its protobuf form (chakra_converter writes it), not JSON or text\n");
}

TEST_CASE("nodes that cannot be") {
  NodeText odd = Comp(4);
  odd.type = 11;
  CHECK(ErrorsOf({{Comp(0), Comp(0), odd}}) ==
        "error: node 4 `comp` has the unknown type 11\n"
        "  --> DIR/x.0.et\n"
        "help: 1 metadata, 2 memory load, 3 memory store, 4 compute, 5 send, 6 receive, 7 collective\n");
  CHECK(ErrorsOf({{Comp(0), Comp(0), Comp(2, {9})}}) ==
        "error: node 0 `comp` has the id of an earlier node\n"
        "  --> DIR/x.0.et\n"
        "note: the earlier one is node 0 `comp`\n"
        "\nerror: node 2 `comp` depends on node 9, which the trace does not have\n"
        "  --> DIR/x.0.et\n");
  CHECK(ErrorsOf({{Comp(0), Comp(1, {0, 3}), Comp(2, {1}), Comp(3, {2})}}) ==
        "error: the trace's data dependencies run in a circle\n"
        "  --> DIR/x.0.et\n"
        "note: node 1 `comp` waits for node 3 `comp` waits for node 2 `comp`, which waits for the first\n");
}

TEST_CASE("collectives that lack what they need") {
  const NodeText untyped{1, "a", wire::kColl, {}, 0, wire::Int64("comm_size", 4), {}};
  const NodeText unsized{2, "b", wire::kColl, {}, 0, wire::Int64("comm_type", 0), {}};
  CHECK(ErrorsOf({{untyped, unsized, Coll(3, 12, 4), Coll(4, 0, 4, {}, wire::Text("pg_name", "6"))}}) ==
        "error: node 1 `a` is a collective without `comm_type`\n"
        "  --> DIR/x.0.et\n"
        "help: 0 all-reduce, 2 all-gather, 6 all-to-all, 7 reduce-scatter\n"
        "\nerror: node 2 `b` is a collective without `comm_size`\n"
        "  --> DIR/x.0.et\n"
        "\nerror: node 3 `coll` has the unknown `comm_type` 12\n"
        "  --> DIR/x.0.et\n"
        "help: Chakra's collectives are 0 to 9\n"
        "\nerror: node 4 `coll` is of the process group `6`, which nothing describes\n"
        "  --> DIR/x.0.et\n"
        "help: put comm_groups.json beside the traces: {\"1\": [0, 1], ...}\n");
}

TEST_CASE("process groups that are none") {
  const wire::Folder folder;
  folder.Ranks({{Coll(1, 0, 4, {}, wire::Text("pg_name", "1"))}, {Coll(1, 0, 4, {}, wire::Text("pg_name", "2"))}});
  folder.Write("comm_groups.json", "{\"1\": [0, 1], \"2\": [0], \"3\": [0, 7], \"4\": [1, 1]}");
  CHECK(ErrorsOf(folder) ==
        "error: the process group `3` is no list of different ranks below 2\n"
        "  --> DIR/comm_groups.json\n"
        "\nerror: the process group `4` is no list of different ranks below 2\n"
        "  --> DIR/comm_groups.json\n"
        "\nerror: node 1 `coll` is of the process group `2`, which does not have rank 1\n"
        "  --> DIR/x.1.et\n");
  folder.Write("comm_groups.json", "[[0, 1]]");
  CHECK_THAT(ErrorsOf(folder), Catch::StartsWith("error: expected a JSON object of process groups\n  --> DIR/comm_groups.json\n"));
}

TEST_CASE("ranks that make different collectives") {
  CHECK(ErrorsOf({{Coll(1, 0, 100), Coll(2, 0, 200, {1})}, {Coll(1, 0, 100), Coll(2, 7, 200, {1})}, {Coll(1, 0, 100)}}) ==
        "error: ranks 0 and 1 make different calls on the process group `0`\n"
        "  --> DIR/x.1.et\n"
        "note: call 2 of rank 1 is reduce_scatter of 200 bytes: node 2 `coll`\n"
        "note: call 2 of rank 0 is all_reduce of 200 bytes: node 2 `coll`\n"
        "  --> DIR/x.0.et\n"
        "help: all members of a group must make the same calls, of the same sizes, in the same order\n");
  CHECK_THAT(ErrorsOf({{Coll(1, 0, 100)}, {Comp(1)}}), Catch::Contains("note: rank 1 makes 0 calls only\n"));
}

TEST_CASE("messages that do not meet") {
  CHECK(ErrorsOf({{Send(1, 1, 100), Send(2, 1, 50, {}, 3), Send(3, 9, 1)}, {Comp(0)}}) ==
        "error: node 3 `send` sends to rank 9 of 2\n"
        "  --> DIR/x.0.et\n");
  CHECK(ErrorsOf({{Send(1, 1, 100), Send(2, 1, 50, {}, 3)}, {Recv(4, 0, 101), Recv(5, 0, 50, {}, 4)}}) ==
        "error: node 4 receives 101 bytes from rank 0, which sends 100\n"
        "  --> DIR/x.1.et\n"
        "note: node 1 sends them\n"
        "  --> DIR/x.0.et\n"
        "\nerror: node 5 receives 50 bytes with tag 4 from rank 0, which does not send them\n"
        "  --> DIR/x.1.et\n"
        "\nerror: node 2 sends 50 bytes with tag 3 to rank 1, which does not receive them\n"
        "  --> DIR/x.0.et\n");
}

TEST_CASE("ranks that wait for one another") {
  // Rank 0 receives before it sends, and so does rank 1.
  CHECK(ErrorsOf({{Recv(0, 1, 8), Send(1, 1, 8, {0})}, {Recv(0, 0, 8), Send(1, 0, 8, {0})}}) ==
        "error: the step never ends: ranks wait for one another\n"
        "  --> DIR/x.0.et\n"
        "note: rank 0, node 0 `message` waits for its peer\n"
        "note: rank 0, node 1 `send` waits for other work of its own\n"
        "note: rank 1, node 0 `message` waits for its peer\n"
        "note: rank 1, node 1 `send` waits for other work of its own\n");
}

// ------------------------------------------------------------------ exports of ours, damaged

struct Export {
  Program program;
  Timeline timeline;
  std::vector<std::string> files;
  std::string description;
};

Export MakeExport(uint64_t seed) {
  Export e;
  e.program = RandomProgram(seed);
  e.timeline = RunWith(RandomCosts(seed), e.program);
  e.description = DescribeProgram(e.program, {});
  const TraceExport what{e.program, e.timeline, e.description, "simulate test", {}};
  for (RankId r = 0; r < e.program.world_size(); ++r) {
    std::ostringstream out;
    WriteRankTrace(what, r, std::to_string(r), out);
    e.files.push_back(out.str());
  }
  return e;
}

// The first seed whose program has several ranks and transfers.
Export Pipelined() {
  for (uint64_t seed = 0;; ++seed) {
    Export e = MakeExport(seed);
    if (e.files.size() > 1 && e.files.size() < 9 && !e.program.transfers.empty()) return e;
  }
}

TEST_CASE("an export with a rank missing, or with a file of another run") {
  const Export e = Pipelined();
  const wire::Folder folder;
  for (size_t r = 0; r + 1 < e.files.size(); ++r) folder.Write("x." + std::to_string(r) + ".et", e.files[r]);
  const std::string last = std::to_string(e.files.size() - 1);
  CHECK(ErrorsOf(folder) == "error: no file in `DIR` stands for rank " + last + " of " + std::to_string(e.files.size()) + "\n");
  const Export other = MakeExport(77);
  folder.Write("x." + last + ".et", other.files[0]);
  CHECK_THAT(ErrorsOf(folder), Catch::StartsWith("error: the trace is of another run than the first one of its folder\n  --> DIR/x." + last));
}

// Bytes are changed, dropped and cut off at random. Whatever comes of it, there is an answer, and a trace that is taken
// runs to its end.
void Hammer(const std::vector<std::string>& files, uint64_t seed, const TraceOptions& options, const std::string& groups = "{}") {
  Random random(seed, 3);
  const wire::Folder folder;
  folder.Write("comm_groups.json", groups);
  for (size_t r = 0; r < files.size(); ++r) {
    std::string bytes = files[r];
    if (random.Below(files.size()) == 0 || files.size() == 1) {
      for (uint64_t changes = 1 + random.Below(4); changes > 0 && !bytes.empty(); --changes) {
        const size_t at = random.Below(bytes.size());
        const uint64_t what = random.Below(4);
        if (what == 0) bytes.resize(at);
        if (what == 1) bytes.erase(at, 1 + random.Below(3));
        if (what == 2) bytes.insert(at, 1, static_cast<char>(random.Below(256)));
        if (what == 3 && at < bytes.size()) bytes[at] = static_cast<char>(random.Below(256));
      }
    }
    folder.Write("x." + std::to_string(r) + ".et", bytes);
  }
  INFO("seed " << seed);
  Diagnostics diagnostics;
  const auto read = ReadTraces(folder.path(), options, diagnostics);
  CHECK(read.has_value() != diagnostics.HasErrors());
  if (read) CHECK(RunWith(FakeCosts(), read->program).end >= SimTime());
}

TEST_CASE("damaged exports are answered, not crashed on") {
  const Export e = Pipelined();
  std::ostringstream groups;
  WriteCommGroups(e.program, groups);
  for (uint64_t seed = 0; seed < 150; ++seed) {
    Hammer(e.files, seed, {});
    Hammer(e.files, seed, {.recorded = true}, groups.str());
  }
}

TEST_CASE("damaged foreign traces are answered, not crashed on") {
  std::vector<std::string> files;
  for (int r = 0; r < 3; ++r) {
    files.push_back(wire::File({Comp(0), Coll(1, 2, 1000, {0}), Send(2, (r + 1) % 3, 300, {1}, 2), Recv(3, (r + 2) % 3, 300, {2}, 2), Comp(4, {3}),
                                Coll(5, 0, 4000, {4})}));
  }
  for (uint64_t seed = 0; seed < 600; ++seed) Hammer(files, seed, {});
}

TEST_CASE("damaged descriptions are answered, not crashed on") {
  const std::string good = Pipelined().description;
  std::string why;
  REQUIRE(ReadDescription(good, &why).has_value());
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    Random random(seed, 5);
    std::string text = good;
    for (uint64_t changes = 1 + random.Below(3); changes > 0; --changes) {
      const size_t at = random.Below(text.size());
      const char replacement[] = {'0', '9', '-', '"', '[', ' ', 'x', '.'};
      text[at] = replacement[random.Below(8)];
    }
    why.clear();
    if (!ReadDescription(text, &why)) CHECK_FALSE(why.empty());
  }
  nlohmann::json wrong = nlohmann::json::parse(good);
  wrong["format"] = 99;
  CHECK_FALSE(ReadDescription(wrong.dump(), &why).has_value());
  CHECK(why == "format 99 is not 1");
}

}  // namespace
}  // namespace simulate
