#include "sim/config/read_accelerator.h"

namespace simulate {

// Placeholder: datasheet only. The kernel room's owner replaces this file.
bool ReadAccelerator(ValueReader& value, AcceleratorSpec* out) {
  return value.ReadMap([&](MapReader& r) {
    r.Required("name", &out->name);
    r.Required("memory", &out->memory);
    r.Required("memory_bandwidth", &out->memory_bandwidth);
    r.Optional("l2_cache", &out->l2_cache);
    r.Optional("compute_units", &out->compute_units);
    r.Optional("clock", &out->clock);
    r.Optional("power", &out->power);
    r.Map("peak", [&](MapReader& p) {
      p.Optional("fp32", &out->peak_fp32);
      p.Optional("tf32", &out->peak_tf32);
      p.Optional("fp16", &out->peak_fp16);
      p.Optional("bf16", &out->peak_bf16);
      p.Optional("fp8", &out->peak_fp8);
      p.Optional("int8", &out->peak_int8);
    });
  });
}

}  // namespace simulate
