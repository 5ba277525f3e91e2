// The families' builders, and what they share: one rank's dimensions, and where a divided layer communicates.
#pragma once

#include <string>

#include "sim/model/operators.h"

namespace simulate {

// Everything a builder needs to know.
struct LayerPlan {
  const ModelSpec& spec;
  const TrainingSpec& training;
  const Slice& slice;
  Numerics numerics;

  [[nodiscard]] int64_t samples() const { return training.micro_batch_size; }
  [[nodiscard]] int64_t length() const { return training.sequence_length / slice.context; }
  // Tokens of this rank inside and outside of tensor-parallel regions.
  [[nodiscard]] int64_t tokens() const { return samples() * length(); }
  [[nodiscard]] int64_t local_tokens() const { return Local(tokens()); }
  [[nodiscard]] int64_t Local(int64_t tokens) const { return slice.sequence_parallel ? tokens / slice.tensor : tokens; }
  [[nodiscard]] int64_t head_dim() const {
    return spec.head_dim > 0 ? spec.head_dim : spec.hidden_size / spec.num_attention_heads;
  }
  [[nodiscard]] int64_t heads() const { return spec.num_attention_heads / slice.tensor; }
  [[nodiscard]] int64_t key_value_heads() const {
    const int64_t all = spec.num_key_value_heads > 0 ? spec.num_key_value_heads : spec.num_attention_heads;
    return all >= slice.tensor ? all / slice.tensor : 1;  // more ranks than heads: copies
  }
  [[nodiscard]] bool divides_vocabulary() const { return slice.tensor > 1 && slice.divide_vocabulary; }
  [[nodiscard]] int64_t vocabulary() const { return divides_vocabulary() ? DivCeil(spec.vocab_size, slice.tensor) : spec.vocab_size; }
  [[nodiscard]] bool megatron() const { return training.runtime == Runtime::kMegatron; }
  [[nodiscard]] RotaryImplementation rotary() const {
    if (training.rotary != RotaryImplementation::kRuntime) return training.rotary;
    return numerics.fused ? RotaryImplementation::kFused : RotaryImplementation::kComplex;
  }
};

// Into a column-parallel region. Under sequence parallelism this gathers the sequence: `tokens` rows.
Value EnterTensorParallel(LayerBuilder& b, const LayerPlan& plan, const Value& x, int64_t tokens, bool quantized = false);
// Out of a row-parallel region: sums over the ranks, under sequence parallelism keeping this rank's rows.
Value LeaveTensorParallel(LayerBuilder& b, const LayerPlan& plan, const Value& x);
// Megatron's sequence parallelism keeps the ungathered input of a column-parallel product: call right after
// the product that reads `gathered`, the result of EnterTensorParallel(`local`).
void KeepUngathered(LayerBuilder& b, const LayerPlan& plan, const Value& local, const Value& gathered);

// Fused attention on the whole sequence of 1 / context of the heads (head_exchange.cc). REQUIRES: context divides the heads of both.
Value AttentionOverHeads(LayerBuilder& b, AttentionDims d, const Value& q, const Value& k, const Value& v, AttentionKernel kernel,
                         double dropout, int64_t context);

Value Normalize(LayerBuilder& b, const LayerPlan& plan, const std::string& name, const Value& x);
// The dense feed-forward part, from norm output to what is added to the residual stream.
Value FeedForward(LayerBuilder& b, const LayerPlan& plan, const Value& x, int64_t intermediate_size);
// The same with experts (mixtral, deepseek_v3).
Value ExpertFeedForward(LayerBuilder& b, const LayerPlan& plan, const Value& x);
// training.use_cache: what past_key_values names.
void KeepKeysAndValues(LayerBuilder& b, const LayerPlan& plan, const Value& keys, const Value& values);
// Queries of this rank against the keys and values of the whole sequence. `dims`: heads and their widths; lengths are the plan's.
Value CoreAttention(LayerBuilder& b, const LayerPlan& plan, AttentionDims dims, const Value& q, const Value& k, const Value& v);
// DeepSeek's latent attention, from norm output to what is added to the residual stream.
Value LatentAttention(LayerBuilder& b, const LayerPlan& plan, const Value& x);

// Cross-entropy as training.loss asks for, or else as the model's own code does it; and the trainer's metrics.
void Loss(LayerBuilder& b, const LayerPlan& plan, const Value& logits, LossKernel usual);

[[nodiscard]] Model BuildDecoder(const LayerPlan& plan);         // gpt2, gpt_neox, mpt, llama, mixtral, deepseek_v3
[[nodiscard]] Model BuildEncoderDecoder(const LayerPlan& plan);  // t5

}  // namespace simulate
