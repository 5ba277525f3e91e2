// Decoder-only families: one block of each kind, the embedding before and the head with its loss after.
#include "sim/model/families.h"

namespace simulate {
namespace {

struct Heads {
  Value q, k, v;
  Value values;  // whose storage holds v: v itself, or the packed projection that it is a view of
};

// A norm of every head's row of head_dim numbers, one weight for all heads (Qwen 3, OLMo 2 has one per column).
Value HeadNorm(LayerBuilder& b, const LayerPlan& plan, const std::string& name, const Value& x) {
  const Value heads{x.index, x.dtype, x.elements() / plan.head_dim(), plan.head_dim()};
  Value y = RmsNorm(b, name, heads);
  y.rows = x.rows;
  y.columns = x.columns;
  return y;
}

// Megatron-LM's packed projection holds group by group the queries and their key and value: the queries of several groups become
// one tensor by a strided copy (attention.py: query.reshape), and Transformer Engine wants contiguous values (get_qkv_layout).
void CopyGroupedHeads(LayerBuilder& b, const Value& packed, int64_t queries, int64_t values, const LayerPlan& plan) {
  const bool grouped = plan.key_value_heads() > 1 && plan.heads() > plan.key_value_heads();
  const auto copy = [&](const char* name, int64_t columns) {
    const Bytes size = SizeOf(packed.dtype, packed.rows * columns);
    b.last().forward.push_back(MemoryKernel(name, MemoryAccess::kTranspose, packed.dtype, packed.rows, columns, size, size, HostCall::kOperator));
  };
  if (grouped) copy("query_reshape", queries);
  if (grouped && values > 0) copy("value_contiguous", values);
}

// The projections into heads, fused into one product or not, rotated if positions are.
Heads Project(LayerBuilder& b, const LayerPlan& plan, const Value& x, const Value& local) {
  const int64_t d = plan.head_dim(), q_out = plan.heads() * d, kv_out = plan.key_value_heads() * d;
  LinearOptions options;
  options.bias = plan.spec.attention_bias;
  options.normalized = true;
  Heads h;
  const bool fused = (plan.spec.fused_qkv || plan.megatron()) && !plan.spec.qk_norm;
  if (fused) {
    h.q = Linear(b, "qkv", x, q_out + 2 * kv_out, options);
    KeepUngathered(b, plan, local, x);
    h.k = h.v = h.values = h.q;
  } else {
    h.q = Linear(b, "q", x, q_out, options);
    h.k = Linear(b, "k", x, kv_out, options);
    h.v = h.values = Linear(b, "v", x, kv_out, options);
  }
  if (plan.spec.qk_norm) {
    h.q = HeadNorm(b, plan, "q_norm", h.q);
    h.k = HeadNorm(b, plan, "k_norm", h.k);
  }
  if (plan.spec.positions == Positions::kRotary) {
    const double share = plan.spec.family == ModelFamily::kGptNeox ? 0.25 : 1.0;  // rotary_pct of GPT-NeoX-20B and Pythia
    const RotaryImplementation how = plan.rotary();
    if (fused && how == RotaryImplementation::kFused) {
      const double rotated = static_cast<double>(q_out + kv_out) / static_cast<double>(q_out + 2 * kv_out);
      h.q = h.k = h.v = h.values = Rotary(b, "rotary", h.q, how, share * rotated);
      if (plan.megatron()) CopyGroupedHeads(b, h.q, q_out, plan.training.transformer_engine ? kv_out : 0, plan);
      return h;
    }
    if (fused) {
      const PackedViews views = ViewPacked(b, h.q, q_out, kv_out);
      h = {views.q, views.k, views.v, h.values};
    }
    h.q = Rotary(b, "q_rotary", h.q, how, share);
    h.k = Rotary(b, "k_rotary", h.k, how, share);
  }
  return h;
}

Value SelfAttention(LayerBuilder& b, const LayerPlan& plan, const Value& x) {
  b.SetPrefix("attention.");
  const Value in = EnterTensorParallel(b, plan, x, plan.tokens(), /*quantized=*/true);
  const Heads h = Project(b, plan, in, x);
  AttentionDims d;
  d.query_heads = plan.heads();
  d.key_value_heads = plan.key_value_heads();
  d.head_dim = plan.head_dim();
  KeepKeysAndValues(b, plan, h.k, h.values);
  const Value out = CoreAttention(b, plan, d, h.q, h.k, h.v);
  LinearOptions options;
  options.bias = plan.spec.attention_bias;
  const Value projected = Linear(b, "o", out, plan.spec.hidden_size, options);
  b.last().holds = {in.index, h.q.index, h.k.index, h.v.index};  // the module's names for them, until it returns
  const Value y = LeaveTensorParallel(b, plan, projected);
  b.SetPrefix("");
  return y;
}

Layer Block(const LayerPlan& plan, bool experts, const std::string& name) {
  LayerBuilder b(name, plan.numerics);
  const ModelSpec& spec = plan.spec;
  const double p = plan.training.dropout;
  const Value x = b.Input("hidden", plan.local_tokens(), spec.hidden_size, plan.numerics.stream);
  const auto attention = [&](const Value& in) {
    return spec.latent_attention.kv_lora_rank > 0 ? LatentAttention(b, plan, in) : SelfAttention(b, plan, in);
  };
  const auto feed_forward = [&](const Value& in) {
    return experts ? ExpertFeedForward(b, plan, in) : FeedForward(b, plan, in, spec.intermediate_size);
  };
  const Value attended = attention(Normalize(b, plan, "attention_norm", x));
  if (spec.parallel_residual) {  // attention and feed-forward side by side
    const Value fed = feed_forward(Normalize(b, plan, "mlp_norm", x));
    const Value both = DropoutAdd(b, "parallel_residual", fed, attended, p);
    b.Output(DropoutAdd(b, "residual", x, both, p));
    return std::move(b).Build();
  }
  const Value middle = DropoutAdd(b, "attention_residual", x, attended, p);
  const Value fed = feed_forward(Normalize(b, plan, "mlp_norm", middle));
  b.Output(DropoutAdd(b, "mlp_residual", middle, fed, p));
  return std::move(b).Build();
}

Layer EmbeddingLayer(const LayerPlan& plan) {
  LayerBuilder b("embedding", plan.numerics);
  Value x = Embedding(b, "embedding", plan.tokens(), plan.vocabulary(), plan.spec.hidden_size, false);
  if (plan.divides_vocabulary()) x = LeaveTensorParallel(b, plan, x);
  else if (plan.slice.sequence_parallel) x = {x.index, x.dtype, plan.local_tokens(), x.columns};
  if (plan.spec.positions == Positions::kLearned) {
    const int64_t longest = plan.spec.max_position_embeddings > 0 ? plan.spec.max_position_embeddings : plan.training.sequence_length;
    x = AddPositions(b, x, plan.samples(), longest);
  }
  b.Output(Dropout(b, "embedding_dropout", x, plan.training.dropout));
  return std::move(b).Build();
}

LossKernel UsualLoss(const LayerPlan& plan) {
  if (plan.slice.gather_logits) return LossKernel::kComposed;
  if (plan.megatron() ? plan.slice.divide_vocabulary : plan.divides_vocabulary()) return LossKernel::kVocabularyParallel;
  return plan.spec.family == ModelFamily::kMpt ? LossKernel::kFused : LossKernel::kComposed;
}

Layer HeadLayer(const LayerPlan& plan) {
  LayerBuilder b("head", plan.numerics);
  const Value x = b.Input("hidden", plan.local_tokens(), plan.spec.hidden_size, plan.numerics.stream);
  const Value normed = Normalize(b, plan, "final_norm", x);
  Value in = normed;
  if (plan.divides_vocabulary() || plan.slice.sequence_parallel) in = EnterTensorParallel(b, plan, normed, plan.tokens());
  LinearOptions options;
  options.tied = plan.spec.tie_word_embeddings;
  options.logits = true;
  Value logits = Linear(b, "head", in, plan.vocabulary(), options);
  KeepUngathered(b, plan, normed, in);
  if (plan.slice.gather_logits && plan.divides_vocabulary()) logits = GatherLogits(b, logits, plan.spec.vocab_size);
  b.BeginLoss();
  Loss(b, plan, logits, UsualLoss(plan));
  return std::move(b).Build();
}

}  // namespace

Value Normalize(LayerBuilder& b, const LayerPlan& plan, const std::string& name, const Value& x) {
  if (plan.spec.norm == Norm::kLayerNorm) return LayerNorm(b, name, x, plan.spec.norm_bias);
  if (plan.training.fused_norm || plan.numerics.compiled) return RmsNorm(b, name, x);
  const NormArithmetic arithmetic = plan.training.norm_arithmetic;
  if (arithmetic == NormArithmetic::kInput && x.dtype != DType::kFp32) return NarrowRmsNorm(b, name, x);
  return ComposedRmsNorm(b, name, x, /*keeps_narrow=*/arithmetic == NormArithmetic::kMixed);
}

Value FeedForward(LayerBuilder& b, const LayerPlan& plan, const Value& x, int64_t intermediate_size) {
  b.SetPrefix("mlp.");
  const int64_t width = intermediate_size / plan.slice.tensor;
  LinearOptions options;
  options.bias = plan.spec.mlp_bias;
  options.normalized = true;
  const Value in = EnterTensorParallel(b, plan, x, plan.tokens(), /*quantized=*/true);
  // Megatron-LM's linear_fc1 is the gate's and the other projection in one product.
  const bool joined = plan.spec.gated_mlp && plan.megatron() && !b.numerics().lora.on();
  Value hidden = Linear(b, joined ? "w1_w3" : "w1", in, joined ? 2 * width : width, options);
  KeepUngathered(b, plan, x, in);
  if (joined) {
    hidden = GateHalves(b, hidden);
  } else if (plan.spec.gated_mlp && !b.numerics().fused) {
    // Python evaluates act(w1(x)) * w3(x) from the left.
    hidden = Activate(b, "activation", plan.spec.activation, hidden);
    // A gathered sequence is gathered once for both; otherwise every layer of plain tensor parallelism enters by itself.
    const bool again = !plan.slice.shared_entry && !plan.slice.sequence_parallel;
    const Value up_in = again ? EnterTensorParallel(b, plan, x, plan.tokens()) : in;
    hidden = Multiply(b, "gate", hidden, Linear(b, "w3", up_in, width, options));
  } else if (plan.spec.gated_mlp) {
    const Value up = Linear(b, "w3", in, width, options);
    KeepUngathered(b, plan, x, in);
    hidden = Gate(b, plan.spec.activation, hidden, up);
  } else {
    hidden = Activate(b, "activation", plan.spec.activation, hidden);
  }
  options.normalized = false;
  const Value projected = Linear(b, "w2", hidden, plan.spec.hidden_size, options);
  b.last().holds = {in.index};
  const Value y = LeaveTensorParallel(b, plan, projected);
  b.SetPrefix("");
  return y;
}

Model BuildDecoder(const LayerPlan& plan) {
  Model model;
  const ModelSpec& spec = plan.spec;
  const bool experts = spec.experts.num_local_experts > 0;
  const int64_t dense = experts ? spec.experts.first_k_dense_replace : spec.num_hidden_layers;
  model.layers.push_back(EmbeddingLayer(plan));
  model.uses.push_back({0, "embedding", false, {}});
  uint32_t dense_layer = 0, expert_layer = 0;
  if (dense > 0) {
    dense_layer = static_cast<uint32_t>(model.layers.size());
    model.layers.push_back(Block(plan, false, "block"));
  }
  if (experts && dense < spec.num_hidden_layers) {
    expert_layer = static_cast<uint32_t>(model.layers.size());
    model.layers.push_back(Block(plan, true, "expert_block"));
  }
  for (int64_t i = 0; i < spec.num_hidden_layers; ++i)
    model.uses.push_back({i < dense ? dense_layer : expert_layer, "block." + std::to_string(i), true, {}});
  model.uses.push_back({static_cast<uint32_t>(model.layers.size()), "head", false, {}});
  model.layers.push_back(HeadLayer(plan));
  model.tokens_per_sample = plan.training.sequence_length;
  return model;
}

}  // namespace simulate
