#include "sim/engine/simulate_ranks.h"

#include <algorithm>
#include <map>

#include "sim/base/check.h"
#include "sim/engine/fold.h"
#include "sim/engine/memory_replay.h"
#include "sim/engine/plan.h"
#include "sim/engine/replay.h"

namespace simulate {

namespace {

std::vector<double> ComputeOfRank(const Program& program, const RunOptions& options) {
  std::vector<double> compute(program.world_size(), 1.0);
  for (const RankSpeed& slow : options.slow_ranks) {
    SIM_CHECK(slow.rank < compute.size(), "rank ", slow.rank, " does not exist");
    SIM_CHECK(slow.compute > 0.0, "rank ", slow.rank, " would never end");
    compute[slow.rank] *= slow.compute;
  }
  return compute;
}

// Ranks of one class (of one program, if nothing was folded) that fared alike share one entry.
// `simulated[rank]` is their place in the replay.
void FillRanks(const Program& program, const Folding& folding, const std::vector<uint32_t>& simulated,
               bool asymmetric, Replay& replay, Timeline& timeline) {
  std::map<std::pair<uint32_t, uint64_t>, uint32_t> entries;
  timeline.entry_of_rank.resize(folding.class_of_rank.size());
  for (RankId r = 0; r < folding.class_of_rank.size(); ++r) {
    const RankOutcome& outcome = replay.outcome(simulated[r]);
    const uint32_t kind = asymmetric ? program.program_of_rank[r] : folding.class_of_rank[r];
    const auto [found, added] =
        entries.try_emplace({kind, outcome.digest}, static_cast<uint32_t>(timeline.ranks.size()));
    if (added) {
      RankTimeline& entry = timeline.ranks.emplace_back();
      entry.rank = r;
      entry.weight = 0;
      entry.host_end = outcome.host_end;
      entry.end = outcome.end;
      entry.spans = replay.TakeSpans(simulated[r]);
      timeline.end = std::max(timeline.end, outcome.end);
    }
    ++timeline.ranks[found->second].weight;
    timeline.entry_of_rank[r] = found->second;
  }
}

// Whether what is reusable when depends on the device's times: only then can two ranks of one program
// differ in memory.
bool MemoryDependsOnTime(const RankProgram& rank) {
  for (const Instruction& i : rank.instructions) {
    if (i.kind != InstructionKind::kFree) continue;
    for (const uint32_t wait : rank.Waits(i)) {
      if (rank.instructions[wait].stream != rank.buffers[i.object].stream) return true;
    }
  }
  return false;
}

// An entry without spans (a rank that fared otherwise than its class) has the memory of its class.
void FillMemory(const Program& program, const Folding& folding, const HostCosts& host, const Costs& costs, Timeline& timeline) {
  std::map<uint32_t, uint32_t> ranks_on_node;
  for (RankId r = 0; r < program.world_size(); ++r) ++ranks_on_node[costs.Node(r)];
  std::vector<uint32_t> entry_of_program(program.programs.size(),
                                         kNoIndex);  // of those that time does not touch
  std::vector<uint8_t> timed;
  for (const RankProgram& rank : program.programs) timed.push_back(MemoryDependsOnTime(rank) ? 1 : 0);
  for (uint32_t e = 0; e < timeline.ranks.size(); ++e) {
    RankTimeline& entry = timeline.ranks[e];
    const uint32_t index = program.program_of_rank[entry.rank];
    const RankId representative = folding.classes[folding.class_of_rank[entry.rank]].representative;
    if (entry_of_program[index] != kNoIndex) {
      entry.memory = timeline.ranks[entry_of_program[index]].memory;
    } else if (representative == entry.rank) {
      entry.memory = ReplayMemory(program, program.programs[index], host, entry.spans, costs.Memory(),
                                  ranks_on_node[costs.Node(entry.rank)]);
      if (timed[index] == 0) entry_of_program[index] = e;
    } else {
      entry.memory = timeline.ranks[timeline.entry_of_rank[representative]].memory;
    }
  }
}

// Puts what a full device makes the allocator ask of the driver into the programs that the hosts walk. False: there is nothing.
bool AddStalls(const Program& program, const Timeline& timeline, Plan& plan) {
  std::vector<uint8_t> done(program.programs.size(), 0);
  bool any = false;
  for (const RankTimeline& entry : timeline.ranks) {
    const uint32_t index = program.program_of_rank[entry.rank];
    if (entry.memory.retries == 0 || entry.memory.out_of_memory || done[index] != 0) continue;
    done[index] = 1;
    any = true;
    plan.programs[index] = Compile(program, program.programs[index], plan.host, entry.memory.stalls);
  }
  return any;
}

}  // namespace

Timeline RunWith(const Costs& costs, const Program& program, const RunOptions& options) {
  const std::vector<double> compute = ComputeOfRank(program, options);
  const std::vector<Membership> memberships = MembershipsOf(program);
  const Folding folded = options.asymmetric ? Unfolded(program) : Fold(program, memberships, costs, compute);
  const bool unfold = options.unfold && !options.asymmetric;
  const Folding every = unfold ? Unfolded(program) : Folding{};
  const Folding& used = unfold ? every : folded;
  Plan plan = MakePlan(program, memberships, used, costs, compute);

  std::vector<uint8_t> record(plan.ranks.size(), 0);
  for (const RankClass& c : folded.classes) record[used.class_of_rank[c.representative]] = 1;
  Timeline timeline;
  // Memory follows the times, and where segments have to be mapped and unmapped in every step, the times follow memory:
  // such a step is replayed once more with the stalls that the first replay met.
  for (bool again = true, first = true; again; first = false) {
    Replay replay(program, plan, costs, record);
    replay.Run();
    timeline = {};
    FillRanks(program, folded, used.class_of_rank, options.asymmetric, replay, timeline);
    if (options.memory) FillMemory(program, folded, plan.host, costs, timeline);
    timeline.links = replay.LinkUses();
    timeline.stats = replay.stats();
    again = first && AddStalls(program, timeline, plan);
  }
  if (!options.record_spans) {
    for (RankTimeline& entry : timeline.ranks) entry.spans = {};
  }
  timeline.kernels = plan.kernels;
  timeline.collectives = plan.collectives;
  return timeline;
}

}  // namespace simulate
