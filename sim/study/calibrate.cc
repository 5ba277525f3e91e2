#include "sim/study/calibrate.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/spec/kernel_names.h"
#include "sim/kernel/contention.h"
#include "sim/kernel/kernel_model.h"
#include "sim/study/minimise.h"

namespace simulate {
namespace {

using Rows = std::vector<const Measurement*>;

// A constant that a fit may change. Its sign is dropped: none of them may be negative.
struct Knob {
  double start;
  std::function<void(CalibrationFit&, double)> set;
};

Rows Select(const MeasurementSet& set, const std::function<bool(const Measurement&)>& wanted) {
  Rows out;
  for (const Measurement& m : set.rows) {
    if (wanted(m)) out.push_back(&m);
  }
  return out;
}

void Apply(const std::vector<Knob>& knobs, const std::vector<double>& values, CalibrationFit& fit) {
  for (size_t i = 0; i < knobs.size(); ++i) knobs[i].set(fit, std::abs(values[i]));
}

double LogError(const Rows& rows, const CalibrationFit& fit) {
  double sum = 0;
  for (const Measurement* m : rows) {
    const double measured = std::max(MeasuredTime(*m, fit.overheads).value(), 1e-7);
    sum += std::abs(std::log(PredictedTime(*m, fit.accelerator).value() / measured));
  }
  return sum / static_cast<double>(rows.size());
}

// Shares of the bandwidth above the datasheet's make no sense; the search is kept off them.
double Penalty(const CalibrationFit& fit) {
  double sum = 0;
  for (const AccessCalibration& a : fit.accelerator.calibration.memory.access) sum += std::max(0.0, a.bandwidth - 0.95);
  // The boosted clock is at most a tenth above the one that the datasheet's peak holds for.
  sum += std::max(0.0, fit.accelerator.calibration.gemm.efficiency - 1.1);
  return 10 * sum;
}

void FitKnobs(const Rows& rows, const std::vector<Knob>& knobs, CalibrationFit& fit, int evaluations = 400) {
  if (rows.empty()) return;
  std::vector<double> start;
  for (const Knob& knob : knobs) start.push_back(knob.start);
  const Objective objective = [&](const std::vector<double>& values) {
    Apply(knobs, values, fit);
    return LogError(rows, fit) + Penalty(fit);
  };
  Apply(knobs, Minimise(objective, start, evaluations), fit);
}

Seconds OverheadOf(const Measurement& row, const Overheads& overheads) {
  const auto found = overheads.by_key.find(OverheadKey(row));
  return found == overheads.by_key.end() ? overheads.general : found->second;
}

Overheads StopwatchOf(const MeasurementSet& set) {
  std::vector<double> excess;
  for (const Measurement& m : set.rows) {
    if (m.stream.value() > 0 && m.isolated.value() > 0 && m.stream < Microseconds(50)) excess.push_back((m.isolated - m.stream).value());
  }
  if (excess.empty()) return {Microseconds(4), {}};
  std::nth_element(excess.begin(), excess.begin() + static_cast<int64_t>(excess.size() / 2), excess.end());
  return {Seconds(std::max(0.0, excess[excess.size() / 2])), {}};
}

std::set<std::string> IsolatedKeys(const Rows& rows) {
  std::set<std::string> keys;
  for (const Measurement* m : rows) {
    if (m->stream.value() == 0) keys.insert(OverheadKey(*m));
  }
  return keys;
}

Knob OverheadKnob(const std::string& key) {
  return {5, [key](CalibrationFit& f, double v) { f.overheads.by_key[key] = Microseconds(v); }};
}

// ---- memory-bound kernels

// The row's last kernel is of this kind, and those before it are plain (fitted first).
bool LastKernelIs(const Measurement& m, MemoryAccess access) {
  return m.kind == "memory" && m.works.back().access == access &&
         std::all_of(m.works.begin(), m.works.end() - 1, [](const KernelWork& w) { return w.access == MemoryAccess::kElementwise; });
}

bool WorksByRow(MemoryAccess a) {
  return a == MemoryAccess::kRowReduction || a == MemoryAccess::kRowReductionBackward || a == MemoryAccess::kColumnReduction ||
         a == MemoryAccess::kLayerNorm || a == MemoryAccess::kSoftmax || a == MemoryAccess::kNormWeightGradient || a == MemoryAccess::kApexNorm ||
         a == MemoryAccess::kApexNormWeightGradient;
}

bool WorksByElement(MemoryAccess a) {
  switch (a) {
    case MemoryAccess::kElementwise:
    case MemoryAccess::kGather:
    case MemoryAccess::kLoss:
    case MemoryAccess::kMultiTensor:
    case MemoryAccess::kColumnReduction:
    case MemoryAccess::kLayerNorm:
    case MemoryAccess::kRowReductionBackward:
    case MemoryAccess::kNormWeightGradient: return false;
    default: return true;
  }
}

void FitMemory(const MeasurementSet& set, CalibrationFit& fit) {
  const Calibration start = fit.accelerator.calibration;
  FitKnobs(Select(set, [](const Measurement& m) { return LastKernelIs(m, MemoryAccess::kElementwise) && m.works.size() == 1 && m.stream.value() > 0; }),
           {{start.memory.access[0].bandwidth, [](CalibrationFit& f, double v) { f.accelerator.calibration.memory.access[0].bandwidth = v; }},
            {start.memory.ramp.value() * 1e6, [](CalibrationFit& f, double v) { f.accelerator.calibration.memory.ramp = Microseconds(v); }},
            {start.memory.cache_speedup, [](CalibrationFit& f, double v) { f.accelerator.calibration.memory.cache_speedup = std::max(1.0, v); }}},
           fit);
  for (int i = 1; i < kMemoryAccesses; ++i) {
    const auto access = static_cast<MemoryAccess>(i);
    const auto at = [i](CalibrationFit& f) -> AccessCalibration& { return f.accelerator.calibration.memory.access[i]; };
    const AccessCalibration& s = start.memory.access[i];
    std::vector<Knob> knobs = {{s.bandwidth, [at](CalibrationFit& f, double v) { at(f).bandwidth = v; }}};
    if (WorksByElement(access)) knobs.push_back({s.cycles_per_element, [at](CalibrationFit& f, double v) { at(f).cycles_per_element = v; }});
    if (WorksByRow(access)) knobs.push_back({s.cycles_per_row / 100, [at](CalibrationFit& f, double v) { at(f).cycles_per_row = 100 * v; }});
    if (s.fixed.value() > 0) knobs.push_back({s.fixed.value() * 1e6, [at](CalibrationFit& f, double v) { at(f).fixed = Microseconds(v); }});
    FitKnobs(Select(set, [access](const Measurement& m) { return LastKernelIs(m, access) && (m.works.size() == 1 || m.series == "run"); }), knobs, fit);
  }
}

// ---- products

enum class Alignment : uint8_t { kAligned, kHalf, kOdd };

Alignment AlignmentOf(const GemmShape& s) {
  const int64_t bits = s.m | s.n | s.k;
  return bits % 8 == 0 ? Alignment::kAligned : bits % 2 == 0 ? Alignment::kHalf : Alignment::kOdd;
}

bool IsGemm(const Measurement& m, DType type, Alignment alignment) {
  return m.kind == "gemm" && m.works.front().dtype == type && AlignmentOf(m.works.front().gemm) == alignment;
}

void FitGemm(const MeasurementSet& set, CalibrationFit& fit) {
  const GemmCalibration start = fit.accelerator.calibration.gemm;
  const PowerCalibration power = fit.accelerator.calibration.power;
  const auto gemm = [](CalibrationFit& f) -> GemmCalibration& { return f.accelerator.calibration.gemm; };
  const Rows rows = Select(set, [](const Measurement& m) { return IsGemm(m, DType::kBf16, Alignment::kAligned); });
  std::vector<Knob> knobs = {
      {start.efficiency, [=](CalibrationFit& f, double v) { gemm(f).efficiency = v; }},
      {start.tile_traffic, [=](CalibrationFit& f, double v) { gemm(f).tile_traffic = v; }},
      {start.tile_drain.value() * 1e6, [=](CalibrationFit& f, double v) { gemm(f).tile_drain = Microseconds(v); }},
      {start.split_reduction.value() * 1e6, [=](CalibrationFit& f, double v) { gemm(f).split_reduction = Microseconds(v); }},
      {power.droop, [](CalibrationFit& f, double v) { f.accelerator.calibration.power.droop = v; }},
      {power.reaction.value() * 1e4, [](CalibrationFit& f, double v) { f.accelerator.calibration.power.reaction = Seconds(1e-4 * v); }}};
  for (const std::string& key : IsolatedKeys(rows)) knobs.push_back(OverheadKnob(key));
  FitKnobs(rows, knobs, fit, 700);
  // Whoever timed products timed the rest with the same stopwatch.
  if (!fit.overheads.by_key.empty()) fit.overheads.general = fit.overheads.by_key.begin()->second;
  const auto one = [&](const Rows& selected, double from, std::function<void(CalibrationFit&, double)> setter) {
    FitKnobs(selected, {{from, std::move(setter)}}, fit, 60);
  };
  const auto aligned = [&](DType type) { return Select(set, [type](const Measurement& m) { return IsGemm(m, type, Alignment::kAligned); }); };
  const auto crooked = [&](Alignment a) { return Select(set, [a](const Measurement& m) { return IsGemm(m, DType::kBf16, a); }); };
  one(aligned(DType::kFp8), start.efficiency_fp8, [=](CalibrationFit& f, double v) { gemm(f).efficiency_fp8 = v; });
  one(aligned(DType::kTf32), start.efficiency_tf32, [=](CalibrationFit& f, double v) { gemm(f).efficiency_tf32 = v; });
  one(aligned(DType::kFp32), start.efficiency_fp32, [=](CalibrationFit& f, double v) { gemm(f).efficiency_fp32 = v; });
  one(crooked(Alignment::kOdd), start.unaligned, [=](CalibrationFit& f, double v) { gemm(f).unaligned = v; });
  one(crooked(Alignment::kHalf), start.half_aligned, [=](CalibrationFit& f, double v) { gemm(f).half_aligned = v; });
}

// ---- attention, contention, host

void FitAttention(const MeasurementSet& set, CalibrationFit& fit) {
  for (int kernel = 0; kernel < kCalibratedAttentionKernels; ++kernel) {
    for (int direction = 0; direction < 2; ++direction) {
      const auto at = [=](CalibrationFit& f) -> AttentionCalibration& { return f.accelerator.calibration.attention[kernel][direction]; };
      const AttentionCalibration s = at(fit);
      const Rows rows = Select(set, [=](const Measurement& m) {
        return m.kind == "attention" && static_cast<int>(m.works.front().attention.kernel) == kernel &&
               m.works.front().attention.backward == (direction == 1);
      });
      std::vector<Knob> knobs =
               {{s.efficiency, [at](CalibrationFit& f, double v) { at(f).efficiency = v; }},
                {s.softmax_cycles * 10, [at](CalibrationFit& f, double v) { at(f).softmax_cycles = v / 10; }},
                {s.block.value() * 1e6, [at](CalibrationFit& f, double v) { at(f).block = Microseconds(v); }},
                {s.tensor_passes, [at](CalibrationFit& f, double v) { at(f).tensor_passes = v; }}};
      for (const std::string& key : IsolatedKeys(rows)) {
        if (direction == 1) knobs.push_back(OverheadKnob(key));
      }
      FitKnobs(rows, knobs, fit, 800);
    }
  }
}

double ContentionError(const Measurement& m, const CalibrationFit& fit) {
  const Slowdown s = SideBySide(m.works.front(), {m.cores, m.traffic}, fit.accelerator);
  return std::abs(std::log(s.kernel / m.kernel_slowdown)) + std::abs(std::log(s.collective / m.collective_slowdown));
}

void FitContention(const MeasurementSet& set, CalibrationFit& fit) {
  const Rows rows = Select(set, [](const Measurement& m) { return m.kind == "contention"; });
  if (rows.empty()) return;
  const auto apply = [&](const std::vector<double>& v) {
    ContentionCalibration& c = fit.accelerator.calibration.contention;
    c.lost_waves = std::abs(v[0]);
    c.collective_by_memory = std::abs(v[1]);
    c.collective_by_compute = std::abs(v[2]);
  };
  const ContentionCalibration s = fit.accelerator.calibration.contention;
  apply(Minimise([&](const std::vector<double>& v) {
    apply(v);
    double sum = 0;
    for (const Measurement* m : rows) sum += ContentionError(*m, fit);
    return sum;
  }, {s.lost_waves, s.collective_by_memory, s.collective_by_compute}, 250));
}

// Rows named `call.operator` and so on give a call's cost as it is. Otherwise from the calls that measure.py times; sharding
// units, hooks and collectives need a training step and stay.
void FitHost(const MeasurementSet& set, CalibrationFit& fit) {
  std::map<std::string, double> seconds;
  for (const Measurement& m : set.rows) {
    if (m.kind == "host") seconds[m.name] = m.host.value();
  }
  HostCalibration& host = fit.accelerator.host;
  const auto at = [&](const std::string& name) { return seconds.count(name) > 0 ? seconds.at(name) : 0.0; };
  const auto derive = [&](HostCall call, double value) {
    if (value > 0) host.cost[static_cast<int>(call)] = Seconds(value);
  };
  const double call = (at("linear_autograd") + at("layer_norm_autograd") + at("add_autograd")) / 3;
  derive(HostCall::kOperator, call);
  derive(HostCall::kAutogradNode, at("backward_linear") - 2 * call);
  derive(HostCall::kInner, at("backward_layer_norm") - at("backward_gelu"));
  derive(HostCall::kCast, at("cast_autograd"));
  derive(HostCall::kView, at("view"));
  derive(HostCall::kAutogradView, at("backward_two_views") / 2);
  derive(HostCall::kOptimizerStep, (at("adamw_fused_300") - at("adamw_fused_100")) / 200);
  derive(HostCall::kZeroGrad, (at("zero_grad_300") - at("zero_grad_100")) / 200);
  for (const auto& [name, value] : kHostCallNames) derive(value, at(absl::StrCat("call.", name)));
}

// ---- errors

std::string ClassOf(const Measurement& m) {
  if (m.kind == "gemm") {
    const KernelWork& w = m.works.front();
    const Alignment alignment = AlignmentOf(w.gemm);
    if (alignment != Alignment::kAligned) return "products, unaligned";
    const bool half = w.dtype == DType::kBf16 || w.dtype == DType::kFp16;
    const char* batched = w.gemm.batch > 1 ? ", batched" : "";
    return absl::StrCat("products, ", half ? "16 bit" : Name(w.dtype), batched);
  }
  if (m.kind == "attention") {
    const AttentionShape& s = m.works.front().attention;
    return absl::StrCat("attention, ", kAttentionNames[static_cast<int>(s.kernel)], s.backward ? " backward" : " forward");
  }
  if (m.works.size() > 1) return "several memory-bound kernels";
  return absl::StrCat("memory-bound, ", kAccessNames[static_cast<int>(m.works.front().access)].first);
}

void Count(FitError& e, double relative, const std::string& row) {
  ++e.rows;
  e.mean += std::abs(relative);
  e.bias += relative;
  if (std::abs(relative) > std::abs(e.worst)) e.worst = relative, e.worst_row = row;
}

}  // namespace

Seconds PredictedTime(const Measurement& row, const AcceleratorSpec& accelerator) {
  Seconds sum;
  for (const KernelWork& work : row.works) sum += KernelTime(work, accelerator);
  return sum;
}

std::string OverheadKey(const Measurement& row) {
  const bool backward = row.kind == "attention" && row.works.front().attention.backward;
  return backward ? absl::StrCat(row.series, " attention ", static_cast<int>(row.works.front().attention.kernel)) : row.series;
}

Seconds MeasuredTime(const Measurement& row, const Overheads& overheads) {
  if (row.stream.value() > 0) return row.stream;
  return row.isolated - OverheadOf(row, overheads);
}

CalibrationFit FitCalibration(const MeasurementSet& set, const AcceleratorSpec& start) {
  CalibrationFit fit{start, StopwatchOf(set)};
  fit.accelerator.calibration.confidence = Confidence::kCalibrated;
  FitMemory(set, fit);
  FitGemm(set, fit);
  FitAttention(set, fit);
  FitContention(set, fit);
  FitHost(set, fit);
  return fit;
}

Overheads EstimateOverheads(const MeasurementSet& set, const AcceleratorSpec& accelerator) {
  CalibrationFit fit{accelerator, StopwatchOf(set)};
  const Rows rows = Select(set, [](const Measurement& m) { return IsGemm(m, DType::kBf16, Alignment::kAligned) && m.stream.value() == 0; });
  for (const std::string& key : IsolatedKeys(rows)) FitKnobs(rows, {OverheadKnob(key)}, fit, 60);
  if (!fit.overheads.by_key.empty()) fit.overheads.general = fit.overheads.by_key.begin()->second;
  const Rows attention = Select(set, [](const Measurement& m) { return m.kind == "attention" && m.works.front().attention.backward; });
  for (const std::string& key : IsolatedKeys(attention)) {
    const Rows mine = Select(set, [&](const Measurement& m) { return m.kind == "attention" && m.stream.value() == 0 && OverheadKey(m) == key; });
    FitKnobs(mine, {OverheadKnob(key)}, fit, 80);
  }
  return fit.overheads;
}

std::vector<FitError> FitErrors(const MeasurementSet& set, const CalibrationFit& fit) {
  std::map<std::pair<std::string, std::string>, FitError> errors;
  for (const Measurement& m : set.rows) {
    if (m.kind == "host") continue;
    if (m.kind == "contention") {
      const Slowdown s = SideBySide(m.works.front(), {m.cores, m.traffic}, fit.accelerator);
      Count(errors[{"beside a collective, kernel", m.series}], s.kernel / m.kernel_slowdown - 1, m.name);
      Count(errors[{"beside a collective, collective", m.series}], s.collective / m.collective_slowdown - 1, m.name);
      continue;
    }
    const Seconds overhead = m.stream.value() > 0 ? Seconds(0) : OverheadOf(m, fit.overheads);
    const Seconds measured = m.stream.value() > 0 ? m.stream : m.isolated;
    const double relative = (PredictedTime(m, fit.accelerator) + overhead) / measured - 1;
    Count(errors[{ClassOf(m), m.series}], relative, m.name);
    if (m.kind == "gemm" && m.works.front().gemm.batch == 1 && ClassOf(m) == "products, 16 bit" && m.works.front().flops.value() > 1e12) {
      Count(errors[{"products, 16 bit, above 1e12 FLOPs", m.series}], relative, m.name);
    }
    // Below 25 us of traffic a backward's time is the host's, not the kernel's.
    if (m.kind == "memory" && measured > Microseconds(50) && PredictedTime(m, fit.accelerator) > Microseconds(25)) Count(errors[{"memory-bound, all above 50 us", m.series}], relative, m.name);
  }
  std::vector<FitError> out;
  for (auto& [key, e] : errors) {
    e.kind = key.first;
    e.series = key.second;
    e.mean /= e.rows;
    e.bias /= e.rows;
    out.push_back(std::move(e));
  }
  return out;
}

}  // namespace simulate
