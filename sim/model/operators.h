// The operators of a transformer as eager PyTorch 2.11 launches them: kernels forward and backward,
// what autograd saves, and how the host gets there. Checked against profiles and allocator traces of
// real steps (H200); where several implementations exist, the source says which this is.
//
// Each function appends to the builder and returns the result. Under Numerics::autocast matmuls cast
// their operands, so linear layers also append cast operators (of the input and of the weight).
#pragma once

#include <string>

#include "sim/model/layer_builder.h"

namespace simulate {

struct LinearOptions {
  bool bias = false;
  bool tied = false;           // the weight is another layer's
  bool expert = false;
  bool logits = false;         // the result is logits
  bool quantized = true;       // in fp8 where products are; never the one that makes logits
  bool normalized = false;     // x comes from a norm, which writes fp8 itself where Transformer Engine joins the two
  int64_t batch = 1;           // as many equal, independent products (experts), rows in total
};
Value Linear(LayerBuilder& b, const std::string& name, const Value& x, int64_t out_features, const LinearOptions& options = {});

// torch.nn.functional.layer_norm: saves its input, mean and 1/deviation.
Value LayerNorm(LayerBuilder& b, const std::string& name, const Value& x, bool bias);
// torch.nn.functional.rms_norm, fused since PyTorch 2.9: saves its input and 1/rms.
Value RmsNorm(LayerBuilder& b, const std::string& name, const Value& x);
// RMSNorm from elementwise calls, as T5LayerNorm and LLaMA's own code: cast, pow, mean, add, rsqrt, mul, cast, mul.
// T5's normalizes (and so keeps) the 16-bit input, LLaMA's its fp32 copy.
Value ComposedRmsNorm(LayerBuilder& b, const std::string& name, const Value& x, bool keeps_narrow = true);
// The same in the input's type, its result cast to fp32 and back: x * rsqrt(mean(x^2) + e), .float().type_as(x), * weight.
Value NarrowRmsNorm(LayerBuilder& b, const std::string& name, const Value& x);

// Elementwise function of one argument; saves its input (relu: its result).
Value Activate(LayerBuilder& b, const std::string& name, Activation activation, const Value& x);
// a * c, element by element; saves both.
Value Multiply(LayerBuilder& b, const std::string& name, const Value& a, const Value& c);
// act(gate) * up; one kernel each way when numerics are fused.
Value Gate(LayerBuilder& b, Activation activation, const Value& gate, const Value& up);
// The same of [gate, up] in one tensor, as one product wrote them. REQUIRES: fused numerics.
Value GateHalves(LayerBuilder& b, const Value& both);
// x times a number that is not learned; saves nothing.
Value Scale(LayerBuilder& b, const std::string& name, const Value& x);
// x + y into the residual stream; of x's type. Saves nothing.
Value ResidualAdd(LayerBuilder& b, const std::string& name, const Value& x, const Value& y);
// x + dropout(y); one kernel when numerics are fused (Megatron's bias_dropout_add, the bias in the GEMM).
Value DropoutAdd(LayerBuilder& b, const std::string& name, const Value& x, const Value& y, double p);
// Inverted dropout, saves a mask of one byte per element; nothing at all for p = 0.
Value Dropout(LayerBuilder& b, const std::string& name, const Value& x, double p);
Value Cast(LayerBuilder& b, const std::string& name, const Value& x, DType to, HostCall host = HostCall::kOperator);
// A strided view made contiguous; its backward is free (`copies_back`: another such copy).
Value Contiguous(LayerBuilder& b, const std::string& name, const Value& x, bool copies_back);

// Rotary position embedding of x [tokens, heads x head_dim], with precomputed rotations (rotary.cc). `share` of the
// columns are rotated.
Value Rotary(LayerBuilder& b, const std::string& name, const Value& x, RotaryImplementation how, double share = 1.0);

struct AttentionDims {
  int64_t batch = 0;
  int64_t query_heads = 0;
  int64_t key_value_heads = 0;
  int64_t query_length = 0;
  int64_t key_length = 0;
  int64_t head_dim = 0;
  int64_t value_dim = 0;       // 0: head_dim
  bool causal = true;
  [[nodiscard]] int64_t values() const { return value_dim > 0 ? value_dim : head_dim; }
};
// Something added to the scores.
struct ScoreBias {
  bool present = false;
  Value bias;                  // [query_heads x query, key], for every sample alike
  bool masked = false;         // bias + causal mask is made for every sample first
  bool strided = false;        // the bias is a permuted view: its reads are not coalesced
  bool math = false;           // PyTorch's math path of scaled_dot_product_attention: fp32, q and k scaled first, safe softmax
};
// Queries, keys and values of a packed projection as views of it, which keep all of it until their gradients are put
// together: columns of q and of each of k and v.
struct PackedViews {
  Value q, k, v;
};
PackedViews ViewPacked(LayerBuilder& b, const Value& packed, int64_t query_columns, int64_t key_columns);
// One fused kernel each way (FlashAttention, cuDNN; memory-efficient if there is a bias): saves q, k, v, result,
// bias and the log-sum-exp per row. The gradients of a packed q = k = v are put together at the end.
Value FusedAttention(LayerBuilder& b, const AttentionDims& dims, const Value& q, const Value& k, const Value& v,
                     AttentionKernel kernel, double dropout, const ScoreBias& bias = {});
// matmul, scale, mask, softmax, dropout, matmul, as separate kernels on the whole score matrix.
// `fused_softmax`: Megatron-LM's, which scales, masks and normalizes in one kernel.
Value UnfusedAttention(LayerBuilder& b, const AttentionDims& dims, const Value& q, const Value& k, const Value& v,
                       double dropout, const ScoreBias& bias, bool fused_softmax = false);

// The logits of all tensor-parallel ranks side by side: gathered into a list, then concatenated.
Value GatherLogits(LayerBuilder& b, const Value& logits, int64_t vocabulary);
// Look-up of `tokens` rows in a table; gradient by sorted scatter-add into a zeroed table.
Value Embedding(LayerBuilder& b, const std::string& name, int64_t tokens, int64_t vocabulary, int64_t hidden, bool tied);
// x + table[:length], a table of max_length rows.
Value AddPositions(LayerBuilder& b, const Value& x, int64_t samples, int64_t max_length);
enum class LossKernel : uint8_t {
  kComposed,         // logits.float(), log_softmax, nll_loss
  kDirect,           // log_softmax and nll_loss on the logits as they are
  kFused,            // flash-attn's: reads 16-bit logits, keeps a number per row (llm-foundry)
  kVocabularyParallel, // Megatron's: fp32 copy turned into probabilities in place; three reductions of a number per row
};
// Cross-entropy over rows of logits; the last operator of a model. `metrics`: how often a trainer evaluates it again, in
// fp32 and without gradients, to log it (Composer's LanguageCrossEntropy and LanguagePerplexity, every micro-batch).
void CrossEntropy(LayerBuilder& b, const Value& logits, LossKernel kernel, int64_t metrics = 0);

}  // namespace simulate
