// Attention: one fused kernel, or matmul, softmax, matmul on the whole score matrix.
#include "sim/base/check.h"
#include "sim/model/operators.h"

namespace simulate {
namespace {

constexpr double kTwoPerMultiplyAdd = 2.0;

// Both products, the whole square: causal masks are not counted off (the FLOPs convention of model.h).
Flops AttentionFlops(const AttentionDims& d) {
  return Flops(kTwoPerMultiplyAdd * static_cast<double>(d.batch * d.query_heads) * static_cast<double>(d.query_length) *
               static_cast<double>(d.key_length) * static_cast<double>(d.head_dim + d.values()));
}

Kernel AttentionKernelOf(const AttentionDims& d, AttentionKernel kernel, bool backward, DType dtype, Bytes read, Bytes written) {
  Kernel k;
  k.name = backward ? "attention.backward" : "attention";
  k.host = backward ? HostCall::kAutogradNode : HostCall::kOperator;
  k.work.kind = KernelKind::kAttention;
  k.work.dtype = dtype;
  k.work.attention = {d.batch, d.query_heads, d.key_value_heads, d.query_length, d.key_length, d.head_dim, d.causal, backward, kernel, d.value_dim};
  // The backward recomputes the scores (5 products for the forward's 2); by convention it counts as 4.
  k.work.flops = AttentionFlops(d) * (backward ? 2.0 : 1.0);
  k.work.read = read;
  k.work.written = written;
  return k;
}

// A strided tensor made contiguous, coalesced but not vectorised: [B, s, H, d] to [B, H, s, d]. Its gradient is
// copied back the same way.
Value HeadsFirst(LayerBuilder& b, const std::string& name, const Value& x, MemoryAccess access = MemoryAccess::kTranspose) {
  const Value y = Contiguous(b, name, x, true);
  Operator& op = b.last();
  op.forward[0].work.access = access;
  op.backward[0].work.access = access;
  op.forward_views = 2;
  op.backward_views = 2;
  return y;
}

// C = A x B for every head of every sample; both operands are saved. Autocast does not reach into `math`, which is
// inside of an operator it has cast for already.
Value BatchedMatmul(LayerBuilder& b, const std::string& name, Value left, Value right, int64_t batch, int64_t m, int64_t n,
                    int64_t k, bool math) {
  Numerics numerics = b.numerics();
  if (numerics.autocast && !math) {
    left = Cast(b, name + ".left_cast", left, numerics.compute, HostCall::kCast);
    right = Cast(b, name + ".right_cast", right, numerics.compute, HostCall::kCast);
  }
  numerics.compute = left.dtype;
  if (left.dtype == DType::kFp32 && numerics.multiply != DType::kTf32) numerics.multiply = DType::kFp32;
  const Value y = b.NewTensor(name, batch * m, n, left.dtype);
  Operator& op = b.Add(name);
  op.inputs = {left.index, right.index};
  op.outputs = {y.index};
  op.saved = {left.index, right.index};
  op.forward = {GemmKernel(name, {batch, m, n, k, GemmPass::kForward}, numerics, HostCall::kOperator)};
  op.backward = {GemmKernel(name + ".right_gradient", {batch, k, n, m, GemmPass::kWeightGradient}, numerics, HostCall::kAutogradNode),
                 GemmKernel(name + ".left_gradient", {batch, m, k, n, GemmPass::kDataGradient}, numerics, HostCall::kOperator)};
  op.forward_views = 2;
  op.backward_views = 3;
  op.model_flops = op.forward[0].work.flops;
  return y;
}

// Megatron-LM scales inside the product (baddbmm with alpha = 1 / norm_factor); PyTorch's formula for its gradients multiplies
// both by alpha afterwards (derivatives.yaml: maybe_multiply).
void ScaleInProduct(Operator& op, const Value& left, const Value& right) {
  SIM_CHECK(op.backward.size() == 2, "a product has two gradients");
  op.backward.insert(op.backward.begin() + 1, ElementwiseKernel("scores.right_scale", right, 1, HostCall::kInner));
  op.backward.push_back(ElementwiseKernel("scores.left_scale", left, 1, HostCall::kInner));
}

// Megatron-LM's softmax for causal scores (megatron/fused_kernels/scaled_upper_triang_masked_softmax.h) is one kernel each
// way, which reads the lower triangle only.
Value TriangularSoftmax(LayerBuilder& b, const Value& scores) {
  const Value y = b.NewTensor("softmax", scores.rows, scores.columns, scores.dtype);
  const Bytes half = DivCeil(scores.bytes(), 2);
  Operator& op = b.Add("softmax");
  op.inputs = {scores.index};
  op.outputs = {y.index};
  op.saved = {y.index};
  // Its autograd.Function is written in Python and makes a tensor of the scale.
  op.forward_views = 5;
  op.backward_views = 5;
  op.forward = {MemoryKernel("softmax", MemoryAccess::kSoftmax, scores.dtype, scores.rows, scores.columns, half, scores.bytes(),
                             HostCall::kOperator)};
  op.backward = {MemoryKernel("softmax.backward", MemoryAccess::kRowReductionBackward, scores.dtype, scores.rows, scores.columns,
                              2 * half, scores.bytes(), HostCall::kAutogradNode)};
  return y;
}

// FusedScaleMaskSoftmax.is_kernel_available (megatron/model/fused_softmax.py): four blocks of rows at a time, eight of
// short ones. Otherwise torch's operators in fp32 take its place.
bool MegatronSoftmaxCovers(const AttentionDims& d) {
  const int64_t at_once = d.key_length <= 128 ? 8 : 4;
  return d.key_length > 16 && d.key_length <= 16384 && d.query_length % 4 == 0 && (d.batch * d.query_heads) % at_once == 0;
}

Value Softmax(LayerBuilder& b, const Value& scores) {
  const Value y = b.NewTensor("softmax", scores.rows, scores.columns, scores.dtype);
  Operator& op = b.Add("softmax");
  op.inputs = {scores.index};
  op.outputs = {y.index};
  op.saved = {y.index};
  op.forward = {MemoryKernel("softmax", MemoryAccess::kSoftmax, scores.dtype, scores.rows, scores.columns, scores.bytes(),
                             scores.bytes(), HostCall::kOperator)};
  // aten/src/ATen/native/cuda/SoftMax.cu: grad * output is a kernel and a temporary of its own.
  op.backward = {ElementwiseKernel("softmax.backward_product", scores, 2, HostCall::kAutogradNode),
                 MemoryKernel("softmax.backward", MemoryAccess::kRowReductionBackward, scores.dtype, scores.rows, scores.columns,
                              2 * scores.bytes(), scores.bytes(), HostCall::kOperator)};
  op.backward_workspace = scores.bytes();
  return y;
}

// _safe_softmax zeroes rows that were masked altogether: is -inf, all, where. One autograd node with softmax's
// own backward; the plain softmax is a temporary.
void MakeSafe(LayerBuilder& b, const Value& scores) {
  Operator& op = b.last();
  const Bytes flags = SizeOf(DType::kBool, scores.elements());
  op.forward.push_back(MemoryKernel("safe_softmax.is_masked", MemoryAccess::kElementwise, scores.dtype, scores.rows, scores.columns,
                                    scores.bytes(), flags, HostCall::kOperator));
  op.forward.push_back(MemoryKernel("safe_softmax.all_masked", MemoryAccess::kRowReduction, DType::kBool, scores.rows,
                                    scores.columns, flags, SizeOf(DType::kBool, scores.rows), HostCall::kOperator));
  op.forward.push_back(MemoryKernel("safe_softmax.where", MemoryAccess::kBroadcast, scores.dtype, scores.rows, scores.columns,
                                    scores.bytes(), scores.bytes(), HostCall::kOperator));
  op.forward_workspace = scores.bytes() + flags;
}

// scores + bias, the bias broadcast over samples unless it was made for each; of the wider of their types. The
// gradient of a broadcast bias is summed over samples.
Value AddBias(LayerBuilder& b, const AttentionDims& d, const Value& scores, const ScoreBias& bias, const Value& added, bool broadcast) {
  const DType type = SizeOf(added.dtype, 1) > SizeOf(scores.dtype, 1) ? added.dtype : scores.dtype;
  const bool mixed = scores.dtype != added.dtype;
  const Value y = bias.math ? scores : b.NewTensor("biased_scores", scores.rows, scores.columns, type);
  Operator& op = b.Add("score_bias");
  op.inputs = {scores.index, added.index};
  op.in_place = bias.math;
  if (!op.in_place) op.outputs = {y.index};
  const MemoryAccess access = bias.strided && broadcast ? MemoryAccess::kStrided
                              : mixed                   ? MemoryAccess::kMixedTypes
                                                        : MemoryAccess::kBroadcast;
  op.forward = {MemoryKernel("score_bias", access, type, scores.rows, scores.columns, scores.bytes() + added.bytes(), y.bytes(),
                             HostCall::kOperator)};
  if (y.dtype == scores.dtype && !op.in_place) op.passes_gradient_to.push_back(scores.index);
  if (y.dtype != scores.dtype)
    op.backward.push_back(CastKernel("score_bias.gradient_cast", type, scores.dtype, scores.elements(), HostCall::kAutogradNode));
  if (!broadcast) op.passes_gradient_to.push_back(added.index);
  else if (b.tensor(added).differentiable)
    op.backward.push_back(MemoryKernel("score_bias.gradient", MemoryAccess::kColumnReduction, type, d.batch, added.elements(),
                                       y.bytes(), SizeOf(type, added.elements()), HostCall::kOperator));
  return y;
}

// bias + mask for every sample, as Hugging Face's T5 does anew in every decoder block.
Value MaskBias(LayerBuilder& b, const AttentionDims& d, const ScoreBias& bias) {
  const Value y = b.NewTensor("masked_bias", d.batch * bias.bias.rows, bias.bias.columns, bias.bias.dtype);
  Operator& op = b.Add("mask_bias");
  op.inputs = {bias.bias.index};
  op.outputs = {y.index};
  op.forward = {MemoryKernel("mask_bias", bias.strided ? MemoryAccess::kStrided : MemoryAccess::kBroadcast, y.dtype, y.rows,
                             y.columns, bias.bias.bytes(), y.bytes(), HostCall::kOperator)};
  op.backward = {MemoryKernel("mask_bias.gradient", MemoryAccess::kColumnReduction, y.dtype, d.batch, bias.bias.elements(),
                              y.bytes(), bias.bias.bytes(), HostCall::kAutogradNode)};
  return y;
}

}  // namespace

Value FusedAttention(LayerBuilder& b, const AttentionDims& d, const Value& q, const Value& k, const Value& v, AttentionKernel kernel,
                     double dropout, const ScoreBias& bias) {
  const DType type = q.dtype;
  const int64_t tokens = d.batch * d.query_length, keys = d.batch * d.key_length;
  const Value out = b.NewTensor("attention", tokens, d.query_heads * d.values(), type);
  const Value sums = b.NewTensor("attention.logsumexp", d.batch * d.query_heads, d.query_length, DType::kFp32, false);
  const Bytes q_bytes = SizeOf(type, tokens * d.query_heads * d.head_dim);
  const Bytes kv_bytes = SizeOf(type, keys * d.key_value_heads * (d.head_dim + d.values()));
  const bool packed = q.index == k.index;

  Operator& op = b.Add("attention");
  op.inputs = {q.index};
  if (!packed) op.inputs.insert(op.inputs.end(), {k.index, v.index});
  op.outputs = {out.index, sums.index};
  op.saved = op.inputs;
  op.saved.insert(op.saved.end(), {out.index, sums.index});
  op.forward = {AttentionKernelOf(d, kernel, false, type, q_bytes + kv_bytes, out.bytes() + sums.bytes())};
  // View and transpose of q, k, v and of the result; choosing a kernel and describing it to its library takes as
  // long as a dozen more (profile of a host-bound step: three times an elementwise operator, both ways).
  op.forward_views = op.backward_views = (packed ? 6 : 8) + 12;
  // dQ is gathered in fp32 and converted at the end; per row one number more (FlashAttention-2, cuDNN alike).
  const Bytes accumulator = SizeOf(DType::kFp32, tokens * d.query_heads * d.head_dim);
  op.backward = {AttentionKernelOf(d, kernel, true, type, q_bytes + kv_bytes + 2 * out.bytes() + sums.bytes(), q_bytes + kv_bytes)};
  op.backward_workspace = accumulator + sums.bytes();
  if (d.key_value_heads != d.query_heads) {
    // dK and dV come out per query head and are summed over each group.
    const int64_t wide = keys * d.query_heads * d.head_dim, narrow = keys * d.key_value_heads * d.head_dim;
    for (const char* name : {"key_gradient_sum", "value_gradient_sum"})
      op.backward.push_back(MemoryKernel(name, MemoryAccess::kRowReduction, type, keys * d.key_value_heads, d.head_dim,
                                         SizeOf(type, wide), SizeOf(type, narrow), HostCall::kInner));
    op.backward_workspace += SizeOf(type, 2 * wide);
  }
  if (packed) {
    // The three gradients are made apart and put together.
    op.backward.push_back(MemoryKernel("qkv_gradient", MemoryAccess::kBroadcast, type, tokens, q.columns, q_bytes + kv_bytes,
                                       q_bytes + kv_bytes, HostCall::kAutogradNode));
    op.backward_workspace += q_bytes + kv_bytes;
  }
  if (bias.present) {
    op.inputs.push_back(bias.bias.index);
    op.saved.push_back(bias.bias.index);
    op.forward[0].work.read += bias.bias.bytes();
    op.backward[0].work.read += bias.bias.bytes();
    if (b.tensor(bias.bias).differentiable) {
      // The kernel writes a gradient for every sample; they are summed afterwards.
      const Bytes every = SizeOf(type, d.batch * bias.bias.elements());
      op.backward[0].work.written += every;
      op.backward.push_back(MemoryKernel("score_bias.gradient", MemoryAccess::kColumnReduction, type, d.batch, bias.bias.elements(),
                                         every, bias.bias.bytes(), HostCall::kOperator));
      op.backward_workspace += every;
    }
  }
  (void)dropout;  // drawn inside the kernel, from a seed of 8 bytes
  op.model_flops = AttentionFlops(d);
  return out;
}

namespace {

// q, k and v of a packed projection on their own. Eager code copies them heads first; Megatron reads them where
// they are (kept here as three tensors whose sum is the packed one). The gradient is put together again.
void SplitPacked(LayerBuilder& b, const AttentionDims& d, Value& q, Value& k, Value& v) {
  const Value packed = q;
  const int64_t kv_columns = d.key_value_heads * d.head_dim;
  q = b.NewTensor("query", packed.rows, d.query_heads * d.head_dim, packed.dtype);
  k = b.NewTensor("key", packed.rows, kv_columns, packed.dtype);
  v = b.NewTensor("value", packed.rows, kv_columns, packed.dtype);
  Operator& op = b.Add("split_qkv");
  op.inputs = {packed.index};
  op.outputs = {q.index, k.index, v.index};
  if (!b.numerics().fused)
    for (const Value& part : {q, k, v})
      op.forward.push_back(MemoryKernel("split_qkv", MemoryAccess::kBroadcast, part.dtype, part.rows, part.columns, part.bytes(),
                                        part.bytes(), HostCall::kOperator));
  op.forward_views = 7;
  op.backward = {MemoryKernel("split_qkv.backward", MemoryAccess::kBroadcast, packed.dtype, packed.rows, packed.columns,
                              packed.bytes(), packed.bytes(), HostCall::kAutogradNode)};
  op.backward_views = 7;
}

// Keys or values repeated for the query heads that share them (repeat_kv).
Value RepeatHeads(LayerBuilder& b, const AttentionDims& d, const std::string& name, const Value& x, int64_t head_dim) {
  if (d.key_value_heads == d.query_heads) return x;
  const Value y = b.NewTensor(name, x.rows, d.query_heads * head_dim, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.forward = {MemoryKernel(name, MemoryAccess::kBroadcast, x.dtype, y.rows, y.columns, x.bytes(), y.bytes(), HostCall::kOperator)};
  op.backward = {MemoryKernel(name + ".backward", MemoryAccess::kRowReduction, x.dtype, x.rows, x.columns, y.bytes(), x.bytes(),
                              HostCall::kAutogradNode)};
  return y;
}

// Scores of later positions replaced, when no bias carries the mask.
Value MaskScores(LayerBuilder& b, const Value& scores) {
  const Value y = b.NewTensor("masked_scores", scores.rows, scores.columns, scores.dtype);
  Operator& op = b.Add("causal_mask");
  op.inputs = {scores.index};
  op.outputs = {y.index};
  for (auto* kernels : {&op.forward, &op.backward})
    kernels->push_back(MemoryKernel("causal_mask", MemoryAccess::kBroadcast, scores.dtype, scores.rows, scores.columns, scores.bytes(),
                                    scores.bytes(), kernels == &op.forward ? HostCall::kOperator : HostCall::kAutogradNode));
  return y;
}

}  // namespace

PackedViews ViewPacked(LayerBuilder& b, const Value& packed, int64_t query_columns, int64_t key_columns) {
  PackedViews views{b.NewTensor("query", packed.rows, query_columns, packed.dtype),
                    b.NewTensor("key", packed.rows, key_columns, packed.dtype),
                    b.NewTensor("value", packed.rows, key_columns, packed.dtype)};
  Operator& op = b.Add("view_qkv");
  op.inputs = {packed.index};
  op.outputs = {views.q.index, views.k.index, views.v.index};
  op.saved = {packed.index};
  for (const TensorIndex view : op.outputs) b.tensor({view, packed.dtype, 0, 0}).bytes = Bytes(0);  // storage is the packed one's
  op.forward_views = 7;
  op.backward = {MemoryKernel("view_qkv.backward", MemoryAccess::kBroadcast, packed.dtype, packed.rows, packed.columns,
                              packed.bytes(), packed.bytes(), HostCall::kAutogradNode)};
  op.backward_views = 7;
  return views;
}

Value UnfusedAttention(LayerBuilder& b, const AttentionDims& d, const Value& q, const Value& k, const Value& v, double dropout,
                       const ScoreBias& bias, bool fused_softmax) {
  const int64_t heads = d.batch * d.query_heads;
  const DType type = q.dtype;
  const DType wide = bias.math ? DType::kFp32 : type;  // PyTorch's math path computes 16-bit attention in fp32
  const bool strided = b.numerics().fused || fused_softmax;  // Megatron: strided products, scale and mask inside softmax
  const bool megatron = b.numerics().megatron || fused_softmax;
  const bool torch_softmax = megatron && !MegatronSoftmaxCovers(d);
  const bool fused = strided && !torch_softmax;
  Value left = q, right = k, values = v, added = bias.bias;
  if (q.index == k.index) SplitPacked(b, d, left, right, values);
  const bool copy = !strided && q.index != k.index;
  right = RepeatHeads(b, d, "repeat_keys", right, d.head_dim);
  values = RepeatHeads(b, d, "repeat_values", values, d.values());
  if (bias.math) {
    left = Scale(b, "query_scale", Cast(b, "query_fp32", left, wide));
    right = Scale(b, "key_scale", Cast(b, "key_fp32", right, wide));
    values = Cast(b, "value_fp32", values, wide);
  }
  if (bias.present && bias.masked) added = MaskBias(b, d, bias);
  if (copy) left = HeadsFirst(b, "query_heads", left);
  if (copy) right = HeadsFirst(b, "key_heads", right, MemoryAccess::kTransposeInner);
  Value scores = BatchedMatmul(b, "scores", left, right, heads, d.query_length, d.key_length, d.head_dim, bias.math);
  if (strided) ScaleInProduct(b.last(), left, right);
  if (torch_softmax) scores = Cast(b, "scores_fp32", scores, DType::kFp32);
  if (!bias.math && !fused) scores = Scale(b, "score_scale", scores);
  if (bias.present) scores = AddBias(b, d, scores, bias, added, !bias.masked);
  if (d.causal && !bias.present && !fused) scores = MaskScores(b, scores);
  const bool triangular = megatron && fused && d.causal && !bias.present;
  Value weights = triangular ? TriangularSoftmax(b, scores) : Softmax(b, scores);
  if (torch_softmax) weights = Cast(b, "softmax_16bit", weights, type);
  if (bias.math) MakeSafe(b, scores);
  // The dropout after it swaps the state of the random numbers there and back (get_cuda_rng_tracker().fork()).
  if (megatron && strided) b.last().forward_views += 10;
  weights = Dropout(b, "attention_dropout", weights, dropout);
  if (copy) values = HeadsFirst(b, "value_heads", values);
  Value out = BatchedMatmul(b, "attention", weights, values, heads, d.query_length, d.values(), d.key_length, bias.math);
  if (bias.math) {  // the weights are returned in 16 bit too, and dropped
    Operator& op = b.last();
    op.forward.push_back(CastKernel("attention_weights_cast", wide, type, weights.elements(), HostCall::kOperator));
    op.forward_workspace = SizeOf(type, weights.elements());
  }
  out = Cast(b, "attention_cast", out, type);
  out = HeadsFirst(b, "attention_rows", out);
  out.rows = d.batch * d.query_length;
  out.columns = d.query_heads * d.values();
  return out;
}

}  // namespace simulate
