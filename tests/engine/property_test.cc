// Laws that hold of every run.
#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/engine/simulate_ranks.h"
#include "tests/engine/random_program.h"

namespace simulate {
namespace {

constexpr uint64_t kSeeds = 100;

TEST_CASE("a stream runs one thing at a time, after all that it waits for") {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    INFO("seed " << seed);
    const Program program = RandomProgram(seed);
    const Timeline timeline = RunWith(RandomCosts(seed), program);
    for (const RankTimeline& entry : timeline.ranks) {
      const RankProgram& rank = program.programs[program.program_of_rank[entry.rank]];
      std::vector<SimTime> stream_end(program.streams.size());
      std::vector<SimTime> end(rank.instructions.size());
      bool sound = true;
      for (const Span& span : entry.spans) {
        const Instruction& i = rank.instructions[span.instruction];
        sound = sound && span.enqueued <= span.ready && span.ready <= span.start && span.start <= span.end;
        sound = sound && stream_end[i.stream] <= span.ready;
        for (const uint32_t wait : rank.Waits(i)) sound = sound && end[wait] <= span.ready;
        stream_end[i.stream] = end[span.instruction] = span.end;
      }
      CHECK(sound);
      CHECK(entry.end <= timeline.end);
    }
  }
}

TEST_CASE("work is conserved: nothing takes less than alone, links carry what was sent") {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    INFO("seed " << seed);
    const Program program = RandomProgram(seed);
    const Timeline timeline = RunWith(RandomCosts(seed), program);
    bool sound = true;
    double sent = 0.0;
    for (const RankTimeline& entry : timeline.ranks) {
      const RankProgram& rank = program.programs[program.program_of_rank[entry.rank]];
      for (const Span& span : entry.spans) {
        sound = sound && span.end - span.start + SimTime(2) >= span.alone;  // rounded at each change of speed
        const Instruction& i = rank.instructions[span.instruction];
        Bytes bytes;
        if (i.kind == InstructionKind::kTransfer) bytes = program.transfers[i.object].send_bytes;
        if (i.kind == InstructionKind::kCollective) {
          const CollectiveCall& call = program.collectives[i.object];
          for (const auto& group : program.communicators[call.communicator].groups) {
            const bool member = std::find(group.begin(), group.end(), entry.rank) != group.end();
            if (member && group.size() > 1) bytes = call.bytes;
          }
        }
        sent += static_cast<double>(bytes.value()) * entry.weight;
      }
    }
    CHECK(sound);
    double carried = 0.0;
    for (const LinkUse& link : timeline.links) {
      carried += link.bytes;
      CHECK(link.peak_utilisation <= 1.0);
    }
    CHECK(carried == Approx(sent));
  }
}

TEST_CASE("kernels of one device never do more than one device's work") {
  // Kernels share the device: the sum of their times alone fits between the first start and the last end.
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Program program = RandomProgram(seed);
    const Timeline timeline = RunWith(RandomCosts(seed), program);
    for (const RankTimeline& entry : timeline.ranks) {
      SimTime sum;
      const RankProgram& rank = program.programs[program.program_of_rank[entry.rank]];
      for (const Span& span : entry.spans) {
        if (rank.instructions[span.instruction].kind == InstructionKind::kKernel) sum += span.alone;
      }
      CHECK(sum <= entry.end);
    }
  }
}

TEST_CASE("faster kernels or a faster network never slow these steps") {
  // Anomalies are possible in schedules at large (Graham); in these programs each rank's order is fixed.
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    INFO("seed " << seed);
    FakeCosts costs = RandomCosts(seed);
    costs.kernel_slowdown = costs.collective_slowdown = 1.0;
    const SimTime base = RunWith(costs, RandomProgram(seed)).end;
    CHECK(RunWith(costs, RandomProgram(seed, 2.0)).end <= base);
    costs.bandwidth = costs.bandwidth * 2.0;
    CHECK(RunWith(costs, RandomProgram(seed)).end <= base);
    costs.latency = Seconds(0);
    costs.host = Seconds(0);
    CHECK(RunWith(costs, RandomProgram(seed)).end <= base);
  }
}

TEST_CASE("a run repeats to the picosecond") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Program program = RandomProgram(seed);
    const Timeline a = RunWith(RandomCosts(seed), program);
    const Timeline b = RunWith(RandomCosts(seed), program);
    REQUIRE(a.ranks.size() == b.ranks.size());
    CHECK(a.stats.events == b.stats.events);
    for (size_t r = 0; r < a.ranks.size(); ++r) {
      REQUIRE(a.ranks[r].spans.size() == b.ranks[r].spans.size());
      for (size_t s = 0; s < a.ranks[r].spans.size(); ++s)
        CHECK(a.ranks[r].spans[s].end == b.ranks[r].spans[s].end);
    }
  }
}

// The sum of all ends of 40 runs; the same from every compiler.
TEST_CASE("times are the same from every compiler") {
  uint64_t sum = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    for (const RankTimeline& entry : RunWith(RandomCosts(seed), RandomProgram(seed)).ranks) {
      for (const Span& span : entry.spans) {
        sum = sum * 31 + static_cast<uint64_t>(span.end.picoseconds());
      }
    }
  }
  CHECK(sum == 15900387936338980931ULL);
}

}  // namespace
}  // namespace simulate
