// What happened: the record that a run leaves, one entry per simulated kind of rank.
//
// Times are simulated picoseconds since the start of the step. A span's life: the host had enqueued
// it (`enqueued`), it was the first on its stream with nothing left to wait for (`ready`), it made
// progress (`start`; for a collective: when the last member was ready), it was done (`end`). What it
// takes alone at full speed is `alone`; (end - start) - alone is what sharing cost it.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/confidence.h"
#include "sim/base/sim_time.h"
#include "sim/base/units.h"
#include "sim/engine/device_memory_calls.h"
#include "sim/program/program.h"
#include "sim/spec/collective.h"

namespace simulate {

// One piece of work on one stream.
struct Span {
  uint32_t instruction = 0;
  SimTime enqueued;  // when the host had enqueued it
  SimTime ready;     // when its stream was free and its waits were done
  SimTime start;
  SimTime end;
  SimTime alone;  // how long it takes with the machine to itself (a straggler's kernels: on that rank)
};

struct MemorySample {
  SimTime time;  // host time
  Bytes allocated;
  Bytes reserved;
};

using MemoryByCategory = std::array<Bytes, kMemoryCategories>;

struct MemoryUse {
  Bytes peak_allocated;
  Bytes peak_active;  // allocated, and freed but still in use by other streams
  Bytes peak_reserved;
  MemoryByCategory at_peak{};  // splits peak_allocated
  Bytes framework;             // CUDA context and communication library, outside the allocator
  std::vector<MemorySample> samples;
  bool out_of_memory = false;
  Bytes requested;  // the allocation that did not fit
  MemoryCategory failed_category = MemoryCategory::kActivations;
  uint32_t failed_instruction = 0;
  uint32_t retries = 0;  // times that cached blocks had to be given back to the device first, in a steady step
  std::vector<HostStall> stalls;  // what cudaMalloc and cudaFree take in a steady step, in order of instruction
};

struct RankTimeline {
  RankId rank = 0;          // the representative
  uint32_t weight = 1;      // ranks that it stands for
  std::vector<Span> spans;  // in order of instruction; kernels, collectives, transfers
  MemoryUse memory;
  SimTime host_end;
  SimTime end;
};

struct LinkUse {
  uint32_t link = 0;
  double bytes = 0.0;
  double peak_utilisation = 0.0;
};

// How a kernel or a collective of the program was priced, whoever ran it.
struct KernelUse {
  SimTime alone;
  Confidence confidence = Confidence::kCoarse;
};
struct CollectiveUse {
  SimTime alone;
  SimTime latency;  // of alone: paid whatever the bandwidth
  Algorithm algorithm = Algorithm::kRing;
  Protocol protocol = Protocol::kSimple;
  int channels = 0;
  uint32_t bottleneck = 0;  // a link of the topology
  Confidence confidence = Confidence::kCoarse;
};

struct RunStats {
  uint64_t events = 0;
  uint64_t tasks = 0;
  uint64_t share_updates = 0;
  uint32_t simulated_ranks = 0;
};

struct Timeline {
  std::vector<RankTimeline> ranks;         // representatives in order of rank
  std::vector<uint32_t> entry_of_rank;     // every rank's place in `ranks`
  std::vector<LinkUse> links;              // those that carried something, in order of link
  std::vector<KernelUse> kernels;          // by KernelId
  std::vector<CollectiveUse> collectives;  // by CollectiveId: of the first group that calls it
  SimTime end;
  RunStats stats;
};

}  // namespace simulate
