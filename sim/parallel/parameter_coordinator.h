// Gathers and releases ZeRO-3's divided parameters as DeepSpeed's PartitionedParameterCoordinator does, module by module.
//
//   Fetch      a module's missing parameters in one all_gather; several are copied apart when it is over (torch.cat of one
//              piece per rank). Then, by the recorded trace, the parameters of the next modules, until
//              stage3_prefetch_bucket_size (5e7) elements are under way or stage3_max_live_parameters are there: with
//              matrices of more than that, always one ahead.
//   Release    after the module, unless it is called again before max_reuse_distance elements have been passed: the last
//              products of a recomputed block stay for their backward.
//   Asynchronous (DeepSpeed >= 0.5.11, runtime/zero/partitioned_param_coordinator.py): the host runs at most three fetches
//              ahead (__max_ongoing_fetch_events = 2); nothing else waits.
//   Synchronous  (0.3.11 to 0.5.10, runtime/zero/stage3.py, partition_parameters.py): every parameter is gathered by itself
//              into a zeroed buffer after torch.cuda.synchronize(), as a list of one view per rank that Python makes and
//              that torch then copies out of a flat buffer one by one; before a module that was fetched runs, and
//              before what follows it is prefetched, the whole device is synchronized again. So host time that grows
//              with the ranks comes on top of the compute, not beside it.
// Host time of loops over ranks: one HostCall::kView per narrow, one kInner per copy; a loop of one call is warmer than
// a step by 1.3 (the calls' comment in hardware/accelerators/*.yaml). Absent: NVMe, hierarchical partitions (hpZ), quantized gathers.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "sim/parallel/module_trace.h"

namespace simulate {

// Host time of `calls` equal calls in a row.
void HostLoop(StepWriter& writer, HostCall call, int64_t calls);

class ParameterCoordinator {
 public:
  ParameterCoordinator(Environment& environment, std::vector<ModuleCall> trace);

  void BeginPass();                        // of one micro-batch, forward and backward
  void Enter(const ModuleCall& call);
  void Leave(const ModuleCall& call);
  void ReleaseAll();

  [[nodiscard]] int64_t Partition(uint32_t parameter) const;  // elements on each rank that shares it

 private:
  struct State {
    BufferId buffer = kNoBuffer;
    TaskRef ready;
    int gather = -1;                       // in flight: which of gathers_
  };
  // Parameters that travel together.
  struct Gathering {
    std::vector<uint32_t> parameters;
    BufferId flat = kNoBuffer;             // of several
    TaskRef ready;
  };

  [[nodiscard]] const Channel& Copies(uint32_t parameter) const;
  [[nodiscard]] int64_t Elements(uint32_t parameter) const { return env_.parameters.all()[parameter].elements; }
  [[nodiscard]] bool Gathered(uint32_t parameter) const { return states_[parameter].buffer != kNoBuffer || states_[parameter].gather >= 0; }
  [[nodiscard]] Bytes Padded(uint32_t parameter) const;
  [[nodiscard]] bool NeededSoon(uint32_t parameter) const;
  void EnterAsynchronous(const ModuleCall& call);
  void EnterSynchronous(const ModuleCall& call);
  void Prefetch();
  void PrefetchSynchronous();
  void Gather(const std::vector<uint32_t>& parameters);
  void GatherTogether(const std::vector<uint32_t>& parameters);
  void GatherOne(uint32_t parameter);
  TaskRef AllGather(const Channel& channel, Bytes bytes);
  void Land(uint32_t parameter);
  void Release(uint32_t parameter);

  Environment& env_;
  const bool synchronous_;
  std::vector<ModuleCall> trace_;
  bool traced_ = true;                     // what runs is what was recorded
  size_t step_ = 0;                        // calls of trace_ that were entered
  size_t queue_ = 0;                       // calls of trace_ whose parameters were fetched or prefetched
  size_t queue_parameter_ = 0;             // ... and parameters of the next
  int64_t available_ = 0;                  // elements gathered or in flight
  std::vector<State> states_;              // by parameter
  std::vector<Gathering> gathers_;
  std::deque<Event> fetches_;              // landed lately
};

}  // namespace simulate
