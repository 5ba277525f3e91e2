// Multi-head latent attention (DeepSeek-V2, section 2.1; V3's config.json names): queries, keys and values come
// out of low-rank projections; only a small part of each head is rotated, and all heads share that part of the key.
#include "sim/model/families.h"

namespace simulate {
namespace {

// Columns [0, columns) of x on their own: a copy, whose gradient is put back.
Value CopyColumns(LayerBuilder& b, const std::string& name, const Value& x, int64_t columns) {
  const Value y = b.NewTensor(name, x.rows, columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.forward = {ElementwiseKernel(name, y, 1, HostCall::kOperator)};
  op.backward = {ElementwiseKernel(name + ".backward", y, 1, HostCall::kAutogradNode)};
  return y;
}

// Keys of every head from their own part and the shared rotated one, and values, each contiguous.
std::pair<Value, Value> KeysAndValues(LayerBuilder& b, const Value& kv, const Value& shared, int64_t heads, const LatentAttentionSpec& l) {
  const Value k = b.NewTensor("keys", kv.rows, heads * (l.qk_nope_head_dim + l.qk_rope_head_dim), kv.dtype);
  const Value v = b.NewTensor("values", kv.rows, heads * l.v_head_dim, kv.dtype);
  Operator& op = b.Add("keys_values");
  op.inputs = {kv.index, shared.index};
  op.outputs = {k.index, v.index};
  op.forward = {MemoryKernel("keys", MemoryAccess::kBroadcast, k.dtype, k.rows, k.columns, k.bytes(), k.bytes(), HostCall::kOperator),
                MemoryKernel("values", MemoryAccess::kBroadcast, v.dtype, v.rows, v.columns, v.bytes(), v.bytes(), HostCall::kOperator)};
  op.forward_views = 6;
  op.backward = {MemoryKernel("keys_values.backward", MemoryAccess::kBroadcast, kv.dtype, kv.rows, kv.columns, kv.bytes(), kv.bytes(),
                              HostCall::kAutogradNode),
                 MemoryKernel("shared_key.gradient", MemoryAccess::kColumnReduction, kv.dtype, heads, kv.rows * l.qk_rope_head_dim,
                              SizeOf(kv.dtype, kv.rows * heads * l.qk_rope_head_dim), shared.bytes(), HostCall::kAutogradNode)};
  op.backward_views = 6;
  return {k, v};
}

// Megatron-LM's with its positions fused (fused_mla_yarn_rope_apply.py, Triton): one kernel reads the up-projection and the shared
// part of the key, rotates it and writes keys and values; one does the reverse. 87 % of the bandwidth on H100.
std::pair<Value, Value> FusedKeysAndValues(LayerBuilder& b, const Value& kv, const Value& down, int64_t heads, const LatentAttentionSpec& l) {
  const Value k = b.NewTensor("keys", kv.rows, heads * (l.qk_nope_head_dim + l.qk_rope_head_dim), kv.dtype);
  const Value v = b.NewTensor("values", kv.rows, heads * l.v_head_dim, kv.dtype);
  const Bytes shared = SizeOf(kv.dtype, kv.rows * l.qk_rope_head_dim);
  Operator& op = b.Add("keys_values");
  op.inputs = {kv.index, down.index};
  op.outputs = {k.index, v.index};
  op.forward = {MemoryKernel("keys_values", MemoryAccess::kGather, k.dtype, k.rows, k.columns, kv.bytes() + shared,
                             k.bytes() + v.bytes(), HostCall::kOperator)};
  op.backward = {MemoryKernel("keys_values.backward", MemoryAccess::kGather, k.dtype, k.rows, k.columns, k.bytes() + v.bytes(),
                              kv.bytes() + shared, HostCall::kAutogradNode)};
  return {k, v};
}

// Whether rotations are Megatron-LM's Triton kernels. Theirs of queries reads pairs in place and is as slow as an unvectorised
// operator: 78 us for 4,096 x 128 parts of 64 on H100.
bool FusesRotations(const LayerPlan& plan) { return plan.megatron() && plan.rotary() == RotaryImplementation::kFused; }

Value Queries(LayerBuilder& b, const LayerPlan& plan, const Value& in) {
  const LatentAttentionSpec& l = plan.spec.latent_attention;
  const int64_t head = l.qk_nope_head_dim + l.qk_rope_head_dim;
  Value q = in;
  if (l.q_lora_rank > 0) q = RmsNorm(b, "q_norm", Linear(b, "q_down", in, l.q_lora_rank));
  q = Linear(b, "q_up", q, plan.heads() * head);
  const Value rotated = Rotary(b, "q_rotary", q, plan.rotary(), static_cast<double>(l.qk_rope_head_dim) / static_cast<double>(head));
  if (FusesRotations(plan)) {
    Operator& op = b.last();
    op.forward[0].work.access = op.backward[0].work.access = MemoryAccess::kBroadcast;
  }
  return rotated;
}

}  // namespace

Value LatentAttention(LayerBuilder& b, const LayerPlan& plan, const Value& x) {
  const LatentAttentionSpec& l = plan.spec.latent_attention;
  b.SetPrefix("attention.");
  const Value in = EnterTensorParallel(b, plan, x, plan.tokens());
  const Value q = Queries(b, plan, in);
  const Value down = Linear(b, "kv_down", in, l.kv_lora_rank + l.qk_rope_head_dim);
  const Value latent = RmsNorm(b, "kv_norm", CopyColumns(b, "latent", down, l.kv_lora_rank));
  const bool fused = FusesRotations(plan);
  Value shared = down;
  if (!fused) shared = Rotary(b, "k_rotary", CopyColumns(b, "shared_key", down, l.qk_rope_head_dim), plan.rotary());
  const Value kv = Linear(b, "kv_up", latent, plan.heads() * (l.qk_nope_head_dim + l.v_head_dim));
  const auto [k, v] = fused ? FusedKeysAndValues(b, kv, down, plan.heads(), l) : KeysAndValues(b, kv, shared, plan.heads(), l);
  AttentionDims d;
  d.query_heads = d.key_value_heads = plan.heads();
  d.head_dim = l.qk_nope_head_dim + l.qk_rope_head_dim;
  d.value_dim = l.v_head_dim;
  const Value out = CoreAttention(b, plan, d, q, k, v);
  const Value y = LeaveTensorParallel(b, plan, Linear(b, "o", out, plan.spec.hidden_size));
  b.SetPrefix("");
  return y;
}

}  // namespace simulate
