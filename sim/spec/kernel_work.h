// What one kernel launch does, as counts: shapes, FLOPs, bytes. No rates and no time:
// kernel/ turns this into seconds on an accelerator, model/ and parallel/ write it down.
#pragma once

#include <cstdint>

#include "sim/base/units.h"
#include "sim/spec/dtype.h"

namespace simulate {

enum class KernelKind : uint8_t {
  kGemm,       // dense matrix product, possibly batched
  kAttention,  // fused attention (flash, memory-efficient)
  kMemory,     // bound by memory traffic: elementwise, norms, softmax, casts, embedding, loss, optimizer
  kHostCopy,   // `read` bytes between this accelerator and its host's pinned memory, either way
  kHostOptimizer,  // the optimizer step on the host's processors: bytes of the host's memory
  kRecorded,   // of a trace that someone else wrote: its measured time, or FLOPs and bytes alone
};

// The kernel that moves the bytes: decides the share of the bandwidth it reaches, and what it spends on
// arithmetic and addresses per element. `rows` x `columns` are the extents of its output (or, for
// reductions, of what it reads); name the most specific one.
enum class MemoryAccess : uint8_t {
  kElementwise,      // contiguous, vectorised: copies, fills, adds, relu, casts to a narrower type
  kBroadcast,        // an operand is broadcast or strided along rows: the vectorised path is not taken
  kMixedTypes,       // operands of different types, not vectorised (bf16 to fp32, fp32 + bf16; not fp32 to bf16)
  kTranspose,        // strided copy that keeps the last dimension (`.contiguous()` after swapping heads and length)
  kRowReduction,     // along rows: RMSNorm, mean, sum (forward)
  kRowReductionBackward,  // the input's gradient of a norm, softmax backward (its second kernel; the first is a product)
  kColumnReduction,  // sums over rows: bias gradients
  kGather,           // embedding look-up
  kScatterAdd,       // embedding gradient: rows tokens of `columns` (the table is zeroed by a kernel of its own)
  kLoss,             // log-softmax over the vocabulary, forward or backward
  kMultiTensor,      // one launch over many tensors: foreach operators, flattening, gradient norm
  kActivation,       // contiguous with exponentials or erf: GELU, SiLU and their gradients
  kDropout,          // contiguous with random numbers (the backward is kElementwise)
  kStrided,          // broadcast whose other operand jumps a sector per element (T5's bias, permuted to [1, heads, q, k])
  kTransposeInner,   // copy that swaps the last dimension
  kLayerNorm,        // LayerNorm forward
  kSoftmax,          // softmax forward
  kNormWeightGradient,  // sums over rows of gradient times normalised input: weight (and bias) of a norm
  kOptimizer,        // fused AdamW
  kApexNorm,         // Apex's first LayerNorm: Welford's recurrence with a division per element, then a second pass
  kApexNormBackward,        // its input's gradient: two passes over both operands, not vectorised
  kApexNormWeightGradient,  // its sums over rows, in sixteen parts
};
inline constexpr int kMemoryAccesses = static_cast<int>(MemoryAccess::kApexNormWeightGradient) + 1;

// Which of a linear layer's three products this is; decides operand layouts.
// forward Y[M,N] = X[M,K] W[N,K]^T, data gradient dX[M,K] = dY[M,N] W, weight gradient dW[N,K] = dY^T X.
enum class GemmPass : uint8_t { kForward, kDataGradient, kWeightGradient };

// The product as the library sees it: output m x n, inner dimension k, `batch` of them.
// (A data gradient of a layer M,N,K has m=M, n=K, k=N; its weight gradient m=N, n=K, k=M.)
struct GemmShape {
  int64_t batch = 1;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  GemmPass pass = GemmPass::kForward;
  int64_t added_to = 0;  // bytes per element of the buffer that the result is added to, in place; 0: it is only written
  auto operator<=>(const GemmShape&) const = default;
};

// kFlash is the framework's best fused kernel on the accelerator (cuDNN on Hopper in PyTorch 2.11, FlashAttention-2 on
// Ampere); kFlash2 is FlashAttention-2 everywhere, as software of 2023 and 2024 used it; kFlash1 is FlashAttention's first
// version and kTriton its implementation in Triton (MPT's default of 2023): kernel/attention.h prices both beside kFlash2.
enum class AttentionKernel : uint8_t { kFlash, kMemoryEfficient, kFlash2, kFlash1, kTriton };
inline constexpr int kCalibratedAttentionKernels = 3;  // the first three have constants of their own

struct AttentionShape {
  int64_t batch = 0;
  int64_t query_heads = 0;
  int64_t key_value_heads = 0;
  int64_t query_length = 0;
  int64_t key_length = 0;
  int64_t head_dim = 0;
  bool causal = false;
  bool backward = false;
  AttentionKernel kernel = AttentionKernel::kFlash;
  int64_t value_dim = 0;  // of a head's values and results; 0: head_dim
  auto operator<=>(const AttentionShape&) const = default;
};

// How the host comes to launch this kernel; kernel/host_model.h prices it per runtime.
enum class HostCall : uint8_t {
  kNone,             // nothing: part of a captured graph, or launched by the device
  kInner,            // a further kernel inside a call that was already paid: the bare launch
  kOperator,         // one eager operator called from Python in the forward pass
  kAutogradNode,     // one node of the backward graph, run by the C++ autograd engine
  kCast,             // a cast that autocast inserts before an operator
  kView,             // an operator that launches nothing: view, transpose, slice
  kAutogradView,     // a backward node that launches nothing
  kModule,           // Python module and hook overhead of a block (checkpoint wrapper, nn.Module.__call__)
  kFsdp1Unit,        // one pre- or post-hook of FullyShardedDataParallel
  kFsdp2Unit,        // one pre- or post-hook of fully_shard
  kDdpHook,          // one gradient-ready hook of DistributedDataParallel
  kCollective,       // one call of torch.distributed
  kDtensor,          // one pass through a linear layer that DTensor parallelises: from_local, redistribute, dispatch, to_local
  kCompiled,         // one kernel or product called by code that TorchInductor generated
  kOptimizerStep,    // one optimizer call: paid once per parameter tensor
  kZeroGrad,         // once per parameter tensor
  kIteration,        // data loading and loop overhead, once a step
};
inline constexpr int kHostCalls = static_cast<int>(HostCall::kIteration) + 1;

struct KernelWork {
  KernelKind kind = KernelKind::kMemory;
  DType dtype = DType::kBf16;          // what the multipliers see (kGemm, kAttention) or the widest operand (kMemory)
  GemmShape gemm;                      // kGemm
  AttentionShape attention;            // kAttention
  MemoryAccess access = MemoryAccess::kElementwise;  // kMemory
  int64_t rows = 0;                    // kMemory: extents, see MemoryAccess; 0: worked out from the bytes
  int64_t columns = 0;
  Flops flops;                         // arithmetic as counted by convention: 2 per multiply-add
  Bytes read;                          // from device memory, each operand once
  Bytes written;
  Seconds recorded;                    // kRecorded: as measured, whatever ran beside it; 0: a roofline of flops and bytes
  auto operator<=>(const KernelWork&) const = default;
};

}  // namespace simulate
