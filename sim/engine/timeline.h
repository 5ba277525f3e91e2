// What happened: the record that a run leaves, one entry per simulated rank.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/sim_time.h"
#include "sim/base/units.h"
#include "sim/program/program.h"

namespace simulate {

// One piece of work on one stream.
struct Span {
  uint32_t instruction = 0;
  SimTime enqueued;   // when the host had enqueued it
  SimTime start;
  SimTime end;
};

struct MemorySample {
  SimTime time;       // host time
  Bytes allocated;
  Bytes reserved;
};

using MemoryByCategory = std::array<Bytes, kMemoryCategories>;

struct MemoryUse {
  Bytes peak_allocated;
  Bytes peak_active;               // allocated, and freed but still in use by other streams
  Bytes peak_reserved;
  MemoryByCategory at_peak{};      // splits peak_allocated
  Bytes framework;                 // CUDA context and communication library, outside the allocator
  std::vector<MemorySample> samples;
  bool out_of_memory = false;
  Bytes requested;                 // the allocation that did not fit
  MemoryCategory failed_category = MemoryCategory::kActivations;
  uint32_t failed_instruction = 0;
};

struct RankTimeline {
  RankId rank = 0;                 // the representative
  uint32_t weight = 1;             // ranks that it stands for
  std::vector<Span> spans;         // in order of instruction; kernels, collectives, transfers
  MemoryUse memory;
  SimTime host_end;
  SimTime end;
};

struct LinkUse {
  uint32_t link = 0;
  double bytes = 0.0;
  double peak_utilisation = 0.0;
};

struct RunStats {
  uint64_t events = 0;
  uint64_t tasks = 0;
  uint64_t share_updates = 0;
};

struct Timeline {
  std::vector<RankTimeline> ranks; // representatives in order of rank
  std::vector<LinkUse> links;
  SimTime end;
  RunStats stats;
};

}  // namespace simulate
