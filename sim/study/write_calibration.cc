#include "sim/study/write_calibration.h"

#include <array>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "sim/spec/kernel_names.h"

namespace simulate {
namespace {

std::string Number(double v) { return absl::StrFormat("%.4g", v); }
std::string Us(Seconds s) { return absl::StrCat(Number(s.value() * 1e6), " us"); }

std::string GemmText(const GemmCalibration& c) {
  return absl::StrCat("  gemm:\n    efficiency: ", Number(c.efficiency), "\n    efficiency_fp8: ", Number(c.efficiency_fp8),
                      "\n    efficiency_tf32: ", Number(c.efficiency_tf32), "\n    efficiency_fp32: ", Number(c.efficiency_fp32),
                      "\n    tile_traffic: ", Number(c.tile_traffic), "\n    tile_drain: ", Us(c.tile_drain),
                      "\n    split_reduction: ", Us(c.split_reduction), "\n    unaligned: ", Number(c.unaligned),
                      "\n    half_aligned: ", Number(c.half_aligned), "\n");
}

std::string AttentionText(const Calibration& c) {
  std::string out = "  attention:\n";
  for (int kernel = 0; kernel < kCalibratedAttentionKernels; ++kernel) {
    absl::StrAppend(&out, "    ", kAttentionNames[kernel], ":\n");
    for (int direction = 0; direction < 2; ++direction) {
      const AttentionCalibration& a = c.attention[kernel][direction];
      absl::StrAppend(&out, "      ", direction == 0 ? "forward" : "backward", ": {efficiency: ", Number(a.efficiency),
                      ", softmax_cycles: ", Number(a.softmax_cycles), ", block: ", Us(a.block),
                      a.rows > 0 ? absl::StrCat(", rows: ", a.rows) : "",
                      ", tensor_passes: ", Number(a.tensor_passes), ", launch: ", Us(a.launch), "}\n");
    }
  }
  return out;
}

std::string MemoryText(const MemoryCalibration& c) {
  std::string out = absl::StrCat("  memory:\n    ramp: ", Us(c.ramp), "\n    cache_speedup: ", Number(c.cache_speedup), "\n    kernels:\n");
  for (const auto& [name, access] : kAccessNames) {
    const AccessCalibration& a = c.access[static_cast<int>(access)];
    absl::StrAppend(&out, "      ", name, ": {bandwidth: ", Number(a.bandwidth));
    if (a.cycles_per_element > 0) absl::StrAppend(&out, ", cycles_per_element: ", Number(a.cycles_per_element));
    if (a.cycles_per_row > 0) absl::StrAppend(&out, ", cycles_per_row: ", Number(a.cycles_per_row));
    if (a.fixed.value() > 0) absl::StrAppend(&out, ", fixed: ", Us(a.fixed));
    absl::StrAppend(&out, "}\n");
  }
  return out;
}

std::string PowerText(const PowerCalibration& p) {
  std::vector<std::string> draws;
  for (int kernel = 0; kernel < kCalibratedAttentionKernels; ++kernel)
    draws.push_back(absl::StrCat(kAttentionNames[kernel], ": ", Number(p.attention_draw[kernel])));
  for (const auto& [name, access] : kAccessNames) {
    const double draw = p.memory_draw[static_cast<int>(access)];
    if (draw > 0) draws.push_back(absl::StrCat(name, ": ", Number(draw)));
  }
  return absl::StrCat("  power: {droop: ", Number(p.droop), ", reaction: ", Us(p.reaction), ", shared: ", Number(p.shared), ", spread: ",
                      Number(p.spread), ", slope: ", Number(p.slope), ", free: ", Number(p.free), ", rest: ", Us(p.rest),
                      ", attention_slope: ", Number(p.attention_slope), ", attention_free: ", Number(p.attention_free),
                      ",\n          draws: {", absl::StrJoin(draws, ", "), "}}\n");
}

std::string HostText(const HostCalibration& h) {
  std::string out = absl::StrCat("host:\n  confidence: ", Name(h.confidence), "\n  source: \"", h.source,
                                 "\"\n  launch_latency: ", Us(h.launch_latency), "\n  calls:\n");
  for (const auto& [name, call] : kHostCallNames) {
    if (call != HostCall::kNone) absl::StrAppend(&out, "    ", name, ": ", Us(h.cost[static_cast<int>(call)]), "\n");
  }
  return out;
}

}  // namespace

std::string WithCalibration(const std::string& old_text, const AcceleratorSpec& a) {
  const Calibration& c = a.calibration;
  const size_t begin = old_text.find("\ncalibration:");
  const size_t sources = old_text.find("\nsources:");
  std::string out = old_text.substr(0, begin == std::string::npos ? sources : begin);
  absl::StrAppend(&out, "\ncalibration:\n  confidence: ", Name(c.confidence), "\n  source: \"", c.source, "\"\n  launch_gap: ", Us(c.launch_gap), "\n",
                  c.traced_gap.value() > 0 ? absl::StrCat("  traced_gap: ", Us(c.traced_gap), "\n") : "", GemmText(c.gemm), AttentionText(c), MemoryText(c.memory), PowerText(c.power),
                  "  contention: {lost_waves: ", Number(c.contention.lost_waves),
                  ", collective_by_memory: ", Number(c.contention.collective_by_memory),
                  ", collective_by_compute: ", Number(c.contention.collective_by_compute),
                  ", collective_by_indexing: ", Number(c.contention.collective_by_indexing), "}\n", HostText(a.host));
  if (sources != std::string::npos) absl::StrAppend(&out, old_text.substr(sources + 1));
  return out;
}

}  // namespace simulate
