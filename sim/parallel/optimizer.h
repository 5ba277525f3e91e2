// The optimizer step over this rank's elements, and the bytes of its state.
//
// AdamW as in torch.optim (fused: one pass; foreach: eight passes over temporaries, torch/optim/adam.py
// _multi_tensor_adam; for_loop: nine passes over one tensor after the other). State per element, for two moments: 8 bytes in fp32, 4 in bf16, 2 (plus the scales of
// blocks of 256) for bitsandbytes' 8-bit Adam; 4 for momentum; nothing for plain SGD; Adafactor keeps one row
// and one column per matrix, which is nothing beside the rest.
// Multi-tensor launches cover at most 320 chunks of 65,536 elements each (ATen/native/cuda/MultiTensorApply.cuh).
#pragma once

#include <optional>

#include "sim/parallel/environment.h"

namespace simulate {

[[nodiscard]] Bytes OptimizerStateBytes(const TrainingSpec& training, int64_t elements);
// The state of one parameter as the optimizer allocates it: a tensor per moment.
// (One block for both moments finds other holes: reserved memory of 54 measured runs is then off by 2.1 %
// instead of 1.4 % in the mean.)
void AllocateOptimizerState(StepWriter& writer, const TrainingSpec& training, int64_t elements, StreamId stream);

// What one step reads and writes: the weights that it updates (fp32 masters if there are any), their gradients,
// and the 16-bit copy that it refreshes.
struct OptimizerLoad {
  int64_t elements = 0;
  int64_t tensors = 1;  // the host pays for each
  DType weights = DType::kFp32;
  DType gradients = DType::kFp32;
  std::optional<DType> copy;
};
void EmitOptimizerStep(Environment& environment, const OptimizerLoad& load);

// zero_grad(set_to_none=False) over gradients of one type.
void EmitZeroGradients(Environment& environment, DType type, int64_t elements);

// torch.nn.utils.clip_grad_norm_: norm of local gradients, all_reduce of a scalar over `channel`, scaling.
void EmitGradientClipping(Environment& environment, const Channel& channel, int64_t elements, DType gradients);

// Launches that a multi-tensor call over so many elements takes.
[[nodiscard]] int64_t MultiTensorLaunches(int64_t elements);

}  // namespace simulate
