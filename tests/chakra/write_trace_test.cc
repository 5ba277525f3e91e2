#include "sim/chakra/write_trace.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/chakra/rank_texts.h"
#include "sim/chakra/read_traces.h"
#include "sim/engine/simulate_ranks.h"
#include "tests/chakra/wire.h"
#include "tests/engine/random_program.h"

namespace simulate {
namespace {

// Ranks 0 and 1 gather 3000 bytes while a kernel runs that the next one waits behind; then 0 sends 500 bytes to 1, which
// the host of 1 waits for.
Program TwoRanks() {
  ProgramBuilder builder;
  const StreamId compute = builder.AddStream("compute", StreamKind::kCompute);
  const StreamId wire = builder.AddStream("wire", StreamKind::kCommunication);
  const CommunicatorId alone = builder.AddCommunicator("tensor", {{0}, {1}});
  const CommunicatorId pair = builder.AddCommunicator("data", {{0, 1}});
  std::vector<uint32_t> programs;
  for (const bool sender : {true, false}) {
    RankProgramBuilder rank(builder);
    rank.BeginStep();
    rank.SetPhase(Phase::kForward);
    const TaskRef gathered =
        rank.Collective(wire, "gather", {.op = CollectiveOp::kAllGather, .communicator = pair, .bytes = Bytes(3000)});
    rank.Collective(wire, "free", {.op = CollectiveOp::kAllReduce, .communicator = alone, .bytes = Bytes(64)}, {}, HostCall::kNone);
    const TaskRef product = rank.Kernel(compute, "product", {.flops = Flops(7), .read = Bytes(10), .written = Bytes(5)}, HostCall::kOperator, {&gathered, 1});
    Transfer transfer{.communicator = pair};
    (sender ? transfer.send_offset : transfer.receive_offset) = 1;
    (sender ? transfer.send_bytes : transfer.receive_bytes) = simulate::Bytes(500);
    const TaskRef moved = rank.Exchange(wire, "message", transfer, {&product, 1});
    rank.HostWait({&moved, 1});
    rank.HostWork(HostCall::kIteration, 2);
    programs.push_back(builder.AddRankProgram(std::move(rank).Build()));
  }
  builder.AssignRanks(programs);
  return std::move(builder).Build();
}

FakeCosts TwoMicrosecondCalls() {
  FakeCosts costs;
  costs.host = Microseconds(2);
  return costs;
}

TraceExport ExportOf(const Program& program, const Timeline& timeline, const FakeCosts& costs) {
  TraceExport what{program, timeline, DescribeProgram(program, {}), "simulate test", {}};
  for (int c = 1; c < kHostCalls; ++c) what.host_call_ps[static_cast<size_t>(c)] = SimTime::FromSeconds(costs.host).picoseconds();
  return what;
}

std::string FileOf(const TraceExport& what, RankId rank) {
  std::ostringstream out;
  WriteRankTrace(what, rank, ShowRanks({rank}), out);
  return out.str();
}

TEST_CASE("a trace as another reader sees it: nodes, attributes, dependencies, times") {
  const Program program = TwoRanks();
  const FakeCosts costs = TwoMicrosecondCalls();
  const Timeline timeline = RunWith(costs, program);
  const std::vector<std::string> messages = wire::Messages(FileOf(ExportOf(program, timeline, costs), 0));
  CHECK(wire::Fields(messages.at(0)).at(0).bytes == "0.0.4");
  std::vector<wire::ReadNode> nodes(1);  // ids count from 1
  for (size_t m = 1; m < messages.size(); ++m) nodes.push_back(wire::Parse(messages[m]));
  std::vector<std::string> names;
  for (const wire::ReadNode& n : nodes) names.push_back(n.name);
  CHECK(names == std::vector<std::string>{"", "host collective", "gather", "free", "host operator", "product",
                                          "host collective", "message", "synchronize", "host iteration x2"});
  for (size_t n = 0; n < nodes.size(); ++n) {
    CHECK(nodes[n].id == n);
    for (const uint64_t dep : nodes[n].deps) CHECK(dep < n);
  }
  // Host calls of 2 us each: 0, then 2 and 4 to 6.
  CHECK(nodes[1].attributes.at("is_cpu_op").value == 1);
  CHECK(nodes[1].micros == 2);
  CHECK(nodes[4].deps == std::vector<uint64_t>{1});
  // 3000 bytes at 1000 a microsecond from 2 us on; the shard of one rank is what Chakra counts.
  CHECK(nodes[2].type == wire::kColl);
  CHECK(nodes[2].start == 2);
  CHECK(nodes[2].micros == 3);
  CHECK(nodes[2].attributes.at("comm_type").value == 2);
  CHECK(nodes[2].attributes.at("comm_size").value == 1500);
  CHECK(nodes[2].attributes.at("pg_name").bytes == "1");
  CHECK(nodes[2].attributes.at("is_cpu_op").value == 0);
  CHECK(nodes[2].deps == std::vector<uint64_t>{1});
  // A call on a group of one is no communication.
  CHECK(nodes[3].type == wire::kComp);
  CHECK(nodes[3].micros == 0);
  CHECK(nodes[5].attributes.at("num_ops").value == 7);
  CHECK(nodes[5].attributes.at("tensor_size").value == 15);
  CHECK(nodes[5].start == 5);
  CHECK(nodes[5].micros == 7);
  CHECK(nodes[5].deps == std::vector<uint64_t>{4, 2});
  CHECK(nodes[7].type == wire::kSend);
  CHECK(nodes[7].attributes.at("comm_src").value == 0);
  CHECK(nodes[7].attributes.at("comm_dst").value == 1);
  CHECK(nodes[7].attributes.at("comm_size").value == 500);
  CHECK(nodes[7].deps == std::vector<uint64_t>{6, 3, 5});
  // Blocking is a dependency, not time.
  CHECK(nodes[8].deps == std::vector<uint64_t>{6, 7});
  CHECK(nodes[8].micros == 0);
  CHECK(nodes[9].deps == std::vector<uint64_t>{8});
  CHECK(nodes[9].micros == 4);
}

TEST_CASE("the other end of a message receives, and groups are listed for ASTRA-sim") {
  const Program program = TwoRanks();
  const FakeCosts costs = TwoMicrosecondCalls();
  const Timeline timeline = RunWith(costs, program);
  const std::vector<std::string> messages = wire::Messages(FileOf(ExportOf(program, timeline, costs), 1));
  const wire::ReadNode node = wire::Parse(messages.at(7));
  CHECK(node.type == wire::kRecv);
  CHECK(node.attributes.at("comm_src").value == 0);
  CHECK(node.attributes.at("comm_dst").value == 1);
  std::ostringstream groups;
  WriteCommGroups(program, groups);
  CHECK(groups.str() == "{\n\"1\": [0, 1]\n}\n");
}

void WriteAll(const TraceExport& what, const wire::Folder& folder) {
  std::ostringstream groups;
  WriteCommGroups(what.program, groups);
  folder.Write("comm_groups.json", groups.str());
  for (RankId r = 0; r < what.program.world_size(); ++r) folder.Write("x." + std::to_string(r) + ".et", FileOf(what, r));
}

TEST_CASE("any program that is exported and read again takes the same time, on this machine and on another") {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    INFO("seed " << seed);
    const Program program = RandomProgram(seed);
    const FakeCosts costs = RandomCosts(seed);
    const Timeline timeline = RunWith(costs, program);
    const wire::Folder folder;
    WriteAll(ExportOf(program, timeline, costs), folder);
    Diagnostics diagnostics;
    const auto read = ReadTraces(folder.path(), {}, diagnostics);
    INFO(diagnostics.Render());
    REQUIRE(read.has_value());
    CHECK(read->own);
    CHECK(diagnostics.all().empty());
    CHECK(RunWith(costs, read->program).end == timeline.end);
    CHECK(read->program.program_of_rank == program.program_of_rank);
    const FakeCosts other = RandomCosts(seed + 1000);
    CHECK(RunWith(other, read->program).end == RunWith(other, program).end);
  }
}

// Kernels by their recorded times, collectives by the machine: the host is recorded, too, and only rounding to whole
// microseconds (at most one a node, so the number of nodes in all) and what runs beside each other can differ.
TEST_CASE("recorded times alone come near") {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    INFO("seed " << seed);
    const Program program = RandomProgram(seed);
    FakeCosts costs;
    costs.host = Microseconds(2);
    const Timeline timeline = RunWith(costs, program);
    const wire::Folder folder;
    WriteAll(ExportOf(program, timeline, costs), folder);
    Diagnostics diagnostics;
    const auto read = ReadTraces(folder.path(), {.recorded = true}, diagnostics);
    INFO(diagnostics.Render());
    REQUIRE(read.has_value());
    CHECK_FALSE(read->own);
    struct Recorded : FakeCosts {
      KernelCost Kernel(const KernelWork& work) const override { return {.time = work.recorded}; }
      Seconds Host(HostCall) const override { return {}; }
    };
    const double again = RunWith(Recorded(), read->program).end.seconds().value();
    CHECK(again == Approx(timeline.end.seconds().value()).epsilon(0.1));
  }
}

TEST_CASE("sets of ranks as texts") {
  CHECK(ShowRanks({0, 1, 2, 5, 7, 8}) == "0-2,5,7-8");
  CHECK(ReadRanks("0-2,5,7-8", 9) == std::vector<RankId>{0, 1, 2, 5, 7, 8});
  CHECK(ReadRanks("3,1,3", 4) == std::vector<RankId>{1, 3});
  for (const char* bad : {"", "a", "1-", "-1", "3-2", "9", "1-2-3", "1,,2", "99999999999"}) {
    INFO(bad);
    CHECK_FALSE(ReadRanks(bad, 9).has_value());
  }
}

}  // namespace
}  // namespace simulate
