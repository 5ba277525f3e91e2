// Traces that someone else wrote, by hand, on a machine whose prices can be worked out on paper (tests/engine/fake_costs.h):
// 1000 bytes a microsecond on a rank's link, no latency.
#include <catch2/catch.hpp>

#include "sim/chakra/read_traces.h"
#include "sim/engine/simulate_ranks.h"
#include "tests/chakra/wire.h"
#include "tests/engine/fake_costs.h"

namespace simulate {
namespace {

using wire::Bool;
using wire::Coll;
using wire::Int64;
using wire::NodeText;
using wire::Recv;
using wire::Send;

struct RecordedCosts : FakeCosts {
  KernelCost Kernel(const KernelWork& work) const override {
    return {.time = work.recorded.value() > 0.0 ? work.recorded : Microseconds(work.flops.value() + static_cast<double>(work.read.value()))};
  }
};

// The step in microseconds.
double Step(const wire::Folder& folder, const TraceOptions& options = {}) {
  Diagnostics diagnostics;
  const auto read = ReadTraces(folder.path(), options, diagnostics);
  INFO(diagnostics.Render());
  REQUIRE(read.has_value());
  return static_cast<double>(RunWith(RecordedCosts(), read->program).end.picoseconds()) * 1e-6;
}

double Step(const std::vector<std::vector<NodeText>>& ranks, const TraceOptions& options = {}) {
  const wire::Folder folder;
  folder.Ranks(ranks);
  return Step(folder, options);
}

NodeText Comp(uint64_t id, uint64_t micros, std::vector<uint64_t> deps = {}, const std::string& more = "") {
  return {id, "comp", wire::kComp, std::move(deps), micros, Bool("is_cpu_op", false) + more, {}};
}
NodeText Cpu(uint64_t id, uint64_t micros, std::vector<uint64_t> deps = {}, int64_t thread = 1) {
  return {id, "cpu", wire::kComp, std::move(deps), micros, Bool("is_cpu_op", true) + Int64("tid", thread), {}};
}

TEST_CASE("compute nodes of one stream run one after the other") {
  CHECK(Step({{Comp(0, 5), Comp(1, 7)}}) == 12);
  CHECK(Step({{Comp(0, 5), Comp(1, 7, {0})}}) == 12);
}

TEST_CASE("streams and threads run side by side, and recorded work does not slow what is beside it") {
  CHECK(Step({{Comp(0, 5, {}, Int64("stream", 7)), Comp(1, 7, {}, Int64("stream", 20))}}) == 7);
  CHECK(Step({{Cpu(0, 5), Cpu(1, 3), Comp(2, 10, {0})}}) == 15);          // the second operator hides behind the kernel
  CHECK(Step({{Cpu(0, 5), Cpu(1, 9, {}, 2), Comp(2, 10, {0, 1})}}) == 19);  // two threads
}

TEST_CASE("a host that waits for the device") {
  CHECK(Step({{Cpu(0, 2), Comp(1, 10, {0}), Cpu(2, 3, {0, 1}), Comp(3, 4, {2})}}) == 2 + 10 + 3 + 4);
}

TEST_CASE("recorded times are scaled, and counts take their place where there are none or where that is asked for") {
  CHECK(Step({{Cpu(0, 2), Comp(1, 10, {0})}}, {.compute_scale = 0.5, .host_scale = 3.0}) == 6 + 5);
  CHECK(Step({{Comp(0, 0, {}, Int64("num_ops", 30) + Int64("tensor_size", 4))}}) == 34);  // as FakeCosts above prices it
  CHECK(Step({{Comp(0, 9, {}, Int64("num_ops", 30))}}) == 9);
  CHECK(Step({{Comp(0, 9, {}, Int64("num_ops", 30)), Comp(1, 2)}}, {.roofline = true}) == 32);
}

TEST_CASE("memory nodes move over the link to the host beside everything else") {
  const NodeText load{0, "load", wire::kLoad, {}, 0, Int64("tensor_size", 8000), {}};
  CHECK(Step({{load, Comp(1, 3), Comp(2, 5, {0})}}, {.host_link = GBps(1)}) == 8 + 5);
}

TEST_CASE("a collective begins when the last member comes and is counted as its input") {
  // All-reduce of 2000 bytes: 2 us here. The shard of an all-gather among two is half of what is gathered.
  CHECK(Step({{Comp(0, 5), Coll(1, 0, 2000, {0})}, {Comp(0, 9), Coll(1, 0, 2000, {0})}}) == 9 + 2);
  CHECK(Step({{Coll(1, 2, 2000)}, {Coll(1, 2, 2000)}}) == 4);
  CHECK(Step({{Coll(1, 7, 2000)}, {Coll(1, 7, 2000)}}) == 2);
}

TEST_CASE("process groups come from comm_groups.json or from PyTorch's metadata") {
  // Groups {0,1} and {2,3} at once, then everybody ("0").
  const auto rank = [](const char* group) {
    return std::vector<NodeText>{Coll(0, 0, 3000, {}, wire::Text("pg_name", group)), Coll(1, 0, 5000, {0}, wire::Text("pg_name", "0"))};
  };
  const wire::Folder folder;
  folder.Ranks({rank("1"), rank("1"), rank("2"), rank("2")});
  folder.Write("comm_groups.json", "{\"1\": [0, 1], \"2\": [2, 3]}");
  CHECK(Step(folder) == 8);

  const auto described = [&](const char* group, const char* ranks) {
    std::vector<NodeText> nodes = rank(group);
    for (NodeText& node : nodes) node.id += 1;
    nodes[1].deps = {1};
    const std::string list = std::string("['[{\"pg_name\": \"") + group + "\", \"ranks\": " + ranks + ", \"group_size\": 2}]']";
    NodeText metadata{0, "## process_group:init ##", wire::kMetadata, {}, 0, "", {}};
    metadata.attributes = wire::Bytes(8, wire::Bytes(1, list));
    nodes.insert(nodes.begin(), metadata);
    return nodes;
  };
  CHECK(Step({described("1", "[0, 1]"), described("1", "[0, 1]"), described("2", "[2, 3]"), described("2", "[2, 3]")}) == 8);
}

TEST_CASE("ranks that do the same are one program, whatever their nodes are called") {
  const wire::Folder folder;
  std::vector<std::vector<NodeText>> ranks;
  for (uint64_t r = 0; r < 8; ++r) ranks.push_back({Comp(10 * r, 5), Coll(10 * r + 1, 0, 1000, {10 * r})});
  folder.Ranks(ranks);
  Diagnostics diagnostics;
  const auto read = ReadTraces(folder.path(), {}, diagnostics);
  REQUIRE(read.has_value());
  CHECK(read->program.programs.size() == 1);
  CHECK(read->program.world_size() == 8);
}

// ASTRA-sim's custom collectives: every rank sends first and receives when its send is over. Were a send to wait for its
// receive, nobody would ever receive.
TEST_CASE("a send does not wait for its receive") {
  std::vector<std::vector<NodeText>> ranks;
  for (int r = 0; r < 4; ++r) {
    ranks.push_back({Send(0, (r + 1) % 4, 1000), Recv(1, (r + 3) % 4, 1000, {0}), Comp(2, 7, {1}), Send(3, (r + 1) % 4, 2000, {2}),
                     Recv(4, (r + 3) % 4, 2000, {3})});
  }
  CHECK(Step(ranks) == 1 + 7 + 2);
}

TEST_CASE("messages are matched by tag") {
  // The receiver takes the second message first; it can go on when the first has been sent, too: one link, in order.
  CHECK(Step({{Send(0, 1, 1000, {}, 5), Send(1, 1, 2000, {0}, 6)}, {Recv(0, 0, 2000, {}, 6), Recv(1, 0, 1000, {0}, 5), Comp(2, 4, {1})}}) == 3 + 4);
}

TEST_CASE("control dependencies order what they can, and PyTorch's are left aside") {
  NodeText second = Comp(1, 7, {}, Int64("stream", 2));
  second.control = {0};
  CHECK(Step({{Comp(0, 5, {}, Int64("stream", 1)), second}}) == 12);
  second.control = {0, 77};  // a caller that the converter dropped
  const wire::Folder folder;
  folder.Ranks({{Comp(0, 5, {}, Int64("stream", 1)), second}});
  Diagnostics diagnostics;
  REQUIRE(ReadTraces(folder.path(), {}, diagnostics).has_value());
  CHECK(folder.Short(diagnostics.Render()) ==
        "warning: control dependencies are left aside: they name nodes that the trace lacks, or run in a circle\n"
        "  --> DIR/x.0.et\n");
  CHECK(Step(folder) == 7);
}

TEST_CASE("a folder with its prefix names the trace among several") {
  const wire::Folder folder;
  folder.Write("a.b.0.et", wire::File({Comp(0, 5)}));
  folder.Write("c.0.et", wire::File({Comp(0, 6)}));
  Diagnostics diagnostics;
  const auto read = ReadTraces(folder.path() + "/a.b", {}, diagnostics);
  REQUIRE(read.has_value());
  CHECK(read->name == "a.b");
}

}  // namespace
}  // namespace simulate
