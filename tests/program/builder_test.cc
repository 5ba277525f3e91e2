// What the builder writes and what Validate refuses.
#include "sim/program/builder.h"

#include <catch2/catch.hpp>

#include "sim/base/check.h"

namespace simulate {
namespace {

KernelWork Copy(int64_t bytes) { return {.read = Bytes(bytes), .written = Bytes(bytes)}; }

// The text of the InternalError that Validate throws, without the place in our source; empty if none.
std::string Complaint(const Program& program) {
  try {
    Validate(program);
  } catch (const InternalError& error) {
    const std::string text = error.what();
    const std::string mark = "check failed: ";
    const size_t at = text.find(": ", text.find(mark) + mark.size());
    return text.substr(at + 2);
  }
  return "";
}

struct Fixture {
  ProgramBuilder program;
  StreamId compute = program.AddStream("compute", StreamKind::kCompute);
  StreamId network = program.AddStream("network", StreamKind::kCommunication);
  CommunicatorId pair = program.AddCommunicator("pair", {{0, 1}});
  RankProgramBuilder a{program};
  RankProgramBuilder b{program};

  // Two ranks, a and b, not validated.
  Program Finish() {
    const uint32_t first = program.AddRankProgram(std::move(a).Build());
    const uint32_t second = program.AddRankProgram(std::move(b).Build());
    program.AssignRanks({first, second});
    return std::move(program).Build();
  }
};

TEST_CASE("equal work is interned once, different work is not") {
  ProgramBuilder program;
  CHECK(program.Intern(Copy(8)) == program.Intern(Copy(8)));
  CHECK(program.Intern(Copy(8)) != program.Intern(Copy(16)));
  KernelWork more_flops = Copy(8);
  more_flops.flops = Flops(1);  // not part of the hash, but of equality
  CHECK(program.Intern(Copy(8)) != program.Intern(more_flops));
  CHECK(program.Intern("norm") == program.Intern(std::string("norm")));
  CHECK(program.Intern("norm") != program.Intern("add"));
  CHECK(program.Intern(CollectiveCall{.bytes = Bytes(1)}) !=
        program.Intern(CollectiveCall{.bytes = Bytes(2)}));
  CHECK(program.Intern(Transfer{.send_offset = 1}) != program.Intern(Transfer{.send_offset = -1}));
}

TEST_CASE("instructions keep the host's order, context and waits") {
  Fixture f;
  const BufferId weights = f.a.Allocate(Bytes(1024), MemoryCategory::kParameters, f.compute, "weights");
  f.a.BeginStep();
  f.a.SetPhase(Phase::kBackward);
  f.a.SetLayer(7);
  const TaskRef first = f.a.Kernel(f.compute, "copy", Copy(8), HostCall::kOperator);
  const TaskRef waits[] = {first, TaskRef{}};
  const TaskRef second = f.a.Kernel(f.network, "copy", Copy(16), HostCall::kNone, waits);
  f.a.Free(weights, {&second, 1});
  f.a.HostWork(HostCall::kFsdp1Unit, 70000);
  const RankProgram rank = std::move(f.a).Build();

  REQUIRE(rank.instructions.size() == 6);
  CHECK(rank.step_begin == 1);
  CHECK(rank.instructions[0].kind == InstructionKind::kAllocate);
  CHECK(rank.instructions[0].phase == Phase::kSetup);
  CHECK(rank.instructions[1].layer == 7);
  CHECK(rank.instructions[1].phase == Phase::kBackward);
  CHECK(rank.instructions[1].host == HostCall::kOperator);
  CHECK(rank.instructions[1].name == rank.instructions[2].name);
  REQUIRE(rank.Waits(rank.instructions[2]).size() == 1);  // the invalid one is no wait
  CHECK(rank.Waits(rank.instructions[2])[0] == 1);
  CHECK(rank.instructions[3].kind == InstructionKind::kFree);
  CHECK(rank.instructions[3].object == weights);
  REQUIRE(rank.Waits(rank.instructions[3]).size() == 1);
  CHECK(rank.Waits(rank.instructions[3])[0] == 2);
  CHECK(rank.instructions[4].host_count + rank.instructions[5].host_count == 70000);
}

TEST_CASE("a sound program is accepted") {
  Fixture f;
  const CollectiveCall call{.op = CollectiveOp::kAllReduce, .communicator = f.pair, .bytes = Bytes(64)};
  for (RankProgramBuilder* rank : {&f.a, &f.b}) rank->Collective(f.network, "all_reduce", call);
  f.a.Exchange(f.network, "send", {.communicator = f.pair, .send_offset = 1, .send_bytes = Bytes(8)});
  f.b.Exchange(f.network, "receive",
               {.communicator = f.pair, .receive_offset = -1, .receive_bytes = Bytes(8)});
  CHECK_NOTHROW(f.Finish());
}

TEST_CASE("members of a group must make the same collective calls") {
  Fixture f;
  f.a.Collective(f.network, "x", {.communicator = f.pair, .bytes = Bytes(64)});
  f.b.Collective(f.network, "x", {.communicator = f.pair, .bytes = Bytes(32)});
  CHECK_THROWS_AS(f.Finish(), InternalError);
}

TEST_CASE("every send needs its receive") {
  Fixture f;
  f.a.Exchange(f.network, "send", {.communicator = f.pair, .send_offset = 1, .send_bytes = Bytes(8)});
  f.b.Exchange(f.network, "receive",
               {.communicator = f.pair, .receive_offset = 1, .receive_bytes = Bytes(9)});
  CHECK_THROWS_AS(f.Finish(), InternalError);
}

TEST_CASE("broken invariants are named") {
  Fixture f;
  const TaskRef first = f.a.Kernel(f.compute, "copy", Copy(8), HostCall::kOperator);
  f.a.Kernel(f.network, "copy", Copy(8), HostCall::kOperator, {&first, 1});
  const BufferId buffer = f.a.Allocate(Bytes(8), MemoryCategory::kWorkspace, f.compute, "scratch");
  f.a.Free(buffer);
  const Program sound = f.Finish();
  REQUIRE(Complaint(sound).empty());

  Program broken = sound;
  broken.programs[0].waits[0] = 1;
  CHECK(Complaint(broken) == "program 0, instruction 1: waits for instruction 1, which is not earlier");
  broken = sound;
  broken.programs[0].instructions[0].kind = InstructionKind::kHostWork;
  broken.programs[0].instructions[0].object = 0;
  CHECK(Complaint(broken) == "program 0, instruction 1: waits for instruction 0, which launches nothing");
  broken = sound;
  broken.programs[0].instructions.push_back(broken.programs[0].instructions.back());
  CHECK(Complaint(broken) == "program 0, instruction 4: buffer 0 is freed but not alive");
  broken = sound;
  broken.programs[0].instructions[3].kind = InstructionKind::kAllocate;
  CHECK(Complaint(broken) == "program 0, instruction 3: buffer 0 is allocated twice");
  broken = sound;
  broken.programs[0].instructions[1].object = 5;
  CHECK(Complaint(broken) == "program 0, instruction 1: object 5 does not exist");
  broken = sound;
  broken.programs[0].step_begin = 1;
  CHECK(Complaint(broken) == "program 0, instruction 0: work launched during setup");
  broken = sound;
  broken.communicators[0].groups = {{0, 1}, {1}};
  CHECK(Complaint(broken) == "communicator pair: rank 1 is in two groups");
  broken = sound;
  broken.program_of_rank = {};
  CHECK(Complaint(broken) == "the program has no ranks");
}

}  // namespace
}  // namespace simulate
