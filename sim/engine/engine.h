// engine/ - replays a Program on a machine and says what happened, event by event.
//
// The engine owns time. Hosts enqueue, streams run in order, collectives start when all members
// have arrived, everything that moves shares links, cores and memory bandwidth max-min fairly, and
// rates change only at events. Events are ordered by (time, priority, sequence), so that a run is
// the same on every machine.
//
// Ranks that must behave alike (same program, same placement of all their groups, same
// perturbation) are simulated once and weighted (fold.h); `unfold` simulates every rank, with identical
// results: ranks that fared alike share one entry of the Timeline then, too.
//
// Accelerator r of the topology runs rank r. Memory (memory_replay.h) follows from the times; it acts
// back on them where the device is so full that segments are given back and mapped anew in every step. A run
// that is out of memory still has times: those of a device that is large enough.
//
// Absent on purpose: FSDP, pipelines, layers, YAML. A stuck run throws InternalError listing who
// waits for what.
#pragma once

#include <vector>

#include "sim/cluster/topology.h"
#include "sim/collective/collective_model.h"
#include "sim/engine/timeline.h"
#include "sim/kernel/host_model.h"
#include "sim/kernel/kernel_model.h"
#include "sim/program/program.h"

namespace simulate {

// The machine that a program runs on. References must outlive the run.
struct Machine {
  const Topology& topology;
  const KernelModel& kernels;
  const HostModel& host;
  const CollectiveModel& collectives;
  Bytes memory;  // per accelerator
};

inline constexpr uint64_t kMostMessages = 20'000'000;

struct RankSpeed {
  RankId rank = 0;
  double compute = 1.0;  // its kernels run at this share of their speed
};

struct RunOptions {
  bool unfold = false;
  // Links differ in ways that the placement of groups does not tell (a degraded or failed one): nothing is
  // folded; ranks that fared alike still share one entry of the Timeline.
  bool asymmetric = false;
  // Every collective's time is that of a replay of its messages (message_replay.h), not its closed form. What it puts on
  // the links is theirs, too, and shared with all else that runs. Collectives of more than kMostMessages keep the
  // closed form, as do single sends, which are one message.
  bool messages = false;
  bool record_spans = true;
  bool memory = true;  // false: times alone, Timeline's memory stays empty and stalls nobody
  std::vector<RankSpeed> slow_ranks;
};

[[nodiscard]] Timeline Run(const Program& program, const Machine& machine, const RunOptions& options = {});

}  // namespace simulate
