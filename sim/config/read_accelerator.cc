#include "sim/config/read_accelerator.h"

#include "sim/spec/kernel_names.h"

#include <array>
#include <initializer_list>
#include <optional>
#include <utility>

namespace simulate {
namespace {

constexpr std::initializer_list<std::pair<const char*, Confidence>> kConfidences = {
    {"measured", Confidence::kMeasured}, {"calibrated", Confidence::kCalibrated}, {"coarse", Confidence::kCoarse}};

void ReadGemm(MapReader& r, GemmCalibration* c) {
  r.Optional("efficiency", &c->efficiency);
  r.Optional("efficiency_fp8", &c->efficiency_fp8);
  r.Optional("efficiency_tf32", &c->efficiency_tf32);
  r.Optional("efficiency_fp32", &c->efficiency_fp32);
  r.Optional("tile_traffic", &c->tile_traffic);
  r.Optional("tile_drain", &c->tile_drain);
  r.Optional("split_reduction", &c->split_reduction);
  r.Optional("unaligned", &c->unaligned);
  r.Optional("half_aligned", &c->half_aligned);
}

void ReadAttention(MapReader& r, std::array<AttentionCalibration, 2>* directions) {
  constexpr std::array<const char*, 2> kDirections = {"forward", "backward"};
  for (int i = 0; i < 2; ++i) {
    r.Map(kDirections[i], [&](MapReader& m) {
      AttentionCalibration& c = (*directions)[i];
      m.Optional("efficiency", &c.efficiency);
      m.Optional("softmax_cycles", &c.softmax_cycles);
      m.Optional("block", &c.block);
      m.Optional("tensor_passes", &c.tensor_passes);
      m.Optional("launch", &c.launch);
    });
  }
}

void ReadMemory(MapReader& r, MemoryCalibration* c) {
  r.Optional("ramp", &c->ramp);
  r.Optional("cache_speedup", &c->cache_speedup);
  r.Map("kernels", [&](MapReader& kernels) {
    for (const auto& [name, access] : kAccessNames) {
      kernels.Map(name, [&, a = access](MapReader& m) {
        AccessCalibration& kernel = c->access[static_cast<int>(a)];
        m.Optional("bandwidth", &kernel.bandwidth);
        m.Optional("cycles_per_element", &kernel.cycles_per_element);
        m.Optional("cycles_per_row", &kernel.cycles_per_row);
        m.Optional("fixed", &kernel.fixed);
      });
    }
  });
}

void ReadCalibration(MapReader& r, Calibration* c) {
  r.Enum("confidence", kConfidences, &c->confidence);
  r.Optional("source", &c->source);
  r.Optional("launch_gap", &c->launch_gap);
  r.Optional("traced_gap", &c->traced_gap);
  r.Map("gemm", [&](MapReader& m) { ReadGemm(m, &c->gemm); });
  r.Map("attention", [&](MapReader& m) {
    for (int i = 0; i < kCalibratedAttentionKernels; ++i) {
      m.Map(kAttentionNames[i], [&](MapReader& k) { ReadAttention(k, &c->attention[i]); });
    }
  });
  r.Map("memory", [&](MapReader& m) { ReadMemory(m, &c->memory); });
  r.Map("power", [&](MapReader& m) {
    m.Optional("droop", &c->power.droop);
    m.Optional("reaction", &c->power.reaction);
    m.Optional("spread", &c->power.spread);
    m.Optional("shared", &c->power.shared);
  });
  r.Map("contention", [&](MapReader& m) {
    m.Optional("lost_waves", &c->contention.lost_waves);
    m.Optional("collective_by_memory", &c->contention.collective_by_memory);
    m.Optional("collective_by_compute", &c->contention.collective_by_compute);
    m.Optional("collective_by_indexing", &c->contention.collective_by_indexing);
  });
}

void ReadHost(MapReader& r, HostCalibration* c) {
  r.Enum("confidence", kConfidences, &c->confidence);
  r.Optional("source", &c->source);
  r.Optional("launch_latency", &c->launch_latency);
  r.Map("calls", [&](MapReader& m) {
    for (const auto& [name, call] : kHostCallNames) m.Optional(name, &c->cost[static_cast<int>(call)]);
  });
}

}  // namespace

bool ReadAccelerator(ValueReader& value, AcceleratorSpec* out) {
  return value.ReadMap([&](MapReader& r) {
    r.Required("name", &out->name);
    r.Required("memory", &out->memory);
    r.Optional("context", &out->context);
    r.Required("memory_bandwidth", &out->memory_bandwidth);
    r.Required("l2_cache", &out->l2_cache);
    r.Integer("compute_units", 1, 1'000'000, &out->compute_units, /*required=*/true);
    r.Required("clock", &out->clock);
    r.Optional("power", &out->power);
    r.Map("peak", [&](MapReader& p) {
      p.Optional("fp32", &out->peak_fp32);
      p.Optional("tf32", &out->peak_tf32);
      p.Optional("fp16", &out->peak_fp16);
      p.Optional("bf16", &out->peak_bf16);
      p.Optional("fp8", &out->peak_fp8);
      p.Optional("int8", &out->peak_int8);
    }, /*required=*/true);
    r.Map("calibration", [&](MapReader& m) { ReadCalibration(m, &out->calibration); });
    r.Map("host", [&](MapReader& m) { ReadHost(m, &out->host); });
    r.List("sources", [&](ValueReader& v) {
      std::string text;
      if (v.Read(&text)) out->sources.push_back(text);
    });
  });
}

}  // namespace simulate
