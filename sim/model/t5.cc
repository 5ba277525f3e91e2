// T5 as Hugging Face transformers' T5ForConditionalGeneration (5.x) runs it, eager or through
// scaled_dot_product_attention. Its relative position bias is computed in the first block of each stack and
// handed to the others, whose gradients of it add up. Flash attention takes no bias, so `flash` means `eager` here.
//
// With sdpa the permuted bias rules out fused kernels for self-attention: PyTorch falls back to its math path,
// in fp32. Cross-attention has a bias of zeros, which is contiguous: the memory-efficient kernel takes it. That
// bias has a gradient only if checkpointing made transformers set requires_grad on it.
#include <optional>

#include "sim/model/families.h"

namespace simulate {
namespace {

constexpr int kBucketKernels = 20;           // small elementwise kernels of _relative_position_bucket

struct Stack {
  const LayerPlan& plan;
  bool decoder = false;
  int64_t length = 0;          // of this stack's own sequence
  int64_t encoder_length = 0;
  [[nodiscard]] int64_t tokens() const { return plan.samples() * length; }
  [[nodiscard]] const char* name() const { return decoder ? "decoder." : "encoder."; }
};

Value Norm(LayerBuilder& b, const std::string& name, const Value& x) {
  return b.numerics().fused ? RmsNorm(b, name, x) : ComposedRmsNorm(b, name, x);
}

// Learned bias by bucketed distance, [length, length, heads], used as a permuted view.
Value PositionBias(LayerBuilder& b, const Stack& stack) {
  const int64_t heads = stack.plan.heads(), pairs = stack.length * stack.length;
  const int64_t given = stack.plan.spec.relative_attention_num_buckets, buckets = given > 0 ? given : 32;
  const Value flat = Embedding(b, "position_bias", pairs, buckets, heads, false);
  Operator& op = b.last();
  for (int i = 0; i < kBucketKernels; ++i)
    op.forward.insert(op.forward.begin(), MemoryKernel("position_bucket", MemoryAccess::kElementwise, DType::kInt64, stack.length,
                                                       stack.length, SizeOf(DType::kInt64, pairs), SizeOf(DType::kInt64, pairs),
                                                       HostCall::kOperator));
  const Value distances = b.NewTensor("position_buckets", stack.length, stack.length, DType::kInt64, false);
  b.last().outputs.push_back(distances.index);
  b.last().saved.push_back(distances.index);
  return {flat.index, flat.dtype, heads * stack.length, stack.length};
}

// Zeros in the place of a bias, for cross-attention.
Value NoBias(LayerBuilder& b, const Stack& stack) {
  const bool gradient = RecomputesBlocks(stack.plan.training.activation_checkpointing);
  const Value zeros = b.NewTensor("cross_position_bias", stack.plan.heads() * stack.length, stack.encoder_length,
                                  b.numerics().stream, gradient);
  Operator& op = b.Add("cross_position_bias");
  op.outputs = {zeros.index};
  op.forward = {MemoryKernel("cross_position_bias", MemoryAccess::kElementwise, zeros.dtype, zeros.rows, zeros.columns, Bytes(0),
                             zeros.bytes(), HostCall::kOperator)};
  return zeros;
}

Value AttentionCore(LayerBuilder& b, const LayerPlan& plan, const AttentionDims& d, const Value& q, const Value& k, const Value& v,
                    ScoreBias bias, bool cross) {
  const bool sdpa = plan.training.attention == AttentionImplementation::kSdpa;
  const bool fused = plan.training.attention == AttentionImplementation::kMemoryEfficient || (sdpa && cross);
  bias.math = sdpa && !cross && q.dtype != DType::kFp32;
  if (sdpa && b.numerics().autocast) bias.bias = Cast(b, "bias_cast", bias.bias, b.numerics().compute, HostCall::kCast);
  bias.masked = d.causal && !sdpa && !fused;
  b.SetSelective(true);
  const Value out = fused ? FusedAttention(b, d, q, k, v, AttentionKernel::kMemoryEfficient, plan.training.dropout, bias)
                          : UnfusedAttention(b, d, q, k, v, plan.training.dropout, bias);
  b.SetSelective(false);
  return out;
}

// T5Attention with its norm, dropout and residual add. `memory`: the encoder's output, for cross-attention.
Value Attention(LayerBuilder& b, const Stack& stack, const std::string& prefix, const Value& x, const std::optional<Value>& memory,
                const std::optional<Value>& given_bias, Value* bias_made) {
  const LayerPlan& plan = stack.plan;
  const int64_t width = plan.heads() * plan.head_dim();
  b.SetPrefix(prefix);
  const Value normed = Norm(b, "norm", x);
  const Value in = EnterTensorParallel(b, plan, normed, stack.tokens());
  const Value source = memory ? *memory : in;
  const Value q = Linear(b, "q", in, width);
  const Value k = Linear(b, "k", source, width);
  const Value v = Linear(b, "v", source, width);
  if (stack.decoder) KeepKeysAndValues(b, plan, k, v);
  *bias_made = given_bias ? *given_bias : memory ? NoBias(b, stack) : PositionBias(b, stack);
  AttentionDims d;
  d.batch = plan.samples();
  d.query_heads = d.key_value_heads = plan.heads();
  d.query_length = stack.length;
  d.key_length = memory ? stack.encoder_length : stack.length;
  d.head_dim = plan.head_dim();
  d.causal = stack.decoder && !memory;
  ScoreBias bias;
  bias.present = true;
  bias.bias = *bias_made;
  bias.strided = !memory;
  const Value out = AttentionCore(b, plan, d, q, k, v, bias, memory.has_value());
  const Value projected = Linear(b, "o", out, plan.spec.hidden_size);
  b.last().holds = {in.index, q.index, k.index, v.index};  // the module's names for them, until it returns
  const Value y = LeaveTensorParallel(b, plan, projected);
  const Value sum = DropoutAdd(b, "residual", x, y, plan.training.dropout);
  b.SetPrefix("");
  return sum;
}

Value FeedForwardPart(LayerBuilder& b, const Stack& stack, const Value& x) {
  const LayerPlan& plan = stack.plan;
  const int64_t width = plan.spec.intermediate_size / plan.slice.tensor;
  b.SetPrefix("feed_forward.");
  const Value in = EnterTensorParallel(b, plan, Norm(b, "norm", x), stack.tokens());
  Value hidden = Activate(b, "activation", plan.spec.activation, Linear(b, "wi", in, width));
  if (plan.spec.gated_mlp) hidden = Multiply(b, "gate", hidden, Linear(b, "wi_1", in, width));
  hidden = Dropout(b, "dropout", hidden, plan.training.dropout);
  // T5DenseActDense casts to the type of wo's weight, which autocast undoes with a copy of its own.
  if (b.numerics().autocast) hidden = Cast(b, "weight_type", hidden, b.numerics().stream);
  const Value projected = Linear(b, "wo", hidden, plan.spec.hidden_size);
  b.last().holds = {in.index};
  const Value y = LeaveTensorParallel(b, plan, projected);
  const Value sum = DropoutAdd(b, "residual", x, y, plan.training.dropout);
  b.SetPrefix("");
  return sum;
}

Layer Block(const Stack& stack, bool first) {
  const LayerPlan& plan = stack.plan;
  LayerBuilder b(std::string(stack.name()) + (first ? "first_block" : "block"), plan.numerics);
  const DType type = plan.numerics.stream;
  Value x = b.Input("hidden", plan.Local(stack.tokens()), plan.spec.hidden_size, type);
  std::optional<Value> memory, bias, cross_bias;
  if (stack.decoder) memory = b.Input("encoder_output", plan.samples() * stack.encoder_length, plan.spec.hidden_size, type);
  if (!first) {
    bias = b.Input("position_bias", plan.heads() * stack.length, stack.length, type);
    const bool gradient = RecomputesBlocks(plan.training.activation_checkpointing);
    if (stack.decoder)
      cross_bias = b.Input("cross_position_bias", plan.heads() * stack.length, stack.encoder_length, type, gradient);
  }
  Value self_bias, other_bias;
  x = Attention(b, stack, "self_attention.", x, std::nullopt, bias, &self_bias);
  if (stack.decoder) x = Attention(b, stack, "cross_attention.", x, memory, cross_bias, &other_bias);
  b.Output(FeedForwardPart(b, stack, x));
  if (first) {
    b.Output(self_bias);
    if (stack.decoder) b.Output(other_bias);
  }
  return std::move(b).Build();
}

Layer EmbeddingLayer(const Stack& stack) {
  const LayerPlan& plan = stack.plan;
  LayerBuilder b(std::string(stack.name()) + "embedding", plan.numerics);
  Value x = Embedding(b, "shared", stack.tokens(), plan.vocabulary(), plan.spec.hidden_size, stack.decoder);
  if (plan.divides_vocabulary()) x = LeaveTensorParallel(b, plan, x);
  else if (plan.slice.sequence_parallel) x = {x.index, x.dtype, plan.Local(stack.tokens()), x.columns};
  b.Output(Dropout(b, "dropout", x, plan.training.dropout));
  return std::move(b).Build();
}

Layer EncoderEnd(const Stack& stack) {
  const LayerPlan& plan = stack.plan;
  LayerBuilder b("encoder.final_norm", plan.numerics);
  const Value x = b.Input("hidden", plan.Local(stack.tokens()), plan.spec.hidden_size, plan.numerics.stream);
  Value y = Dropout(b, "dropout", Norm(b, "final_norm", x), plan.training.dropout);
  y = EnterTensorParallel(b, plan, y, stack.tokens());  // every decoder block's keys and values need all of it
  b.Output(y);
  return std::move(b).Build();
}

Layer Head(const Stack& stack) {
  const LayerPlan& plan = stack.plan;
  LayerBuilder b("head", plan.numerics);
  const Value x = b.Input("hidden", plan.Local(stack.tokens()), plan.spec.hidden_size, plan.numerics.stream);
  Value y = Dropout(b, "dropout", Norm(b, "final_norm", x), plan.training.dropout);
  if (plan.spec.tie_word_embeddings) y = Scale(b, "output_scale", y);
  if (plan.divides_vocabulary() || plan.slice.sequence_parallel) y = EnterTensorParallel(b, plan, y, stack.tokens());
  LinearOptions options;
  options.tied = plan.spec.tie_word_embeddings;
  options.logits = true;
  const Value logits = Linear(b, "head", y, plan.vocabulary(), options);
  const bool vocabulary_parallel = plan.divides_vocabulary() || plan.megatron();
  // Logits are not cast here, except by autocast, which runs the loss in fp32.
  Loss(b, plan, logits, vocabulary_parallel          ? LossKernel::kVocabularyParallel
                        : plan.numerics.autocast ? LossKernel::kComposed
                                                 : LossKernel::kDirect);
  return std::move(b).Build();
}

}  // namespace

Model BuildEncoderDecoder(const LayerPlan& plan) {
  Model model;
  const int64_t encoder_length = plan.length();
  const int64_t decoder_length =
      plan.training.decoder_sequence_length > 0 ? plan.training.decoder_sequence_length / plan.slice.context : encoder_length;
  const Stack encoder{plan, false, encoder_length, encoder_length}, decoder{plan, true, decoder_length, encoder_length};
  model.layers = {EmbeddingLayer(encoder), Block(encoder, true), Block(encoder, false), EncoderEnd(encoder),
                  EmbeddingLayer(decoder), Block(decoder, true), Block(decoder, false), Head(decoder)};
  const int64_t decoder_layers = plan.spec.num_decoder_layers > 0 ? plan.spec.num_decoder_layers : plan.spec.num_hidden_layers;
  const uint32_t first_encoder = 1, encoder_end = static_cast<uint32_t>(plan.spec.num_hidden_layers) + 1;
  const uint32_t first_decoder = encoder_end + 2;
  model.uses.push_back({0, "encoder.embedding", false, {}});
  for (int64_t i = 0; i < plan.spec.num_hidden_layers; ++i) {
    LayerUse use{i == 0 ? 1U : 2U, "encoder.block." + std::to_string(i), true, {}};
    if (i > 0) use.extra_inputs = {{first_encoder, 1}};
    model.uses.push_back(std::move(use));
  }
  model.uses.push_back({3, "encoder.final_norm", false, {}});
  model.uses.push_back({4, "decoder.embedding", false, {}});
  for (int64_t i = 0; i < decoder_layers; ++i) {
    LayerUse use{i == 0 ? 5U : 6U, "decoder.block." + std::to_string(i), true, {}};
    use.extra_inputs = {{encoder_end, 0}};
    if (i > 0) use.extra_inputs.insert(use.extra_inputs.end(), {{first_decoder, 1}, {first_decoder, 2}});
    model.uses.push_back(std::move(use));
  }
  model.uses.push_back({7, "head", false, {}});
  model.tokens_per_sample = plan.training.sequence_length +
                            (plan.training.decoder_sequence_length > 0 ? plan.training.decoder_sequence_length : plan.training.sequence_length);
  return model;
}

}  // namespace simulate
