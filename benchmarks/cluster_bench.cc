// Building and routing clusters, and pricing collectives on them. Goal: 16,384 accelerators built and routed
// under one second and 500 MB.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <numeric>

#include "sim/cluster/topology.h"
#include "sim/collective/collective_model.h"
#include "sim/collective/messages.h"
#include "sim/engine/message_replay.h"
#include "sim/spec/library.h"

namespace simulate {
namespace {

HardwareSpec Rails() {
  HardwareSpec h;
  h.node.scale_up = {"nvlink4", GBps(450), Microseconds(0.5), 0.82, Confidence::kCoarse, ""};
  h.node.nvls_efficiency = 0.68;
  h.node.nics = 8;
  h.node.nic = {"infiniband", GBps(50), Seconds(), 0.95, Confidence::kCoarse, ""};
  h.node.pcie = {"pcie", GBps(63), Seconds(), 0.88, Confidence::kCoarse, ""};
  h.fabric.topology = FabricTopology::kRailOptimized;
  h.fabric.link = {"infiniband", BytesPerSecond(), Microseconds(2.7), 1.0, Confidence::kCoarse, ""};
  h.fabric.levels = {{"su", 32, 1.0}, {"spine", 0, 1.0}};
  h.collective_library = DefaultLibrary(LibraryKind::kNccl);
  return h;
}

void ReportMemory(benchmark::State& state) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["peak_MB"] = static_cast<double>(usage.ru_maxrss) / 1024.0;
}

void BuildAndRoute(benchmark::State& state) {
  const HardwareSpec h = Rails();
  const int64_t count = state.range(0);
  for (auto _ : state) {
    const Topology topology(h, count);
    size_t hops = 0;
    for (uint32_t a = 0; a < topology.accelerator_count(); ++a) {
      hops += topology.Route(a, (a + 8) % topology.accelerator_count()).size();
    }
    benchmark::DoNotOptimize(hops);
  }
  ReportMemory(state);
}
BENCHMARK(BuildAndRoute)->Arg(512)->Arg(16384)->Arg(131072)->Unit(benchmark::kMillisecond);

// The first price of a group lays every algorithm over the graph; further sizes reuse that.
void FirstAllReduce(benchmark::State& state) {
  const HardwareSpec h = Rails();
  const Topology topology(h, state.range(0));
  std::vector<uint32_t> group(static_cast<size_t>(state.range(0)));
  std::iota(group.begin(), group.end(), 0u);
  for (auto _ : state) {
    const CollectiveModel model(h, topology);
    benchmark::DoNotOptimize(model.Cost({CollectiveOp::kAllReduce, Bytes(64 << 20), {group}}).time);
  }
  ReportMemory(state);
}
BENCHMARK(FirstAllReduce)->Arg(512)->Arg(16384)->Arg(131072)->Unit(benchmark::kMillisecond);

void AnotherSize(benchmark::State& state) {
  const HardwareSpec h = Rails();
  const Topology topology(h, state.range(0));
  const CollectiveModel model(h, topology);
  std::vector<uint32_t> group(static_cast<size_t>(state.range(0)));
  std::iota(group.begin(), group.end(), 0u);
  int64_t size = 1 << 20;
  for (auto _ : state)
    benchmark::DoNotOptimize(model.Cost({CollectiveOp::kAllReduce, Bytes(size += 4096), {group}}).time);
}
BENCHMARK(AnotherSize)->Arg(512)->Arg(16384)->Unit(benchmark::kMicrosecond);

// A 64 MiB ring all-reduce message by message over devices with a NIC each. Goals: 512 under 0.1 s, 2,048
// under 1.5 s and 200 MB (ASTRA-sim 0.56 s and 10.4 s, SimGrid 0.77 s at 512 on a like machine).
void RingMessageByMessage(benchmark::State& state) {
  HardwareSpec h = Rails();
  h.node.accelerators = 1;
  h.node.nics = 1;
  const Topology topology(h, state.range(0));
  std::vector<uint32_t> group(static_cast<size_t>(state.range(0)));
  std::iota(group.begin(), group.end(), 0u);
  std::vector<double> bandwidth;
  for (const Link& link : topology.links()) bandwidth.push_back(link.bandwidth.value());
  uint64_t messages = 0;
  for (auto _ : state) {
    const MessageSchedule schedule =
        ExpandMessages(h, topology, CollectiveOp::kAllReduce, Algorithm::kRing, group, Bytes(64 << 20));
    messages += ReplayMessages(schedule, bandwidth).messages;
  }
  state.counters["messages/s"] =
      benchmark::Counter(static_cast<double>(messages), benchmark::Counter::kIsRate);
  ReportMemory(state);
}
BENCHMARK(RingMessageByMessage)->Arg(512)->Arg(2048)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace simulate

BENCHMARK_MAIN();
