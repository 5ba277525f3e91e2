// The loop in closed form: hosts, streams, collectives, transfers, sharing.
#include <catch2/catch.hpp>

#include "sim/base/check.h"
#include "sim/engine/simulate_ranks.h"
#include "tests/engine/fake_costs.h"

namespace simulate {
namespace {

constexpr int64_t kMicrosecond = 1000000;  // in picoseconds

// A program in which every rank of `world` does what `write` writes.
template <typename Write>
Program Everyone(uint32_t world, const Write& write) {
  ProgramBuilder program;
  const StreamId compute = program.AddStream("compute", StreamKind::kCompute);
  const StreamId network = program.AddStream("network", StreamKind::kCommunication);
  program.AddStream("other", StreamKind::kCommunication);
  std::vector<RankId> all(world);
  for (uint32_t r = 0; r < world; ++r) all[r] = r;
  const CommunicatorId comm = program.AddCommunicator("world", {all});
  RankProgramBuilder rank(program);
  rank.BeginStep();
  write(rank, compute, network, comm);
  const uint32_t index = program.AddRankProgram(std::move(rank).Build());
  program.AssignRanks(std::vector<uint32_t>(world, index));
  return std::move(program).Build();
}

double EndOf(const Timeline& timeline, size_t rank, size_t span) {
  return static_cast<double>(timeline.ranks[rank].spans[span].end.picoseconds()) / kMicrosecond;
}
double StartOf(const Timeline& timeline, size_t rank, size_t span) {
  return static_cast<double>(timeline.ranks[rank].spans[span].start.picoseconds()) / kMicrosecond;
}
double Microseconds(const Timeline& timeline) {
  return static_cast<double>(timeline.end.picoseconds()) / kMicrosecond;
}

TEST_CASE("a stream runs its kernels one after the other") {
  const Program program =
      Everyone(1, [](RankProgramBuilder& rank, StreamId compute, StreamId, CommunicatorId) {
        for (int i = 0; i < 3; ++i) rank.Kernel(compute, "work", Work(10), HostCall::kNone);
      });
  const Timeline timeline = RunWith(FakeCosts{}, program);
  CHECK(EndOf(timeline, 0, 0) == 10);
  CHECK(EndOf(timeline, 0, 1) == 20);
  CHECK(EndOf(timeline, 0, 2) == 30);
  CHECK(Microseconds(timeline) == 30);
}

TEST_CASE("work that is shorter than its launch waits for the host") {
  // Calls of 7 us, launch 2 us, kernels of 3 us: kernel i starts at 7(i+1)+2.
  const Program program =
      Everyone(1, [](RankProgramBuilder& rank, StreamId compute, StreamId, CommunicatorId) {
        for (int i = 0; i < 4; ++i) rank.Kernel(compute, "work", Work(3), HostCall::kOperator);
        rank.HostWork(HostCall::kIteration, 2);
      });
  FakeCosts costs;
  costs.host = Seconds(7e-6);
  costs.launch = Seconds(2e-6);
  const Timeline timeline = RunWith(costs, program);
  for (size_t i = 0; i < 4; ++i) CHECK(StartOf(timeline, 0, i) == Approx(7.0 * (i + 1) + 2));
  CHECK(timeline.ranks[0].host_end.picoseconds() == 42 * kMicrosecond);
  CHECK(Microseconds(timeline) == 42);
}

TEST_CASE("a host that fills a stream's launch queue waits for room, on that stream alone") {
  // Calls of 1 us. Kernel 0 takes 1000 us, each of the others 1 us, so kernel i > 0 ends at 1001 + i. A queue of 128 is asked for 64 at a
  // time: number 128 waits for number 63, is called at 1064 and enqueued there; number 192 for number 127.
  const auto enqueued = [](int64_t queue, size_t launch, bool two_streams) {
    const Program program = Everyone(1, [&](RankProgramBuilder& rank, StreamId compute, StreamId network, CommunicatorId) {
      for (int i = 0; i < 256; ++i)
        rank.Kernel(two_streams && i % 2 == 1 ? network : compute, "work", Work(i == 0 ? 1000 : 1), HostCall::kOperator);
    });
    FakeCosts costs;
    costs.host = Seconds(1e-6);
    costs.queue = queue;
    return static_cast<double>(RunWith(costs, program).ranks[0].spans[launch].enqueued.picoseconds()) / kMicrosecond;
  };
  CHECK(enqueued(0, 255, false) == 256);
  CHECK(enqueued(128, 127, false) == 128);
  CHECK(enqueued(128, 128, false) == 1064);
  CHECK(enqueued(128, 191, false) == 1127);
  CHECK(enqueued(128, 192, false) == 1128);
  CHECK(enqueued(128, 255, true) == 256);  // 128 on either
  CHECK(enqueued(1022, 255, false) == 256);
}

TEST_CASE("a host that waits enqueues nothing meanwhile") {
  // Kernel A of 50 us is enqueued at 10; the host waits for it until 60, then takes 10 us to enqueue B.
  const Program program =
      Everyone(1, [](RankProgramBuilder& rank, StreamId compute, StreamId, CommunicatorId) {
        const TaskRef a = rank.Kernel(compute, "A", Work(50), HostCall::kOperator);
        rank.HostWait({&a, 1});
        rank.Kernel(compute, "B", Work(5), HostCall::kOperator);
      });
  FakeCosts costs;
  costs.host = Seconds(10e-6);
  const Timeline timeline = RunWith(costs, program);
  CHECK(EndOf(timeline, 0, 0) == 60);
  CHECK(StartOf(timeline, 0, 1) == 70);
}

TEST_CASE("a host that is late for its wait does not wait") {
  // A ends at 5, the host comes to its wait at 30: B is enqueued at 40.
  const Program program =
      Everyone(1, [](RankProgramBuilder& rank, StreamId compute, StreamId, CommunicatorId) {
        const TaskRef a = rank.Kernel(compute, "A", Work(5), HostCall::kNone);
        rank.HostWork(HostCall::kIteration, 3);
        rank.HostWait({&a, 1});
        rank.Kernel(compute, "B", Work(5), HostCall::kOperator);
      });
  FakeCosts costs;
  costs.host = Seconds(10e-6);
  CHECK(StartOf(RunWith(costs, program), 0, 1) == 40);
}

TEST_CASE("work waits for work of other streams") {
  const Program program =
      Everyone(1, [](RankProgramBuilder& rank, StreamId compute, StreamId network, CommunicatorId) {
        const TaskRef a = rank.Kernel(compute, "A", Work(10), HostCall::kNone);
        rank.Kernel(compute, "B", Work(10), HostCall::kNone);
        rank.Kernel(network, "C", Work(4), HostCall::kNone, {&a, 1});
      });
  const Timeline timeline = RunWith(FakeCosts{}, program);
  // C starts with B at 10; two kernels share the device, so C takes 8 and B 10 + 4.
  CHECK(StartOf(timeline, 0, 2) == 10);
  CHECK(EndOf(timeline, 0, 2) == 18);
  CHECK(EndOf(timeline, 0, 1) == 24);
}

TEST_CASE("a collective starts when its last member has come") {
  // Rank 1 runs at half speed: it arrives at 20. 1000 bytes take 1 us after 2 us of latency.
  const Program program =
      Everyone(4, [](RankProgramBuilder& rank, StreamId compute, StreamId network, CommunicatorId comm) {
        const TaskRef a = rank.Kernel(compute, "A", Work(10), HostCall::kNone);
        rank.Collective(network, "gather", {.communicator = comm, .bytes = Bytes(1000)}, {&a, 1},
                        HostCall::kNone);
      });
  FakeCosts costs;
  costs.latency = Seconds(2e-6);
  RunOptions options;
  options.slow_ranks = {{.rank = 1, .compute = 0.5}};
  const Timeline timeline = RunWith(costs, program, options);
  REQUIRE(timeline.ranks.size() == 2);  // the straggler, and three that are alike
  CHECK(timeline.ranks[0].weight == 3);
  CHECK(timeline.ranks[1].rank == 1);
  const Span& waits = timeline.ranks[0].spans[1];
  CHECK(waits.ready.picoseconds() == 10 * kMicrosecond);
  CHECK(waits.start.picoseconds() == 20 * kMicrosecond);
  CHECK(waits.end.picoseconds() == 23 * kMicrosecond);
  CHECK(waits.alone.picoseconds() == 3 * kMicrosecond);
  CHECK(timeline.ranks[1].spans[0].alone.picoseconds() == 20 * kMicrosecond);
}

TEST_CASE("collectives of one communicator keep their order on different streams") {
  const Program program = Everyone(2, [](RankProgramBuilder& rank, StreamId compute, StreamId network,
                                         CommunicatorId comm) {
    const TaskRef a = rank.Kernel(compute, "A", Work(10), HostCall::kNone);
    rank.Collective(network, "first", {.communicator = comm, .bytes = Bytes(5000)}, {&a, 1}, HostCall::kNone);
    const StreamId other = 2;
    rank.Collective(other, "second", {.communicator = comm, .bytes = Bytes(1000)}, {}, HostCall::kNone);
  });
  const Timeline timeline = RunWith(FakeCosts{}, program);
  CHECK(EndOf(timeline, 0, 1) == 15);
  CHECK(StartOf(timeline, 0, 2) == 15);
  CHECK(EndOf(timeline, 0, 2) == 16);
}

TEST_CASE("two collectives that share links take turns fairly") {
  // 10 us and 4 us of the same links, different communicators. Both at half speed until the short one
  // has moved its 4 us of bytes at 8; then the long one has 6 left: 14.
  ProgramBuilder program;
  const StreamId s1 = program.AddStream("one", StreamKind::kCommunication);
  const StreamId s2 = program.AddStream("two", StreamKind::kCommunication);
  const CommunicatorId c1 = program.AddCommunicator("one", {{0, 1}});
  const CommunicatorId c2 = program.AddCommunicator("two", {{0, 1}});
  RankProgramBuilder rank(program);
  rank.BeginStep();
  rank.Collective(s1, "long", {.communicator = c1, .bytes = Bytes(10000)}, {}, HostCall::kNone);
  rank.Collective(s2, "short", {.communicator = c2, .bytes = Bytes(4000)}, {}, HostCall::kNone);
  const uint32_t index = program.AddRankProgram(std::move(rank).Build());
  program.AssignRanks({index, index});
  const Program built = std::move(program).Build();
  const Timeline timeline = RunWith(FakeCosts{}, built);
  CHECK(EndOf(timeline, 0, 1) == 8);
  CHECK(EndOf(timeline, 0, 0) == 14);
  REQUIRE(timeline.links.size() == 2);
  CHECK(timeline.links[0].bytes == Approx(14000));  // what was to be moved was moved
  CHECK(timeline.links[0].peak_utilisation == Approx(1.0));
}

TEST_CASE("kernels and collectives slow each other while they run side by side") {
  // Beside a collective a kernel takes 1.5 times as long, and a collective 2 times beside a kernel.
  // Collective of 10 us, kernel of 6 us from the start: side by side until the kernel ends at 9; the
  // collective has then done 4.5, and ends at 9 + 5.5.
  const Program program = Everyone(2, [](RankProgramBuilder& rank, StreamId compute, StreamId network,
                                         CommunicatorId comm) {
    rank.Collective(network, "gather", {.communicator = comm, .bytes = Bytes(10000)}, {}, HostCall::kNone);
    rank.Kernel(compute, "A", Work(6), HostCall::kNone);
  });
  FakeCosts costs;
  costs.kernel_slowdown = 1.5;
  costs.collective_slowdown = 2.0;
  const Timeline timeline = RunWith(costs, program);
  CHECK(EndOf(timeline, 0, 1) == 9);
  CHECK(EndOf(timeline, 0, 0) == 14.5);
}

TEST_CASE("a kernel that outlives the collective beside it speeds up again") {
  // Collective of 2 us takes 4 beside the kernel; the kernel has done 4/1.6 = 2.5 of 10 by then: ends
  // at 11.5.
  const Program program =
      Everyone(2, [](RankProgramBuilder& rank, StreamId compute, StreamId network, CommunicatorId comm) {
        rank.Collective(network, "gather", {.communicator = comm, .bytes = Bytes(2000)}, {}, HostCall::kNone);
        rank.Kernel(compute, "A", Work(10), HostCall::kNone);
      });
  FakeCosts costs;
  costs.kernel_slowdown = 1.6;
  costs.collective_slowdown = 2.0;
  const Timeline timeline = RunWith(costs, program);
  CHECK(EndOf(timeline, 0, 0) == 4);
  CHECK(EndOf(timeline, 0, 1) == Approx(11.5).epsilon(1e-6));
}

// Four ranks in a ring: everyone sends to the next and receives from the one before.
TEST_CASE("an exchange is done when both halves are") {
  const Program program =
      Everyone(4, [](RankProgramBuilder& rank, StreamId compute, StreamId network, CommunicatorId comm) {
        const TaskRef a = rank.Kernel(compute, "A", Work(10), HostCall::kNone);
        rank.Exchange(network, "ring",
                      {.communicator = comm,
                       .send_offset = 1,
                       .send_bytes = Bytes(2000),
                       .receive_offset = -1,
                       .receive_bytes = Bytes(2000)},
                      {&a, 1}, HostCall::kNone);
      });
  RunOptions options;
  options.slow_ranks = {{.rank = 2, .compute = 0.5}};
  for (const bool unfold : {false, true}) {
    options.unfold = unfold;
    const Timeline timeline = RunWith(FakeCosts{}, program, options);
    // Rank 2 comes at 20. Rank 1 sends to it and rank 3 receives from it: both done at 22; rank 0 at 12.
    REQUIRE(timeline.ranks.size() == 4);
    CHECK(EndOf(timeline, 0, 1) == 12);
    CHECK(EndOf(timeline, 1, 1) == 22);
    CHECK(EndOf(timeline, 2, 1) == 22);
    CHECK(EndOf(timeline, 3, 1) == 22);
  }
}

TEST_CASE("a pipeline of two stages fills and drains") {
  // Two micro-batches of 10 us on each stage, 1 us between them: stage 1 ends at 10 + 1 + 10 + 10.
  ProgramBuilder program;
  const StreamId compute = program.AddStream("compute", StreamKind::kCompute);
  const StreamId network = program.AddStream("network", StreamKind::kCommunication);
  const CommunicatorId pipe = program.AddCommunicator("pipeline", {{0, 1}});
  RankProgramBuilder first(program), second(program);
  for (int m = 0; m < 2; ++m) {
    const TaskRef a = first.Kernel(compute, "forward", Work(10), HostCall::kNone);
    first.Exchange(network, "send", {.communicator = pipe, .send_offset = 1, .send_bytes = Bytes(1000)},
                   {&a, 1}, HostCall::kNone);
    const TaskRef b = second.Exchange(
        network, "receive", {.communicator = pipe, .receive_offset = -1, .receive_bytes = Bytes(1000)}, {},
        HostCall::kNone);
    second.Kernel(compute, "forward", Work(10), HostCall::kNone, {&b, 1});
  }
  const uint32_t p0 = program.AddRankProgram(std::move(first).Build());
  const uint32_t p1 = program.AddRankProgram(std::move(second).Build());
  program.AssignRanks({p0, p1});
  const Timeline timeline = RunWith(FakeCosts{}, std::move(program).Build());
  CHECK(Microseconds(timeline) == 31);
}

TEST_CASE("a stuck program says who waits for what") {
  // Each sends before it receives, on one stream.
  const Program program = Everyone(2, [](RankProgramBuilder& rank, StreamId, StreamId network,
                                         CommunicatorId comm) {
    rank.Exchange(network, "send", {.communicator = comm, .send_offset = 1, .send_bytes = Bytes(8)});
    rank.Exchange(network, "receive", {.communicator = comm, .receive_offset = 1, .receive_bytes = Bytes(8)});
  });
  std::string text;
  try {
    (void)RunWith(FakeCosts{}, program);
  } catch (const InternalError& error) {
    text = error.what();
  }
  CHECK(text ==
        "the program is stuck:\n"
        "  rank 0, stream network: `send` (instruction 0) waits for its peer in world");
}

TEST_CASE("collectives of one member are free") {
  const Program program = Everyone(1, [](RankProgramBuilder& rank, StreamId, StreamId network,
                                         CommunicatorId comm) {
    for (int i = 0; i < 3; ++i) {
      rank.Collective(network, "gather", {.communicator = comm, .bytes = Bytes(1000)}, {}, HostCall::kNone);
    }
  });
  CHECK(Microseconds(RunWith(FakeCosts{}, program)) == 0);
}

}  // namespace
}  // namespace simulate
