#include "sim/report/breakdown.h"

#include <array>
#include <catch2/catch.hpp>

#include "sim/base/random.h"
#include "sim/program/builder.h"

namespace simulate {
namespace {

constexpr int64_t kMs = 1'000'000'000;  // picoseconds

// A program of one rank with a compute stream, a communicator's stream and a copy stream.
struct Rig {
  Rig() {
    compute = builder.AddStream("compute", StreamKind::kCompute);
    network = builder.AddStream("nccl", StreamKind::kCommunication);
    copy = builder.AddStream("copy", StreamKind::kCopy);
    data = builder.AddCommunicator("data_parallel", {{0}});
    pipeline = builder.AddCommunicator("pipeline", {{0}});
  }
  TaskRef Kernel(Phase phase = Phase::kForward, std::vector<TaskRef> waits = {}) {
    code.SetPhase(phase);
    return code.Kernel(compute, "k", KernelWork{}, HostCall::kOperator, waits);
  }
  TaskRef Gather(std::vector<TaskRef> waits = {}) {
    return code.Collective(network, "gather", {CollectiveOp::kAllGather, data, Bytes(8), DType::kBf16}, waits);
  }
  TaskRef Receive() { return code.Exchange(network, "receive", {pipeline, 0, Bytes(8), 0, Bytes(8)}); }

  // Times in ms per span, in order of instruction: enqueued, start, end.
  Breakdown Run(const std::vector<std::array<int64_t, 3>>& times, int64_t host_end, int64_t end, int64_t rank_end = -1) {
    builder.AddRankProgram(std::move(code).Build());
    builder.AssignRanks({0});
    const Program program = std::move(builder).Build();
    RankTimeline rank;
    size_t next = 0;
    const auto& instructions = program.programs[0].instructions;
    for (uint32_t i = 0; i < instructions.size(); ++i) {
      const InstructionKind kind = instructions[i].kind;
      if (kind != InstructionKind::kKernel && kind != InstructionKind::kCollective && kind != InstructionKind::kTransfer) continue;
      const int64_t lost = next < slowed.size() ? slowed[next] : 0;
      const auto& t = times.at(next++);
      rank.spans.push_back({i, SimTime(t[0] * kMs), SimTime(t[1] * kMs), SimTime(t[1] * kMs), SimTime(t[2] * kMs), SimTime((t[2] - t[1] - lost) * kMs)});
    }
    rank.host_end = SimTime(host_end * kMs);
    rank.end = SimTime((rank_end < 0 ? end : rank_end) * kMs);
    const Breakdown b = BreakDown(program, rank, SimTime(end * kMs));
    CHECK(b.total().value() == Approx(static_cast<double>(end) * 1e-3).epsilon(1e-12));
    return b;
  }

