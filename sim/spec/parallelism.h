// The layout that the user asks for.
#pragma once

#include <cstdint>
#include <optional>

namespace simulate {

enum class DataStrategy : uint8_t { kDdp, kFsdp, kZero1, kZero2, kZero3 };
enum class Sharding : uint8_t { kFullShard, kHybridShard, kShardGradOp, kNoShard };
enum class FsdpVersion : uint8_t { kFsdp1 = 1, kFsdp2 = 2 };
enum class BackwardPrefetch : uint8_t { kNone, kPre, kPost };
enum class Offload : uint8_t { kNone, kOptimizer, kParameters };

// How ZeRO-3 gathers parameters and reduces gradients. Asynchronous: DeepSpeed since 0.5.11 (commit 4912e0ad7, January
// 2022); synchronous: its first version (0.3.11, March 2021, to 0.5.10), where every gather waits for the whole device.
enum class Zero3Implementation : uint8_t { kAsynchronous, kSynchronous };

struct DataParallelSpec {
  DataStrategy strategy = DataStrategy::kDdp;
  Sharding sharding = Sharding::kFullShard;
  FsdpVersion version = FsdpVersion::kFsdp1;
  int64_t shard_size = 0;                   // ranks that share one copy; 0: all (hybrid: one node)
  BackwardPrefetch backward_prefetch = BackwardPrefetch::kPre;
  bool forward_prefetch = false;
  bool limit_all_gathers = true;
  bool pads_gradients = false;              // FSDP1 before PyTorch 2.0 (pull request 88769): F.pad copies every unit's gradient
  int64_t bucket_bytes = 25 << 20;          // DDP's bucket_cap_mb
  int64_t first_bucket_bytes = 1 << 20;
  bool gradient_as_bucket_view = false;
  bool static_graph = false;
  bool overlap = true;                      // reduce gradients while backward runs
  bool reduce_scatter = true;               // zero1 (DeepSpeed's key): false, every rank ends with all of the gradients
  Offload offload = Offload::kNone;
  int64_t max_live_parameters = 1'000'000'000;  // ZeRO-3's stage3_max_live_parameters: prefetching stops there
  int64_t max_reuse_distance = 1'000'000'000;   // stage3_max_reuse_distance: weights that are needed again before so many are kept
  int64_t reduce_bucket_size = 500'000'000;     // ZeRO-3: gradients that are reduced together
  Zero3Implementation zero3_implementation = Zero3Implementation::kAsynchronous;
};

enum class PipelineScheduleKind : uint8_t { kGpipe, k1F1B, kInterleaved1F1B, kZeroBubbleH1, kZeroBubbleV, kDualPipe };

// What counts when layers are dealt out to stages: kBlocks, the transformer blocks alone (Megatron-LM); kEmbedding, the embedding
// as one block besides, so that the first stage has one fewer (Megatron-LM's account_for_embedding_in_pipeline_split); kHead, the
// head with its loss as one (account_for_loss_in_pipeline_split); kEnds, both (Llama 3 405B, section 3.3.2); kLayers, the final
// norm too, leftovers to the first stages (DeepSpeed's PipelineModule, method `uniform`); kParameters, the same items by their
// weights: the smallest possible largest stage, filled from the first stage on (its method `parameters`, the default; Aleph
// Alpha's scaling: `balanced`). What counts as a block may be alone in a chunk.
enum class PipelinePartition : uint8_t { kBlocks, kEmbedding, kHead, kEnds, kLayers, kParameters };

// Which messages of an interleaved pipeline run beside the pieces: none, every piece is followed by its messages and the host
// waits for them (Megatron-LM until May 2023, commit f9283c5); those of the steady phase, while a piece of the warm-up or of the
// flush is followed by its messages on the device (overlap_p2p_comm); or all of them (overlap_p2p_comm_warmup_flush, commit
// 4295be1, off by default; Llama 3, section 3.3.2).
enum class P2pOverlap : uint8_t { kNone, kSteady, kAll };

struct PipelineSpec {
  int64_t stages = 1;
  PipelineScheduleKind schedule = PipelineScheduleKind::k1F1B;
  int64_t virtual_stages = 1;
  bool uneven = false;                      // stages may differ by one layer; otherwise they must not
  PipelinePartition partition = PipelinePartition::kBlocks;
  int64_t first_stage_layers = -1;          // blocks on the first stage, over all of its chunks, and on the last
  int64_t last_stage_layers = -1;           // (Megatron-LM's --decoder-{first,last}-pipeline-num-layers); -1: as many as fall to it
  std::optional<P2pOverlap> overlap_p2p;    // none given: kSteady under Megatron's runtime, kAll elsewhere
  bool scatter_gather = true;               // Megatron runtime: a tensor-parallel rank sends its part, receivers gather
  int64_t kept_outputs = 0;                 // micro-batches whose logits the engine's buffers still name after their loss
};

// Whose tensor parallelism, where the runtime does not bring its own (Megatron, Neuron): PyTorch's DTensor, or plain
// autograd functions around every linear layer (Megatron-LM's first version, Aleph Alpha's scaling): no DTensor's host
// time, and each column-parallel layer sums the gradient of its own input.
enum class TensorImplementation : uint8_t { kDtensor, kPlain };

// How a rank's queries meet the keys and values of the others: all of them are gathered and one kernel runs (Llama 3,
// section 3.3.2); they go round and one kernel runs for each part (Transformer Engine's p2p; PyTorch's context_parallel with
// rotate method alltoall); PyTorch's allgather: a kernel for each part, but one gather; or each rank gets the whole sequence of a
// part of the heads (DeepSpeed-Ulysses, arXiv:2309.14509; Transformer Engine's a2a).
enum class ContextImplementation : uint8_t { kAllGather, kRing, kRingAllGather, kAllToAll };

struct ParallelismSpec {
  DataParallelSpec data;
  int64_t tensor = 1;
  bool sequence_parallel = false;
  bool tensor_overlap = false;  // products in pieces beside their all_gather or reduce_scatter (parallel/product_pieces.h)
  bool async_tensor_all_reduce = true;  // Megatron runtime: backward all_reduces run beside the product of the weight gradient
  bool vocabulary_parallel = true;          // the embedding, the head and the loss are divided too
  bool gather_logits = false;               // ... but not the loss: the logits are gathered and every rank computes all of it
  TensorImplementation tensor_implementation = TensorImplementation::kDtensor;
  PipelineSpec pipeline;
  int64_t context = 1;
  ContextImplementation context_implementation = ContextImplementation::kAllGather;
  int64_t expert = 1;
};

}  // namespace simulate
