// Speed of the engine: the bare queue, fair sharing, and FSDP-like steps on a hand-made machine whose
// prices cost nothing, so that what is measured is the engine.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include "sim/base/random.h"
#include "sim/engine/event_queue.h"
#include "sim/engine/max_min.h"
#include "sim/engine/message_replay.h"
#include "sim/engine/simulate_ranks.h"
#include "tests/engine/fake_costs.h"

namespace simulate {
namespace {

double PeakMegabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

// Hold model: as many pending events as ranks; each pop schedules one at a random later time.
void QueueRandom(benchmark::State& state) {
  const auto pending = static_cast<uint32_t>(state.range(0));
  Random random(1);
  EventQueue queue;
  for (uint32_t e = 0; e < pending; ++e) {
    queue.Push(SimTime(static_cast<int64_t>(random.Below(1000000))), EventKind::kKernelEnd, {.subject = e});
  }
  uint64_t events = 0;
  for (auto _ : state) {
    const EventQueue::Batch batch = queue.Pop();
    for (const Event& event : batch.events) {
      queue.Push(batch.time + SimTime(1 + static_cast<int64_t>(random.Below(1000000))), EventKind::kKernelEnd,
                 event);
      ++events;
    }
  }
  state.counters["events/s"] = benchmark::Counter(static_cast<double>(events), benchmark::Counter::kIsRate);
}
BENCHMARK(QueueRandom)->Arg(512)->Arg(16384);

// The same with symmetric ranks: all events of an instant move on together.
void QueueSymmetric(benchmark::State& state) {
  const auto ranks = static_cast<uint32_t>(state.range(0));
  Random random(1);
  EventQueue queue;
  for (uint32_t e = 0; e < ranks; ++e) queue.Push(SimTime(0), EventKind::kKernelEnd, {.subject = e});
  uint64_t events = 0;
  for (auto _ : state) {
    const EventQueue::Batch batch = queue.Pop();
    const SimTime next = batch.time + SimTime(1 + static_cast<int64_t>(random.Below(1000000)));
    for (const Event& event : batch.events) queue.Push(next, EventKind::kKernelEnd, event);
    events += batch.events.size();
  }
  state.counters["events/s"] = benchmark::Counter(static_cast<double>(events), benchmark::Counter::kIsRate);
}
BENCHMARK(QueueSymmetric)->Arg(512);

// Flows over random routes of four links.
void MaxMin(benchmark::State& state) {
  const auto count = static_cast<size_t>(state.range(0));
  Random random(1);
  const std::vector<double> capacity(count / 2, 1.0);
  std::vector<Demand> demands;
  for (size_t d = 0; d < 4 * count; ++d)
    demands.push_back({static_cast<uint32_t>(random.Below(capacity.size())), 1.0});
  std::vector<FairFlow> flows(count);
  for (size_t f = 0; f < count; ++f) flows[f].demands = std::span(demands).subspan(4 * f, 4);
  MaxMinSolver solver;
  for (auto _ : state) {
    solver.Solve(flows, capacity);
    benchmark::DoNotOptimize(flows.data());
  }
  state.counters["flows/s"] = benchmark::Counter(
      static_cast<double>(count) * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(MaxMin)->Arg(10)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

// A step of `layers` units under full sharding, about 130 kernels each in forward, recomputation and
// backward together, as T5-11B has: gather, forward; gather, recompute, backward, reduce.
Program FsdpStep(uint32_t world, int layers, int kernels_per_pass) {
  ProgramBuilder program;
  const StreamId compute = program.AddStream("compute", StreamKind::kCompute);
  const StreamId gather = program.AddStream("unshard", StreamKind::kCommunication);
  const StreamId reduce = program.AddStream("reduce", StreamKind::kCommunication);
  std::vector<RankId> all(world);
  for (uint32_t r = 0; r < world; ++r) all[r] = r;
  const CommunicatorId comm = program.AddCommunicator("data_parallel", {all});
  const CollectiveCall unshard{.op = CollectiveOp::kAllGather, .communicator = comm, .bytes = MiB(400)};
  const CollectiveCall scatter{.op = CollectiveOp::kReduceScatter, .communicator = comm, .bytes = MiB(400)};
  RankProgramBuilder rank(program);
  rank.BeginStep();
  Random random(1);
  std::vector<KernelWork> shapes;
  for (int k = 0; k < 40; ++k) shapes.push_back(Work(50.0 + static_cast<double>(random.Below(400))));
  std::vector<TaskRef> ends;
  const auto pass = [&](int passes, TaskRef ready) {
    TaskRef last;
    for (int k = 0; k < passes * kernels_per_pass; ++k) {
      const BufferId output = rank.Allocate(MiB(8), MemoryCategory::kActivations, compute, "output");
      last = rank.Kernel(compute, "kernel", shapes[static_cast<size_t>(k) % shapes.size()],
                         HostCall::kOperator, {&ready, 1});
      ready = TaskRef{};
      rank.Free(output);
    }
    ends.push_back(last);
    return last;
  };
  for (int phase = 0; phase < 2; ++phase) {
    for (int layer = 0; layer < layers; ++layer) {
      if (ends.size() > 2) rank.HostWait({&ends[ends.size() - 3], 1});  // the rate limiter
      const BufferId full = rank.Allocate(MiB(400), MemoryCategory::kUnshardedParameters, gather, "unit");
      const TaskRef ready = rank.Collective(gather, "all_gather", unshard);
      const TaskRef done = pass(phase == 0 ? 1 : 3, ready);
      rank.Free(full, {&done, 1});
      if (phase == 1) rank.Collective(reduce, "reduce_scatter", scatter, {&done, 1});
    }
  }
  const uint32_t index = program.AddRankProgram(std::move(rank).Build());
  program.AssignRanks(std::vector<uint32_t>(world, index));
  return std::move(program).Build();
}

FakeCosts BenchCosts() {
  FakeCosts costs;
  costs.host = Seconds(5e-6);
  costs.latency = Seconds(500e-6);
  costs.bandwidth = GBps(100);
  costs.kernel_slowdown = 1.1;
  costs.collective_slowdown = 1.5;
  return costs;
}

void Step(benchmark::State& state, uint32_t world, int layers, int kernels, const RunOptions& options) {
  const Program program = FsdpStep(world, layers, kernels);
  const FakeCosts costs = BenchCosts();
  RunStats stats;
  for (auto _ : state) stats = RunWith(costs, program, options).stats;
  state.counters["events"] = static_cast<double>(stats.events);
  state.counters["tasks"] = static_cast<double>(stats.tasks);
  state.counters["tasks/s"] =
      benchmark::Counter(static_cast<double>(stats.tasks) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
  state.counters["peak_MB"] = PeakMegabytes();
}

// T5-11B's size: 49 units, about 16,000 kernels a rank.
void Fsdp512Folded(benchmark::State& state) { Step(state, 512, 49, 80, {.record_spans = false}); }
void Fsdp512Unfolded(benchmark::State& state) {
  Step(state, 512, 49, 80, {.unfold = true, .record_spans = false});
}
void Fsdp512UnfoldedStragglers(benchmark::State& state) {
  RunOptions options{.unfold = true, .record_spans = false};
  for (uint32_t r = 0; r < 512; ++r)
    options.slow_ranks.push_back({r, 0.9 + 0.1 * static_cast<double>(r * 7919 % 512) / 512});
  Step(state, 512, 49, 80, options);
}
void Fsdp16384Folded(benchmark::State& state) { Step(state, 16384, 127, 40, {.record_spans = false}); }
void Fsdp131072Folded(benchmark::State& state) { Step(state, 131072, 127, 40, {.record_spans = false}); }
BENCHMARK(Fsdp512Folded)->Unit(benchmark::kMillisecond);
BENCHMARK(Fsdp512Unfolded)->Unit(benchmark::kMillisecond);
BENCHMARK(Fsdp512UnfoldedStragglers)->Unit(benchmark::kMillisecond);
BENCHMARK(Fsdp16384Folded)->Unit(benchmark::kMillisecond);
BENCHMARK(Fsdp131072Folded)->Unit(benchmark::kMillisecond);

// A 64 MiB ring all-reduce, every step of every member a message.
void RingMessages(benchmark::State& state) {
  const auto n = static_cast<uint32_t>(state.range(0));
  MessageSchedule ring;
  for (uint32_t i = 0; i < n; ++i) {
    ring.channels.push_back({.messages = 2 * (n - 1),
                             .bytes = static_cast<double>(64 << 20) / n,
                             .latency = Seconds(3e-6),
                             .first_link = i,
                             .link_count = 1,
                             .first_dependency = i,
                             .dependency_count = 1});
    ring.links.push_back(i);
    ring.dependencies.push_back({(i + n - 1) % n, -1});
  }
  const std::vector<double> bandwidth(n, 25e9);
  uint64_t messages = 0;
  for (auto _ : state) messages += ReplayMessages(ring, bandwidth).messages;
  state.counters["messages/s"] =
      benchmark::Counter(static_cast<double>(messages), benchmark::Counter::kIsRate);
  state.counters["peak_MB"] = PeakMegabytes();
}
BENCHMARK(RingMessages)->Arg(512)->Arg(2048)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace simulate

BENCHMARK_MAIN();