  ProgramBuilder builder;
  RankProgramBuilder code{builder};
  StreamId compute = 0, network = 0, copy = 0;
  CommunicatorId data = 0, pipeline = 0;
  std::vector<int64_t> slowed;  // ms that a span lost to others
};

double Ms(Seconds s) { return s.value() * 1e3; }

double Exposed(const Breakdown& b, const std::string& kind) {
  for (const auto& [name, seconds] : b.exposed_communication) {
    if (name == kind) return Ms(seconds);
  }
  return 0.0;
}

TEST_CASE("kernels back to back are compute, by phase") {
  Rig rig;
  rig.Kernel(Phase::kForward);
  rig.Kernel(Phase::kRecompute);
  rig.Kernel(Phase::kBackward);
  rig.Kernel(Phase::kOptimizer);
  const Breakdown b = rig.Run({{0, 0, 10}, {1, 10, 15}, {2, 15, 35}, {3, 35, 38}}, 4, 38);
  CHECK(Ms(b.compute) == Approx(35));
  CHECK(Ms(b.recompute) == Approx(5));
  CHECK(Ms(b.optimizer) == Approx(3));
  CHECK(Ms(b.exposed()) == 0.0);
  CHECK(Ms(b.idle) == 0.0);
}

TEST_CASE("a kernel that waits for a collective exposes its rest") {
  // The gather runs from 2 to 14; the first kernel hides it until 10.
  Rig rig;
  const TaskRef gather = rig.Gather();
  rig.Kernel();
  rig.Kernel(Phase::kForward, {gather});
  const Breakdown b = rig.Run({{1, 2, 14}, {1, 1, 10}, {2, 14, 20}}, 3, 20);
  CHECK(Exposed(b, "all_gather") == Approx(4));
  CHECK(Ms(b.host_bound) == Approx(1));  // the host had enqueued nothing before 1 ms
  CHECK(Ms(b.compute) == Approx(15));
}

TEST_CASE("a kernel that was not enqueued is the host's fault even while a collective runs") {
  Rig rig;
  rig.Gather();
  rig.Kernel();
  rig.Kernel();
  const Breakdown b = rig.Run({{0, 0, 30}, {0, 0, 5}, {12, 13, 20}}, 30, 30);
  CHECK(Ms(b.host_bound) == Approx(8));  // 5 to 12, and 1 ms launch latency
  CHECK(Exposed(b, "all_gather") == Approx(10));  // its tail, after the last kernel
  CHECK(Ms(b.compute) == Approx(12));
}

TEST_CASE("a gather queued behind another gather charges both") {
  Rig rig;
  rig.Gather();
  const TaskRef second = rig.Gather();
  rig.Kernel(Phase::kForward, {second});
  const Breakdown b = rig.Run({{0, 0, 6}, {0, 6, 10}, {0, 10, 11}}, 1, 11);
  CHECK(Exposed(b, "all_gather") == Approx(10));
  CHECK(Ms(b.compute) == Approx(1));
}

TEST_CASE("a collective that waits for its peers leaves the rank idle") {
  Rig rig;
  const TaskRef gather = rig.Gather();
  rig.Kernel(Phase::kForward, {gather});
  const Breakdown b = rig.Run({{0, 7, 9}, {0, 9, 10}}, 1, 10);
  CHECK(Ms(b.idle) == Approx(7));
  CHECK(Exposed(b, "all_gather") == Approx(2));
}

TEST_CASE("a host that blocks on a collective is not host bound") {
  // The rate limiter: the host waits for the gather (ends at 8) before it enqueues the kernel at 9.
  Rig rig;
  const TaskRef gather = rig.Gather();
  const TaskRef waits[] = {gather};
  rig.code.HostWait(waits);
  rig.Kernel();
  const Breakdown b = rig.Run({{0, 0, 8}, {9, 9, 12}}, 10, 12);
  CHECK(Exposed(b, "all_gather") == Approx(8));
  CHECK(Ms(b.host_bound) == Approx(1));
}

TEST_CASE("a missing message of the pipeline is bubble, and so is the end of an early stage") {
  Rig rig;
  const TaskRef receive = rig.Receive();
  rig.Kernel(Phase::kForward, {receive});
  const Breakdown b = rig.Run({{0, 6, 7}, {0, 7, 12}}, 1, 20, 12);
  CHECK(Ms(b.pipeline_bubble) == Approx(6 + 8));
  CHECK(Exposed(b, "sendrecv") == Approx(1));
  CHECK(Ms(b.compute) == Approx(5));
}

TEST_CASE("what kernels lose beside communication is told apart from what they take alone") {
  Rig rig;
  rig.Kernel();
  rig.Kernel();
  rig.slowed = {3, 0};
  const Breakdown b = rig.Run({{0, 0, 10}, {0, 10, 15}}, 1, 15);
  CHECK(Ms(b.compute) == Approx(15));
  CHECK(Ms(b.contention) == Approx(3));
}

TEST_CASE("a rank that ends early idles until the step ends") {
  Rig rig;
  rig.Kernel();
  const Breakdown b = rig.Run({{0, 0, 5}}, 1, 9, 5);
  CHECK(Ms(b.idle) == Approx(4));
}

TEST_CASE("a copy that is waited for is exposed by its own name") {
  Rig rig;
  const TaskRef copy = rig.code.Kernel(rig.copy, "offload", KernelWork{}, HostCall::kOperator);
  rig.Kernel(Phase::kForward, {copy});
  const Breakdown b = rig.Run({{0, 0, 3}, {0, 3, 4}}, 1, 4);
  CHECK(Exposed(b, "copy") == Approx(3));
}

TEST_CASE("the parts sum to the step for any timeline") {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    Rig rig;
    std::vector<TaskRef> launched;
    std::vector<std::array<int64_t, 3>> times;
    std::array<int64_t, 2> free{};
    int64_t host = 0;
    int64_t end = 0;
    for (int i = 0; i < 30; ++i) {
      std::vector<TaskRef> waits;
      if (!launched.empty() && random.Below(2) == 0) waits.push_back(launched[random.Below(launched.size())]);
      const bool kernel = random.Below(3) != 0;
      if (random.Below(6) == 0 && !launched.empty()) {
        const TaskRef blocked[] = {launched.back()};
        rig.code.HostWait(blocked);
        host = std::max(host, times.back()[2]);
      }
      host += static_cast<int64_t>(random.Below(4));
      int64_t start = std::max(host, free[kernel ? 0 : 1]);
      for (const TaskRef w : waits) {
        for (size_t j = 0; j < launched.size(); ++j) {
          if (launched[j].instruction == w.instruction) start = std::max(start, times[j][2]);
        }
      }
      start += static_cast<int64_t>(random.Below(3));
      const int64_t stop = start + static_cast<int64_t>(random.Below(9));
      launched.push_back(kernel ? rig.Kernel(random.Below(2) == 0 ? Phase::kBackward : Phase::kOptimizer, waits)
                                : rig.Gather(waits));
      times.push_back({host, start, stop});
      free[kernel ? 0 : 1] = stop;
      end = std::max({end, stop, host});
    }
    INFO("seed " << seed);
    rig.Run(times, host, end);  // checks the sum
  }
}

}  // namespace
}  // namespace simulate
