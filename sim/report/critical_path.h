// The chain of work that the step's length hangs on, and what a gain in each kind of it could bring.
//
// The path is walked backwards from the end of the last rank: a piece of work started when the last thing that
// it waited for was done - the work before it on its stream, work it depends on, another rank that came late to a
// collective, or the host that enqueued it. The pieces cover the step without gaps: their seconds sum to its length.
//
// A gain of 10 % in a kind shortens the step by at most 10 % of that kind's time on the path; another path may then
// be the longest, so it is a bound, not a prediction (`simulate sensitivity` runs the change).
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "sim/base/units.h"
#include "sim/engine/timeline.h"
#include "sim/program/program.h"

namespace simulate {

struct PathStep {
  uint32_t entry = 0;                 // into Timeline::ranks
  uint32_t instruction = kHost;       // of that rank's program; kHost: the host was enqueuing
  SimTime begin;
  SimTime end;
  static constexpr uint32_t kHost = 0xFFFFFFFF;
};

struct PathShare {
  std::string kind;                   // a kernel's name, all_gather, transfer, host
  std::string group;                  // the communicator of a collective or transfer
  uint32_t link = kNoLink;            // a collective's bottleneck, a link of the topology
  std::string over;                   // the kind of that link (nvlink, infiniband, ...); whoever has the topology fills it
  Seconds seconds;
  double share = 0.0;                 // of the step
  uint64_t count = 0;
  Seconds gain_of_ten_percent;        // at most
  static constexpr uint32_t kNoLink = std::numeric_limits<uint32_t>::max();
};

struct CriticalPath {
  std::vector<PathStep> steps;        // in order of time
  std::vector<PathShare> shares;      // largest first
};

// An operator's forward and backward kernels (w1, w1.data_gradient, w1.weight_gradient) together, largest first.
[[nodiscard]] std::vector<PathShare> ByOperator(const std::vector<PathShare>& shares);

// REQUIRES: the run recorded spans. Empty when nothing ran.
[[nodiscard]] CriticalPath FindCriticalPath(const Program& program, const Timeline& timeline);

}  // namespace simulate
