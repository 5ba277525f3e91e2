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

// Far beyond what any device needs, near enough that no step lasts for ever.
void ReadShare(MapReader& r, const char* key, double* out) { r.Number(key, 0.001, 1000.0, out); }  // of a peak
void ReadCost(MapReader& r, const char* key, double* out) { r.Number(key, 0.0, 1e6, out); }        // cycles, passes, slowdowns

void ReadPeak(MapReader& r, const char* key, FlopsPerSecond* out) {
  r.Value(key, [&](ValueReader& v) {
    if (v.Read(out) && out->value() > 0.0) v.CheckRate(out->value());
  });
}

void ReadGemm(MapReader& r, GemmCalibration* c) {
  ReadShare(r, "efficiency", &c->efficiency);
  ReadShare(r, "efficiency_fp8", &c->efficiency_fp8);
  ReadShare(r, "efficiency_tf32", &c->efficiency_tf32);
  ReadShare(r, "efficiency_fp32", &c->efficiency_fp32);
  ReadCost(r, "tile_traffic", &c->tile_traffic);
  r.Duration("tile_drain", &c->tile_drain);
  r.Duration("split_reduction", &c->split_reduction);
  ReadShare(r, "unaligned", &c->unaligned);
  ReadShare(r, "half_aligned", &c->half_aligned);
}

void ReadAttention(MapReader& r, std::array<AttentionCalibration, 2>* directions) {
  constexpr std::array<const char*, 2> kDirections = {"forward", "backward"};
  for (int i = 0; i < 2; ++i) {
    r.Map(kDirections[i], [&](MapReader& m) {
      AttentionCalibration& c = (*directions)[i];
      ReadShare(m, "efficiency", &c.efficiency);
      ReadCost(m, "softmax_cycles", &c.softmax_cycles);
      m.Duration("block", &c.block);
      m.Integer("rows", 0, int64_t{1} << 20, &c.rows);
      ReadCost(m, "tensor_passes", &c.tensor_passes);
      m.Duration("launch", &c.launch);
    });
  }
}

void ReadMemory(MapReader& r, MemoryCalibration* c) {
  r.Duration("ramp", &c->ramp);
  ReadShare(r, "cache_speedup", &c->cache_speedup);
  r.Map("kernels", [&](MapReader& kernels) {
    for (const auto& [name, access] : kAccessNames) {
      kernels.Map(name, [&, a = access](MapReader& m) {
        AccessCalibration& kernel = c->access[static_cast<int>(a)];
        ReadShare(m, "bandwidth", &kernel.bandwidth);
        ReadCost(m, "cycles_per_element", &kernel.cycles_per_element);
        ReadCost(m, "cycles_per_row", &kernel.cycles_per_row);
        m.Duration("fixed", &kernel.fixed);
      });
    }
  });
}

void ReadCalibration(MapReader& r, Calibration* c) {
  r.Enum("confidence", kConfidences, &c->confidence);
  r.Optional("source", &c->source);
  r.Duration("launch_gap", &c->launch_gap);
  r.Duration("traced_gap", &c->traced_gap);
  r.Map("gemm", [&](MapReader& m) { ReadGemm(m, &c->gemm); });
  r.Map("attention", [&](MapReader& m) {
    for (int i = 0; i < kCalibratedAttentionKernels; ++i) {
      m.Map(kAttentionNames[i], [&](MapReader& k) { ReadAttention(k, &c->attention[i]); });
    }
  });
  r.Map("memory", [&](MapReader& m) { ReadMemory(m, &c->memory); });
  r.Map("power", [&](MapReader& m) {
    ReadCost(m, "droop", &c->power.droop);
    m.Duration("reaction", &c->power.reaction);
    ReadCost(m, "spread", &c->power.spread);
    ReadCost(m, "shared", &c->power.shared);
    ReadCost(m, "slope", &c->power.slope);
    ReadShare(m, "free", &c->power.free);
    ReadCost(m, "attention_slope", &c->power.attention_slope);
    ReadShare(m, "attention_free", &c->power.attention_free);
    m.Map("draws", [&](MapReader& draws) {
      for (int i = 0; i < kCalibratedAttentionKernels; ++i) ReadCost(draws, kAttentionNames[i], &c->power.attention_draw[i]);
      for (const auto& [name, access] : kAccessNames) ReadCost(draws, name, &c->power.memory_draw[static_cast<int>(access)]);
    });
    m.Duration("rest", &c->power.rest);
  });
  r.Map("contention", [&](MapReader& m) {
    ReadCost(m, "lost_waves", &c->contention.lost_waves);
    ReadCost(m, "collective_by_memory", &c->contention.collective_by_memory);
    ReadCost(m, "collective_by_compute", &c->contention.collective_by_compute);
    ReadCost(m, "collective_by_indexing", &c->contention.collective_by_indexing);
  });
}

void ReadHost(MapReader& r, HostCalibration* c) {
  r.Enum("confidence", kConfidences, &c->confidence);
  r.Optional("source", &c->source);
  r.Duration("launch_latency", &c->launch_latency);
  r.Map("calls", [&](MapReader& m) {
    for (const auto& [name, call] : kHostCallNames) m.Duration(name, &c->cost[static_cast<int>(call)]);
  });
}

}  // namespace

bool ReadAccelerator(ValueReader& value, AcceleratorSpec* out) {
  return value.ReadMap([&](MapReader& r) {
    r.Required("name", &out->name);
    r.Required("memory", &out->memory);
    r.Optional("context", &out->context);
    r.Positive("memory_bandwidth", &out->memory_bandwidth, /*required=*/true);
    r.Required("l2_cache", &out->l2_cache);
    r.Integer("compute_units", 1, 1'000'000, &out->compute_units, /*required=*/true);
    r.Positive("clock", &out->clock, /*required=*/true);
    r.Optional("power", &out->power);
    r.Map("peak", [&](MapReader& p) {
      ReadPeak(p, "fp32", &out->peak_fp32);
      ReadPeak(p, "tf32", &out->peak_tf32);
      ReadPeak(p, "fp16", &out->peak_fp16);
      ReadPeak(p, "bf16", &out->peak_bf16);
      ReadPeak(p, "fp8", &out->peak_fp8);
      ReadPeak(p, "int8", &out->peak_int8);
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
