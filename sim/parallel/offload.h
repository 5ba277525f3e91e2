// Optimizer state, gradients and parameters in the host's memory.
//
//   DeepSpeed  (Ren et al., ZeRO-Offload, USENIX ATC 2021; zero/stage_1_and_2.py, stage3.py) `offload: optimizer`: each
//              bucket's partition of the gradients goes to pinned memory as fp32 when it has been reduced; when all are
//              there the host runs CPU-Adam, then copies the 16-bit weights back. Stage 3 with `offload: parameters`:
//              the 16-bit partitions live there, too, and are copied in before every gather.
//   FSDP       (CPUOffload, fully_shard's CPUOffloadPolicy) `offload: parameters`: shards, their gradients and torch's
//              optimizer on the host; a shard is copied in, in its storage type, before every cast and gather.
//
// Copies run on a stream of their own beside the kernels; the host thread itself runs the optimizer, so nothing is
// enqueued meanwhile. The step also unscales the
// gradients there. Absent: ZeRO-Infinity's NVMe, delayed parameter update.
#pragma once

#include "sim/parallel/environment.h"
#include "sim/parallel/optimizer.h"

namespace simulate {

[[nodiscard]] inline bool OffloadsOptimizer(const Environment& env) {
  return env.scenario.parallelism.data.offload != Offload::kNone;
}
[[nodiscard]] inline bool OffloadsParameters(const Environment& env) {
  return env.scenario.parallelism.data.offload == Offload::kParameters;
}

// Enqueued while `current` is the stream: the copy waits for what is there, its result for nobody.
TaskRef CopyToHost(Environment& env, StreamId current, const char* name, Bytes bytes);
TaskRef CopyFromHost(Environment& env, StreamId current, const char* name, Bytes bytes);

// Waits for all copies to the host, then steps there. `load` as for the device's optimizer.
void EmitHostOptimizerStep(Environment& env, const OptimizerLoad& load);

// What an optimizer over `elements` with fp32 `masters` of its own (or the shards themselves) and gradients holds there.
void HoldOptimizerOnHost(Environment& env, int64_t elements, DType weights, DType gradients);

}  // namespace simulate
