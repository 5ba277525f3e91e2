// How the model is trained: batch, precision, recomputation, runtime, optimizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/spec/dtype.h"

namespace simulate {

// kSelective recomputes the attention core (Megatron-LM); kSelectiveOperators whole blocks but for attention, reductions
// and every second linear (torch.utils.checkpoint's selective policy as torchtitan sets it).
enum class Checkpointing : uint8_t { kNone, kSelective, kSelectiveOperators, kFull };
[[nodiscard]] inline bool RecomputesBlocks(Checkpointing policy) {
  return policy == Checkpointing::kFull || policy == Checkpointing::kSelectiveOperators;
}
// kFlash is the framework's best fused kernel of today; kFlash2 is FlashAttention-2, as software of 2023 and 2024 used it.
// kFusedSoftmax is kEager with Megatron-LM's kernel that scales, masks and normalizes the scores in one pass.
enum class AttentionImplementation : uint8_t { kFlash, kEager, kMemoryEfficient, kSdpa, kFlash2, kFlash1, kTriton, kFusedSoftmax };
// How the cross-entropy is computed; kDefault is what the model's own code and the runtime do.
enum class LossImplementation : uint8_t { kDefault, kComposed, kDirect, kFused };
// How rotary positions are applied (model/rotary.cc); kRuntime: kFused where elementwise chains are, else kComplex.
enum class RotaryImplementation : uint8_t { kRuntime, kFused, kRotateHalf, kComplex, kMatrix };
// In which type an unfused RMSNorm computes. kFp32: all of it on an fp32 copy (LLaMA's own code); kMixed: the mean square of an
// fp32 copy scales the input as it is (T5LayerNorm, Transformers' LlamaRMSNorm until 4.30); kInput: no copy.
enum class NormArithmetic : uint8_t { kFp32, kMixed, kInput };
// Whose kernels a fused norm runs (model/elementwise_operators.cc). kTorch: PyTorch's layer_norm, rms_norm. kApex: Apex's first
// fused_layer_norm_cuda (until today its fallback; Megatron-LM's own until October 2021, commit a2fdcdf). kPersistent: a row
// stays in registers, so that the backward reads it once (Apex's FastLayerNorm, Transformer Engine's norms).
enum class NormKernel : uint8_t { kTorch, kApex, kPersistent };
enum class Optimizer : uint8_t { kAdamW, kAdam8bit, kSgd, kMomentum, kAdafactor };
// kForLoop: tensor by tensor, an operator a pass (torch.optim's default before 2.0; Composer's DecoupledAdamW).
enum class OptimizerKernel : uint8_t { kFused, kForeach, kForLoop };
// What the host waits for beside what the framework itself needs: every micro-batch's loss, which it reads to look for NaN
// (Megatron-LM's pretrain_gpt.py since September 2023, commit e39f9f6); every forward and backward pass (Megatron-LM's timers
// called torch.cuda.synchronize until August 2022, commit 77efccc); every collective too (NCCL_BLOCKING_WAIT); both ends of
// every layer too (a profiler that reads its buffers there).
enum class HostWaits : uint8_t { kNever, kLoss, kPasses, kCollectives, kLayers };
enum class Runtime : uint8_t { kEager, kCompiled, kCudaGraph, kMegatron, kNeuron };

// Where each tensor lives and what the multipliers see. `name` is the preset it came from.
struct PrecisionSpec {
  std::string name = "bf16_mixed";
  DType parameters = DType::kBf16;
  DType compute = DType::kBf16;
  DType gradients = DType::kBf16;
  DType gradient_reduction = DType::kBf16;
  std::optional<DType> master_weights = DType::kFp32;
  DType optimizer = DType::kFp32;
  bool autocast = false;     // each matmul's operands are cast where they are used
  bool fp8_matmuls = false;  // fp8 GEMMs, 16-bit elsewhere
};

// Low-rank adaptation (Hu et al. 2021): the model's own weights are frozen, and beside the linear layers named in
// `targets` run two trainable matrices of this rank. QLoRA (Dettmers et al. 2023) stores the frozen weights of linear
// layers quantized and widens them before each product.
struct LoraSpec {
  int64_t rank = 0;                         // 0: every weight is trained
  std::vector<std::string> targets;         // of q, k, v, o, w1, w2, w3
  std::optional<DType> base;                // storage of the frozen linear weights; none: as `precision` says
  [[nodiscard]] bool on() const { return rank > 0; }
};

struct TrainingSpec {
  int64_t micro_batch_size = 1;             // sequences per data-parallel rank and micro-step
  int64_t gradient_accumulation_steps = 1;
  int64_t sequence_length = 0;              // encoder-decoder: the encoder's
  int64_t decoder_sequence_length = 0;      // encoder-decoder only
  PrecisionSpec precision;
  Checkpointing activation_checkpointing = Checkpointing::kNone;
  int64_t checkpoint_every = 1;             // every k-th block
  bool checkpoint_head = false;             // full: final norm and head are recomputed too
  std::optional<bool> checkpoint_early_stop;  // full: what follows a block's last saved tensor is not recomputed; see StopsEarly
  AttentionImplementation attention = AttentionImplementation::kFlash;
  bool fused_norm = true;                   // false: RMSNorm from elementwise calls, as LLaMA's own code writes it
  NormArithmetic norm_arithmetic = NormArithmetic::kFp32;  // ... in which type
  std::optional<NormKernel> norm_kernel;    // of a fused one; see NormKernelOf
  RotaryImplementation rotary = RotaryImplementation::kRuntime;
  bool fused_permutation = false;           // experts: each token's results are read and summed by one kernel, not added by atomics
  LossImplementation loss = LossImplementation::kDefault;
  int64_t loss_metrics = 0;                 // further evaluations of the loss per micro-batch, for a trainer's metrics
  double dropout = 0.0;
  Optimizer optimizer = Optimizer::kAdamW;
  OptimizerKernel optimizer_kernel = OptimizerKernel::kFused;
  Runtime runtime = Runtime::kEager;
  bool clip_grad_norm = false;
  bool offload_activations = false;         // checkpointed blocks' inputs wait in the host's memory
  LoraSpec lora;
  HostWaits host_waits = HostWaits::kNever;
  bool transformer_engine = false;          // the blocks' linear layers and attention are its modules: host time, workspaces
  bool use_cache = false;                   // Transformers: decoders' keys and values stay in the model's output (past_key_values)
  bool traced_kernels = false;              // by a tracer that serializes them: Calibration::traced_gap between two
  bool expandable_segments = false;         // PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
  bool record_streams = false;              // NCCL's process group holds its buffers by record_stream: parallel/pipeline.cc, fsdp1.cc
  bool set_to_none = true;                  // zero_grad frees gradients; false (PyTorch's default before 2.0): keeps and zeroes them
  bool fused_accumulation = true;           // Megatron runtime: weight-gradient products add into the gradient buffer
  double tokens = 0.0;                      // length of the whole run; 0: not stated
};

// Whether the recomputation of a block ends with its last saved tensor, so that without dropout the block's last product is
// not repeated: torch.utils.checkpoint from PyTorch 2.1 on (early_stop, use_reentrant=False), and whatever compiles the step
// and drops what nobody reads. Earlier ones, reentrant ones, Megatron-LM's, DeepSpeed's and Transformer Engine's run it all.
[[nodiscard]] inline bool StopsEarly(const TrainingSpec& training) {
  return training.checkpoint_early_stop.value_or(training.runtime != Runtime::kMegatron);
}

// Megatron-LM's default are the persistent kernels (since October 2021, from PyTorch 1.11 on), Apex's or Transformer Engine's.
[[nodiscard]] inline NormKernel NormKernelOf(const TrainingSpec& training) {
  return training.norm_kernel.value_or(training.runtime == Runtime::kMegatron ? NormKernel::kPersistent : NormKernel::kTorch);
}

}  // namespace simulate
