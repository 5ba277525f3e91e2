// Memory over simulated time: peaks, categories, record_stream, out of memory.
#include <catch2/catch.hpp>

#include "sim/engine/simulate_ranks.h"
#include "tests/engine/fake_costs.h"

namespace simulate {
namespace {

struct OneRank {
  ProgramBuilder program;
  StreamId compute = program.AddStream("compute", StreamKind::kCompute);
  StreamId other = program.AddStream("other", StreamKind::kCommunication);
  RankProgramBuilder rank{program};

  MemoryUse Run(const FakeCosts& costs = {}) {
    program.AssignRanks({program.AddRankProgram(std::move(rank).Build())});
    return RunWith(costs, std::move(program).Build()).ranks[0].memory;
  }
};

TEST_CASE("the peak is split by category") {
  OneRank r;
  r.rank.Allocate(MiB(100), MemoryCategory::kParameters, r.compute, "weights");
  r.rank.BeginStep();
  const BufferId a = r.rank.Allocate(MiB(30), MemoryCategory::kActivations, r.compute, "a");
  r.rank.Free(a);
  r.rank.Allocate(MiB(20), MemoryCategory::kGradients, r.compute, "g");
  const MemoryUse use = r.Run();
  CHECK(use.peak_allocated == MiB(130));
  CHECK(use.at_peak[static_cast<size_t>(MemoryCategory::kParameters)] == MiB(100));
  CHECK(use.at_peak[static_cast<size_t>(MemoryCategory::kActivations)] == MiB(30));
  CHECK(use.at_peak[static_cast<size_t>(MemoryCategory::kGradients)] == MiB(0));
  CHECK(use.peak_reserved == MiB(130));  // the gradients reuse the activations' segment
  CHECK_FALSE(use.out_of_memory);
}

// A buffer of the compute stream is read by 10 us of work on another stream, then freed and wanted again.
MemoryUse Reuse(int host_calls_before_reuse) {
  OneRank r;
  r.rank.BeginStep();
  const BufferId a = r.rank.Allocate(MiB(30), MemoryCategory::kUnshardedParameters, r.compute, "a");
  const TaskRef reader = r.rank.Kernel(r.other, "read", Work(10), HostCall::kNone);
  r.rank.Free(a, {&reader, 1});
  r.rank.HostWork(HostCall::kIteration, host_calls_before_reuse);
  r.rank.Allocate(MiB(30), MemoryCategory::kUnshardedParameters, r.compute, "b");
  FakeCosts costs;
  costs.host = Seconds(1e-6);
  return r.Run(costs);
}

TEST_CASE("a full launch queue bounds what is given up but still read") {
  // Each of 300 kernels of 0.1 s on another stream reads a buffer of the compute stream, which is freed at once.
  const auto active = [](int64_t queue) {
    OneRank r;
    r.rank.BeginStep();
    for (int i = 0; i < 300; ++i) {
      const BufferId a = r.rank.Allocate(MiB(30), MemoryCategory::kUnshardedParameters, r.compute, "a");
      const TaskRef reader = r.rank.Kernel(r.other, "read", Work(100000), HostCall::kNone);
      r.rank.Free(a, {&reader, 1});
    }
    FakeCosts costs;
    costs.queue = queue;
    return r.Run(costs).peak_active;
  };
  CHECK(active(0).value() == 300 * MiB(30).value());
  CHECK(active(128).value() == 129 * MiB(30).value());  // and that of the launch that waits
}

TEST_CASE("a recorded block is reusable once its readers are done at the host's time") {
  const MemoryUse early = Reuse(9);  // the host asks at 9 us, the reader ends at 10
  CHECK(early.peak_allocated == MiB(30));
  CHECK(early.peak_active == MiB(60));
  CHECK(early.peak_reserved == MiB(60));
  const MemoryUse late = Reuse(10);
  CHECK(late.peak_active == MiB(30));
  CHECK(late.peak_reserved == MiB(30));
}

TEST_CASE("a run beyond the device is out of memory, and says what it would need") {
  OneRank r;
  r.rank.Allocate(MiB(60), MemoryCategory::kParameters, r.compute, "weights");
  r.rank.BeginStep();
  r.rank.Allocate(MiB(50), MemoryCategory::kActivations, r.compute, "a");
  r.rank.Allocate(MiB(50), MemoryCategory::kLogits, r.compute, "b");
  FakeCosts costs;
  costs.memory = MiB(100);
  const MemoryUse use = r.Run(costs);
  CHECK(use.out_of_memory);
  CHECK(use.failed_category == MemoryCategory::kActivations);
  CHECK(use.requested == MiB(50));
  CHECK(use.failed_instruction == 1);
  CHECK(use.peak_reserved == MiB(160));
}

TEST_CASE("cached blocks of another size are given back before the run is out of memory") {
  OneRank r;
  r.rank.BeginStep();
  r.rank.Free(r.rank.Allocate(MiB(60), MemoryCategory::kActivations, r.compute, "a"));
  r.rank.Allocate(MiB(80), MemoryCategory::kActivations, r.compute, "b");
  FakeCosts costs;
  costs.memory = MiB(100);
  const MemoryUse use = r.Run(costs);
  CHECK_FALSE(use.out_of_memory);
  CHECK(use.retries == 0);  // in a steady step b's segment serves a, too
  CHECK(use.peak_reserved == MiB(80));
}

// Two streams whose pools do not fit beside each other: in every step each takes the device from the other.
struct TwoPools : OneRank {
  explicit TwoPools(Bytes memory) {
    costs.memory = memory;
    rank.BeginStep();
    const BufferId a = rank.Allocate(MiB(60), MemoryCategory::kActivations, compute, "a");
    rank.Kernel(compute, "first", Work(1000), HostCall::kNone);
    rank.Free(a);
    rank.Allocate(MiB(80), MemoryCategory::kActivations, other, "b");
    rank.Kernel(other, "second", Work(500), HostCall::kNone);
    program.AssignRanks({program.AddRankProgram(std::move(rank).Build())});
  }
  Timeline Run() { return RunWith(costs, std::move(program).Build()); }
  FakeCosts costs;
};

TEST_CASE("on a full device every step waits for cudaFree and cudaMalloc") {
  const Timeline roomy = TwoPools(MiB(150)).Run();
  CHECK(roomy.ranks[0].memory.retries == 0);
  CHECK(roomy.end.seconds().value() == Approx(1500e-6));  // side by side, each at half speed at first
  const Timeline full = TwoPools(MiB(100)).Run();
  CHECK(full.ranks[0].memory.retries == 2);
  // b's segment is unmapped and a's mapped; the other way round when the first kernel is over; then the second runs.
  const DeviceMemoryCalls once{.maps = 1, .unmaps = 1, .mapped = MiB(60).value(), .unmapped = MiB(80).value()};
  const DeviceMemoryCalls back{.maps = 1, .unmaps = 1, .mapped = MiB(80).value(), .unmapped = MiB(60).value()};
  const double stalls = once.Time(1).value() + back.Time(1).value();
  CHECK(full.end.seconds().value() == Approx(stalls + 1500e-6));
  CHECK(stalls == Approx(2 * 110e-6 + (1.4e-12 + 0.7e-12) * 140 * 1048576));
  CHECK(once.Time(8).value() - once.Time(1).value() == Approx(7 * (50e-6 + 0.7e-12 * 80 * 1048576)));  // one at a time
}

TEST_CASE("a host that runs ahead fills the device again after every wait") {
  // Twelve gathers of 26 MiB, each read for 1 ms, on a device that takes four: the host waits for the fifth and for the ninth, in
  // every step. (A kernel of another stream ends the step: that of the step before is over by then.)
  OneRank r;
  r.rank.BeginStep();
  TaskRef reader;
  for (int i = 0; i < 12; ++i) {
    const BufferId gathered = r.rank.Allocate(MiB(26), MemoryCategory::kUnshardedParameters, r.compute, "gathered");
    reader = r.rank.Kernel(r.other, "read", Work(1000), HostCall::kNone);
    r.rank.Free(gathered, {&reader, 1});
  }
  r.rank.Kernel(r.compute, "end", Work(10), HostCall::kNone, {&reader, 1});
  FakeCosts costs;
  costs.memory = MiB(104);
  const MemoryUse use = r.Run(costs);
  CHECK_FALSE(use.out_of_memory);
  CHECK(use.retries == 2);
}

TEST_CASE("optimizer state is born in the first step, in what the activations left") {
  // Step 1: activations of 30 MiB come and go; the state of 25 MiB takes their segment. Step 2 therefore
  // needs another 30 MiB. Had the state been there from the start, 100 + 25 + 30 would do (rounded to 26).
  OneRank r;
  r.rank.Allocate(MiB(100), MemoryCategory::kParameters, r.compute, "weights");
  r.rank.Allocate(MiB(25), MemoryCategory::kOptimizerState, r.compute, "state");
  r.rank.BeginStep();
  r.rank.Free(r.rank.Allocate(MiB(30), MemoryCategory::kActivations, r.compute, "a"));
  r.rank.SetPhase(Phase::kOptimizer);
  r.rank.Kernel(r.compute, "adam", Work(1), HostCall::kNone);
  const MemoryUse use = r.Run();
  CHECK(use.peak_allocated == MiB(155));
  CHECK(use.at_peak[static_cast<size_t>(MemoryCategory::kOptimizerState)] == MiB(25));
  CHECK(use.peak_reserved == MiB(160));
}

TEST_CASE("gradients that live from one step to the next are there once") {
  OneRank r;
  const BufferId old = r.rank.Allocate(MiB(50), MemoryCategory::kGradients, r.compute, "gradients");
  r.rank.BeginStep();
  r.rank.Free(old);
  r.rank.Allocate(MiB(50), MemoryCategory::kGradients, r.compute, "gradients");
  const MemoryUse use = r.Run();
  CHECK(use.peak_allocated == MiB(50));
  CHECK(use.peak_reserved == MiB(50));
}

// DDP's first bucket of 50 MiB and the buckets that take its place, an all_reduce, and an optimizer of `microseconds` with
// `segments` buffers of state.
MemoryUse Rebuilt(int microseconds, Bytes state, int segments = 1) {
  OneRank r;
  const CommunicatorId group = r.program.AddCommunicator("data", {{0}});
  r.rank.Allocate(MiB(100), MemoryCategory::kParameters, r.compute, "weights");
  const BufferId first = r.rank.Allocate(MiB(50), MemoryCategory::kCommunicationBuffers, r.compute, "first bucket");
  r.rank.SetLife(first, Life::kFirstStep);
  const BufferId later = r.rank.Allocate(MiB(50), MemoryCategory::kCommunicationBuffers, r.compute, "bucket");
  r.rank.SetLife(later, Life::kLaterSteps);
  for (int i = 0; i < segments && state > Bytes(0); ++i) r.rank.Allocate(state, MemoryCategory::kOptimizerState, r.compute, "state");
  r.rank.BeginStep();
  const BufferId a = r.rank.Allocate(MiB(30), MemoryCategory::kActivations, r.compute, "a");
  r.rank.Free(first);
  r.rank.Collective(r.other, "all_reduce", {.op = CollectiveOp::kAllReduce, .communicator = group, .bytes = MiB(50)});
  r.rank.Free(a);
  r.rank.SetPhase(Phase::kOptimizer);
  r.rank.Kernel(r.compute, "adam", Work(microseconds), HostCall::kNone);
  FakeCosts costs;
  costs.memory = GiB(100);
  return r.Run(costs);
}

TEST_CASE("a bucket that NCCL still refers to lives beside those that take its place") {
  const MemoryUse held = Rebuilt(10, Bytes(0));  // the watchdog has not looked: 100 + 50 + 50 + 30
  CHECK(held.peak_allocated == MiB(230));
  CHECK(held.at_peak[static_cast<size_t>(MemoryCategory::kCommunicationBuffers)] == MiB(100));
  CHECK(held.samples.back().allocated == MiB(150));  // the steady step's
  const MemoryUse seen = Rebuilt(60'000, Bytes(0));  // 60 ms of optimizer: it has
  CHECK(seen.peak_allocated == MiB(180));
  CHECK(seen.peak_reserved == MiB(180));
}

TEST_CASE("mapping memory for the optimizer's state gives the watchdog time") {
  // 640 segments of 32 MiB, 60 us + 1.4 ps a byte each: 68 ms, more than the 50 of the watchdog.
  // Peak: weights 100 MiB, bucket 50, activations 30, state.
  CHECK(Rebuilt(10, MiB(32), 640).peak_allocated == GiB(20) + MiB(180));
  // The same in one segment: 30 ms, so the first bucket is there still.
  CHECK(Rebuilt(10, GiB(20)).peak_allocated == GiB(20) + MiB(230));
}

TEST_CASE("the framework's memory lies outside of the allocator and lessens its room") {
  OneRank r;
  r.rank.Allocate(MiB(30), MemoryCategory::kFramework, r.compute, "context");
  r.rank.BeginStep();
  r.rank.Allocate(MiB(80), MemoryCategory::kActivations, r.compute, "a");
  FakeCosts costs;
  costs.memory = MiB(100);
  const MemoryUse use = r.Run(costs);
  CHECK(use.framework == MiB(30));
  CHECK(use.peak_allocated == MiB(80));
  CHECK(use.out_of_memory);
}

}  // namespace
}  // namespace simulate
