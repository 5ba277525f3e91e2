// Where the seconds of one rank's step went.
//
// The rank's compute streams are walked in time. While a kernel runs the step computes (or runs the optimizer).
// Every gap is explained backwards from the kernel that ends it: a kernel waits for the latest of the work it
// depends on, the work before it on its stream, and the host that enqueues it; what it waits for is explained in
// the same way. So a gap is
//   exposed communication  while a collective or copy that the next kernel needs is on the wire, by its kind;
//   pipeline bubble        while the sender of a message of the pipeline has not come to it, and after the rank's end;
//   host bound             while the host has not enqueued the next work, and the launch latency itself;
//   idle                   while other ranks have not come to a collective, and after the end without a pipeline.
// A host that blocks (rate limiter, .item()) waits for work too: that work is what the gap is charged to.
// The parts sum to the length of the step exactly (they are counted in picoseconds).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/base/units.h"
#include "sim/engine/timeline.h"
#include "sim/program/program.h"

namespace simulate {

struct Breakdown {
  Seconds compute;                   // kernels outside of the optimizer, contention included
  std::vector<std::pair<std::string, Seconds>> exposed_communication;  // by kind: all_gather, reduce_scatter, ...
  Seconds pipeline_bubble;
  Seconds host_bound;
  Seconds optimizer;
  Seconds idle;
  Seconds contention;                // part of compute: what kernels lost beside communication
  Seconds recompute;                 // part of compute: activations computed again, at full speed

  [[nodiscard]] Seconds exposed() const;
  [[nodiscard]] Seconds total() const;
};

// What the rank's communication cost, hidden or not.
struct Communication {
  Seconds busy;      // all collectives and transfers, overlap between them counted twice
  Seconds alone;     // the same had each run alone on an idle network
  Seconds latency;   // of that: paid whatever the bandwidth
  int64_t calls = 0;
};

// `end` is the end of the step; it may lie behind the rank's own.
[[nodiscard]] Breakdown BreakDown(const Program& program, const RankTimeline& rank, SimTime end);

[[nodiscard]] Communication SumCommunication(const Program& program, const Timeline& timeline, const RankTimeline& rank);

}  // namespace simulate
