#include "sim/study/tweak.h"

#include <algorithm>
#include <cmath>

#include "sim/study/parallel_for.h"
#include "sim/study/predict.h"

namespace simulate {
namespace {

double Value(double x) { return x; }
template <typename Tag>
double Value(Quantity<Tag> x) {
  return x.value();
}

// `field` gives a reference to the quantity within a scenario.
template <typename Field>
Tweak Of(const char* name, const char* unit, Field field) {
  return {name, unit, [field](const Scenario& s) { return Value(field(const_cast<Scenario&>(s))); },
          [field](Scenario& s, double factor) { field(s) *= factor; }};
}

void ScaleHost(HostCalibration& host, double factor) {
  for (Seconds& cost : host.cost) cost *= factor;
}

}  // namespace

const std::vector<Tweak>& Tweaks() {
  static const std::vector<Tweak> tweaks = {
      Of("accelerator.memory_bandwidth", "B/s", [](Scenario& s) -> auto& { return s.hardware.accelerator.memory_bandwidth; }),
      Of("accelerator.clock", "Hz", [](Scenario& s) -> auto& { return s.hardware.accelerator.clock; }),
      Of("accelerator.peak_bf16", "FLOPS", [](Scenario& s) -> auto& { return s.hardware.accelerator.peak_bf16; }),
      Of("accelerator.peak_fp16", "FLOPS", [](Scenario& s) -> auto& { return s.hardware.accelerator.peak_fp16; }),
      Of("accelerator.peak_fp8", "FLOPS", [](Scenario& s) -> auto& { return s.hardware.accelerator.peak_fp8; }),
      Of("accelerator.peak_fp32", "FLOPS", [](Scenario& s) -> auto& { return s.hardware.accelerator.peak_fp32; }),
      Of("calibration.launch_gap", "s", [](Scenario& s) -> auto& { return s.hardware.accelerator.calibration.launch_gap; }),
      Of("calibration.gemm.efficiency", "", [](Scenario& s) -> auto& { return s.hardware.accelerator.calibration.gemm.efficiency; }),
      Of("calibration.gemm.tile_traffic", "", [](Scenario& s) -> auto& { return s.hardware.accelerator.calibration.gemm.tile_traffic; }),
      Of("calibration.attention.flash.forward", "",
         [](Scenario& s) -> auto& { return s.hardware.accelerator.calibration.attention[0][0].efficiency; }),
      Of("calibration.attention.flash.backward", "",
         [](Scenario& s) -> auto& { return s.hardware.accelerator.calibration.attention[0][1].efficiency; }),
      Of("calibration.memory.ramp", "s", [](Scenario& s) -> auto& { return s.hardware.accelerator.calibration.memory.ramp; }),
      Of("calibration.power.droop", "", [](Scenario& s) -> auto& { return s.hardware.accelerator.calibration.power.droop; }),
      Of("calibration.contention.lost_waves", "",
         [](Scenario& s) -> auto& { return s.hardware.accelerator.calibration.contention.lost_waves; }),
      Of("node.scale_up.bandwidth", "B/s", [](Scenario& s) -> auto& { return s.hardware.node.scale_up.bandwidth; }),
      Of("node.scale_up.latency", "s", [](Scenario& s) -> auto& { return s.hardware.node.scale_up.latency; }),
      Of("node.nic.bandwidth", "B/s", [](Scenario& s) -> auto& { return s.hardware.node.nic.bandwidth; }),
      Of("node.nic.latency", "s", [](Scenario& s) -> auto& { return s.hardware.node.nic.latency; }),
      Of("node.pcie.bandwidth", "B/s", [](Scenario& s) -> auto& { return s.hardware.node.pcie.bandwidth; }),
      Of("fabric.link.bandwidth", "B/s", [](Scenario& s) -> auto& { return s.hardware.fabric.link.bandwidth; }),
      Of("fabric.link.latency", "s", [](Scenario& s) -> auto& { return s.hardware.fabric.link.latency; }),
      {"host.calls", "s", [](const Scenario&) { return 1.0; },
       [](Scenario& s, double factor) { ScaleHost(s.hardware.accelerator.host, factor); }},
  };
  return tweaks;
}

double Sensitivity::swing() const { return std::max(std::fabs(less), std::fabs(more)); }

std::vector<Sensitivity> Sensitivities(const Scenario& point, double change, int threads,
                                       const std::function<void(size_t, size_t)>& progress) {
  std::vector<const Tweak*> stated;
  for (const Tweak& tweak : Tweaks()) {
    if (tweak.read(point) != 0.0) stated.push_back(&tweak);
  }
  std::vector<double> seconds(2 * stated.size() + 1);
  ParallelFor(
      seconds.size(), threads,
      [&](size_t i) {
        Scenario changed = point;
        if (i > 0) stated[(i - 1) / 2]->scale(changed, i % 2 == 1 ? 1.0 - change : 1.0 + change);
        seconds[i] = Predict(changed).step_time.value();
      },
      progress);
  std::vector<Sensitivity> found;
  for (size_t t = 0; t < stated.size(); ++t) {
    const Sensitivity s{stated[t]->name, seconds[2 * t + 1] / seconds[0] - 1.0, seconds[2 * t + 2] / seconds[0] - 1.0};
    if (s.swing() > 1e-5) found.push_back(s);
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.swing() > b.swing(); });
  return found;
}

}  // namespace simulate
