// The order in which a step calls the modules that own divided parameters: what DeepSpeed's ZeRO-3 records in its first
// step (partitioned_param_coordinator.py, record_module; stage3.py's PrefetchCoordinator before) and prefetches by.
//
// A module here is an operator with parameters (a linear layer, an embedding). Parameters that no operator trains
// (LoRA's frozen base) are a module of their own around the whole use. Absent: modules without divided parameters.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/parallel/environment.h"

namespace simulate {

inline constexpr uint32_t kWholeUse = 0xFFFFFFFF;

struct ModuleCall {
  uint32_t use = 0;
  uint32_t op = kWholeUse;            // of Layer::operators
  std::vector<uint32_t> parameters;   // divided ones
  int64_t elements = 0;
};

// Divided parameters by use and operator; the last entry of a use is its kWholeUse.
class Modules {
 public:
  Modules(const Environment& environment, const std::function<bool(uint32_t parameter)>& divided);
  [[nodiscard]] const ModuleCall& Of(uint32_t use, uint32_t op) const;

 private:
  std::vector<std::vector<ModuleCall>> by_use_;
};

// Calls of one forward and backward of all uses of this rank.
[[nodiscard]] std::vector<ModuleCall> TraceModules(const Environment& environment, const Modules& modules);

}  // namespace simulate
