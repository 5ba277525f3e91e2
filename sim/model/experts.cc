// Mixture-of-experts feed-forward: route, permute, exchange, grouped products, exchange back, weighted sum.
//
// Under sequence parallelism each tensor-parallel rank routes and exchanges its own part of the sequence; what arrives is
// gathered over the tensor-parallel ranks, each of which has a slice of every matrix, and scattered again before it goes
// back (Megatron-LM's MoEAlltoAllTokenDispatcher): the exchange moves 1/t of the tokens, the gather `chosen` times them.
// Rows that come from several ranks are sorted by expert where a rank has more than one.
//
// As Megatron-LM's grouped GEMM and torchtitan's run it: tokens are sorted by expert, so each matrix of all local
// experts is one grouped product (Megatron-LM's linear_fc1: gate and up in one). Routing is taken to be balanced. `capacity_factor` pads or drops to that share.
#include "sim/model/families.h"

namespace simulate {
namespace {

struct Routing {
  int64_t tokens = 0;         // of this rank
  int64_t experts = 0;        // of the model
  int64_t local_experts = 0;  // on this rank
  int64_t chosen = 0;         // per token
  int64_t rows = 0;           // that this rank sends to and receives for its experts
};

Routing RoutingOf(const LayerPlan& plan) {
  const ExpertsSpec& e = plan.spec.experts;
  Routing r;
  r.tokens = plan.local_tokens();
  r.experts = e.num_local_experts;
  r.local_experts = e.num_local_experts / plan.slice.expert;
  r.chosen = e.num_experts_per_tok;
  auto rows = static_cast<double>(r.tokens * r.chosen);
  if (e.capacity_factor > 0.0) rows *= e.capacity_factor;
  r.rows = RoundUp(static_cast<int64_t>(rows), r.local_experts * (plan.slice.sequence_parallel ? plan.slice.tensor : 1));
  return r;
}

// Scores of every expert, softmax (or sigmoid), the best of them, and the order in which tokens go: fp32 and small.
Value Route(LayerBuilder& b, const Routing& r, const Value& x) {
  Value logits = Linear(b, "router", x, r.experts);
  logits = Cast(b, "router_fp32", logits, DType::kFp32);
  const Value weights = b.NewTensor("router_weights", r.tokens, r.chosen, DType::kFp32);
  const Value scores = b.NewTensor("router_scores", r.tokens, r.experts, DType::kFp32, false);
  const Value order = b.NewTensor("expert_order", r.tokens, r.chosen, DType::kInt64, false);
  Operator& op = b.Add("route");
  op.inputs = {logits.index};
  op.outputs = {weights.index, scores.index, order.index};
  op.saved = {scores.index, order.index};
  const char* names[] = {"router_softmax", "router_top_k", "router_normalize", "expert_counts", "expert_sort"};
  for (const char* name : names)
    op.forward.push_back(MemoryKernel(name, MemoryAccess::kRowReduction, DType::kFp32, r.tokens, r.experts, scores.bytes(),
                                      weights.bytes() + order.bytes(), HostCall::kOperator));
  for (const char* name : {"router_top_k.backward", "router_softmax.backward"})
    op.backward.push_back(MemoryKernel(name, MemoryAccess::kRowReductionBackward, DType::kFp32, r.tokens, r.experts, scores.bytes(),
                                       scores.bytes(), HostCall::kAutogradNode));
  return weights;
}

// Rows in the order of their experts; the gradient adds each token's copies up again.
Value Permute(LayerBuilder& b, const LayerPlan& plan, const Routing& r, const Value& x) {
  const MemoryAccess sum = plan.training.fused_permutation ? MemoryAccess::kGather : MemoryAccess::kScatterAdd;
  const Value y = b.NewTensor("permuted", r.tokens * r.chosen, x.columns, x.dtype);
  Operator& op = b.Add("permute");
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.forward = {MemoryKernel("permute", MemoryAccess::kGather, x.dtype, y.rows, y.columns, y.bytes(), y.bytes(), HostCall::kOperator)};
  op.backward = {MemoryKernel("permute.backward", sum, x.dtype, y.rows, y.columns, y.bytes(), x.bytes(),
                              HostCall::kAutogradNode)};
  return y;
}

// What came from several ranks, in the order of this rank's experts, and back.
Value SortRows(LayerBuilder& b, const std::string& name, const Value& x) {
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  for (auto* kernels : {&op.forward, &op.backward})
    kernels->push_back(MemoryKernel(name, MemoryAccess::kGather, x.dtype, y.rows, y.columns, x.bytes(), y.bytes(),
                                    kernels == &op.forward ? HostCall::kOperator : HostCall::kAutogradNode));
  return y;
}

Value Exchange(LayerBuilder& b, const LayerPlan& plan, const std::string& name, Boundary boundary, const Value& x, int64_t rows) {
  if (plan.slice.expert == 1) return x;
  const Value y = b.NewTensor(name, rows, x.columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.boundary = boundary;
  op.boundary_bytes = x.bytes();
  return y;
}

// Back in token order, each token the sum of its experts' results by router weight.
Value Unpermute(LayerBuilder& b, const LayerPlan& plan, const Routing& r, const Value& x, const Value& weights) {
  const Value y = b.NewTensor("unpermuted", r.tokens, x.columns, x.dtype);
  Operator& op = b.Add("unpermute");
  op.inputs = {x.index, weights.index};
  op.outputs = {y.index};
  op.saved = {x.index, weights.index};
  if (plan.training.fused_permutation) {
    op.forward = {MemoryKernel("unpermute", MemoryAccess::kGather, x.dtype, x.rows, x.columns, x.bytes(), y.bytes(), HostCall::kOperator)};
    // The gradient of every copy, and its product with the copy, in one pass.
    op.backward = {MemoryKernel("unpermute.backward", MemoryAccess::kGather, x.dtype, x.rows, x.columns, 2 * x.bytes(),
                                x.bytes() + weights.bytes(), HostCall::kAutogradNode)};
    return y;
  }
  op.forward = {MemoryKernel("expert_weighting", MemoryAccess::kBroadcast, x.dtype, x.rows, x.columns, x.bytes(), x.bytes(), HostCall::kOperator),
                MemoryKernel("unpermute", MemoryAccess::kScatterAdd, x.dtype, x.rows, x.columns, x.bytes(), y.bytes(), HostCall::kOperator)};
  op.forward_workspace = x.bytes();
  op.backward = {MemoryKernel("unpermute.backward", MemoryAccess::kGather, x.dtype, x.rows, x.columns, x.bytes(), x.bytes(), HostCall::kAutogradNode),
                 MemoryKernel("expert_weighting.backward", MemoryAccess::kBroadcast, x.dtype, x.rows, x.columns, x.bytes(), x.bytes(), HostCall::kAutogradNode),
                 MemoryKernel("router_weight_gradient", MemoryAccess::kRowReduction, x.dtype, x.rows, x.columns, 2 * x.bytes(), weights.bytes(), HostCall::kOperator)};
  op.backward_workspace = x.bytes();
  return y;
}

Value GroupedLinear(LayerBuilder& b, const std::string& name, const Routing& r, const Value& x, int64_t out) {
  LinearOptions options;
  options.batch = r.local_experts;
  options.expert = true;
  return Linear(b, name, x, out, options);
}

}  // namespace

Value ExpertFeedForward(LayerBuilder& b, const LayerPlan& plan, const Value& x) {
  const ModelSpec& spec = plan.spec;
  const Routing r = RoutingOf(plan);
  const int64_t intermediate = spec.experts.moe_intermediate_size > 0 ? spec.experts.moe_intermediate_size : spec.intermediate_size;
  const int64_t width = intermediate / plan.slice.tensor;
  b.SetPrefix("experts.");
  const bool sequence = plan.slice.sequence_parallel && plan.slice.tensor > 1;
  const Value in = sequence ? x : EnterTensorParallel(b, plan, x, plan.tokens());
  const Value weights = Route(b, r, in);
  Value rows = Exchange(b, plan, "dispatch", Boundary::kExpertDispatch, Permute(b, plan, r, in), r.rows);
  if (plan.slice.expert == 1 && rows.rows != r.rows) rows = {rows.index, rows.dtype, r.rows, rows.columns};
  if (sequence) rows = EnterTensorParallel(b, plan, rows, r.rows * plan.slice.tensor);
  const bool sorts = r.local_experts > 1 && (plan.slice.expert > 1 || sequence);
  if (sorts) rows = SortRows(b, "sort_by_expert", rows);
  const bool joined = spec.gated_mlp && plan.megatron() && !b.numerics().lora.on();
  Value hidden = GroupedLinear(b, joined ? "w1_w3" : "w1", r, rows, joined ? 2 * width : width);
  if (joined) {
    hidden = GateHalves(b, hidden);
  } else if (spec.gated_mlp) {
    const Value up = GroupedLinear(b, "w3", r, rows, width);
    hidden = Gate(b, spec.activation, hidden, up);
  } else {
    hidden = Activate(b, "activation", spec.activation, hidden);
  }
  Value out = GroupedLinear(b, "w2", r, hidden, spec.hidden_size);
  if (sorts) out = SortRows(b, "sort_by_rank", out);
  if (sequence) out = LeaveTensorParallel(b, plan, out);
  out = Exchange(b, plan, "combine", Boundary::kExpertCombine, out, r.tokens * r.chosen);
  out = Unpermute(b, plan, r, out, weights);
  if (!sequence) out = LeaveTensorParallel(b, plan, out);
  b.SetPrefix("");
  if (spec.experts.n_shared_experts > 0)
    out = ResidualAdd(b, "shared_expert_sum", FeedForward(b, plan, x, intermediate * spec.experts.n_shared_experts), out);
  return out;
}

}  // namespace simulate
