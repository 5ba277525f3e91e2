// One accelerator: its datasheet and the constants fitted to measurements of it.
// Every number in a hardware file carries its source; constants belong to the part, never to a scenario.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/confidence.h"
#include "sim/base/units.h"
#include "sim/spec/dtype.h"
#include "sim/spec/kernel_work.h"

namespace simulate {

// Matrix products (kernel/gemm.h). Efficiencies are shares of the datasheet peak.
struct GemmCalibration {
  double efficiency = 0.95;         // 16-bit and narrower, boosted clock, tile without bound
  double efficiency_fp8 = 0.87;
  double efficiency_tf32 = 0.85;
  double efficiency_fp32 = 0.80;    // on the ordinary cores
  double tile_traffic = 0.09;       // what the operands of a 128 x 128 tile cost beside its arithmetic
  Seconds tile_drain;               // writing a 256 x 128 tile of 16-bit results, while the multipliers idle
  Seconds split_reduction;          // adding up the parts when the inner dimension is split
  double unaligned = 0.15;          // share of the peak when a dimension is odd
  double half_aligned = 0.285;      // when every dimension is even but one no multiple of 8
};

// Fused attention (kernel/attention.h), one direction of one kernel.
struct AttentionCalibration {
  double efficiency = 0.7;          // of the two (backward: five) products
  double softmax_cycles = 0.07;     // of one compute unit per score
  Seconds block;                    // start and end of a block of 128 queries
  int64_t rows = 0;                 // of queries (backward: of keys) that one unit works through; 0: the work spreads evenly
  double tensor_passes = 4.0;       // reads and writes of a tensor of the queries' size that nothing hides
  Seconds launch;                   // fixed: several launches in the backward
};

// One kind of memory-bound kernel (kernel/memory_bound.h).
struct AccessCalibration {
  double bandwidth = 0.9;           // share of the datasheet bandwidth
  double cycles_per_element = 0.0;  // of one compute unit: arithmetic, random numbers, addresses
  double cycles_per_row = 0.0;
  Seconds fixed;                    // further launches inside the call: a second stage, a sort
};
struct MemoryCalibration {
  std::array<AccessCalibration, kMemoryAccesses> access;
  Seconds ramp;                     // start and end of any kernel
  double cache_speedup = 2.0;       // L2 over device memory
};

// The power limit (kernel/power.h): long matrix products run at a lower clock.
struct PowerCalibration {
  double droop = 0.0;               // how much longer a product takes that lasts for ever
  Seconds reaction;                 // length at which half of that has come
  double spread = 0.0;              // standard deviation of sustained speed between chips (kernel/variation.h)
  double shared = 0.0;              // how much longer attention takes in a step, at the clock that the products leave it
  double slope = 0.0;               // how much longer a product takes per load beyond `free`; 0: not known
  double free = 0.0;                // load up to which products take as long as at the full clock
  double attention_slope = 0.0;     // the same two for fused attention
  double attention_free = 0.0;
  // What a kernel draws: 0 as a copy, 1 as a product.
  std::array<double, kCalibratedAttentionKernels> attention_draw = {1.0, 1.0, 1.0};
  std::array<double, kMemoryAccesses> memory_draw{};
  Seconds rest;                     // between repetitions of a product where the constants were measured
};

// Beside a collective (kernel/contention.h).
struct ContentionCalibration {
  double lost_waves = 1.0;          // waves of tiles that a product waits for the cores that are taken
  double collective_by_memory = 1.0;   // collective's slowdown beside a kernel that takes the whole memory bandwidth
  double collective_by_compute = 0.5;  // beside one that keeps the multipliers busy
  double collective_by_indexing = 0.0; // beside an elementwise kernel that is not vectorised
};

// Fitted constants of one accelerator; measured times minus launch_gap are those of kernels alone.
struct Calibration {
  Confidence confidence = Confidence::kCoarse;
  std::string source;
  Seconds launch_gap;               // between two kernels of one stream that are both enqueued
  Seconds traced_gap;               // beyond it, where a tracer serializes kernels (training.traced_kernels)
  GemmCalibration gemm;
  std::array<std::array<AttentionCalibration, 2>, kCalibratedAttentionKernels> attention;  // by kernel; forward, backward
  MemoryCalibration memory;
  PowerCalibration power;
  ContentionCalibration contention;
};

// Host (CPU) time of framework calls beside this accelerator, eager PyTorch (kernel/host_model.h).
struct HostCalibration {
  Confidence confidence = Confidence::kCoarse;
  std::string source;
  std::array<Seconds, kHostCalls> cost;  // by HostCall
  Seconds launch_latency;           // from the end of the call until an idle device starts
};

struct AcceleratorSpec {
  std::string name;
  Bytes memory;                       // what the framework can use, as the device reports it
  Bytes context;                      // of that, what a process takes beside the framework's allocator: its context and code
  BytesPerSecond memory_bandwidth;    // datasheet
  Bytes l2_cache;
  int64_t compute_units = 0;          // SMs, CUs, NeuronCores
  Hertz clock;                        // at which the peaks hold
  Watts power;                        // TDP
  FlopsPerSecond peak_fp32, peak_tf32, peak_fp16, peak_bf16, peak_fp8, peak_int8;  // dense; 0: not supported
  Calibration calibration;
  HostCalibration host;
  std::vector<std::string> sources;

  // Dense peak of the multipliers for operands of this type; 0 if unsupported.
  [[nodiscard]] FlopsPerSecond Peak(DType type) const;
};

}  // namespace simulate
