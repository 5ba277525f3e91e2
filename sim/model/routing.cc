#include "sim/model/routing.h"

#include <cmath>

namespace simulate {
namespace {

// A top-k by radix select passes over a row many times: as long as so many sums over rows of that number (63 us for 4,096 rows on H100).
constexpr int64_t kTopKPasses = 64;
// Transformer Engine's map of rows: its first two kernels touch [experts, tokens] in a stride, 16 us for 4,096 tokens and 160
// experts and 25 us for 256 on H100, a tenth of a sum over a row per element; the third sorts within each token as long as a top-k.
constexpr int64_t kMapElementsPerRow = 10;

// The kernels of a router over [tokens, experts], one after the other.
class RouterKernels {
 public:
  RouterKernels(const Routing& r, std::vector<Kernel>* out, HostCall host) : r_(r), out_(out), host_(host) {}
  // One pass of each, of `bytes` per element in and out.
  void Passes(const std::string& name, int count, int64_t bytes = 4) {
    const Bytes size(r_.tokens * r_.experts * bytes / 2);
    for (int i = 0; i < count; ++i)
      out_->push_back(MemoryKernel(name, MemoryAccess::kElementwise, DType::kFp32, r_.tokens, r_.experts, size, size, host_));
  }
  void Rows(const std::string& name, int64_t rows) {
    const Bytes size = SizeOf(DType::kFp32, r_.tokens * r_.experts);
    out_->push_back(MemoryKernel(name, MemoryAccess::kRowReduction, DType::kFp32, rows, r_.experts, size,
                                 SizeOf(DType::kFp32, r_.tokens * r_.chosen), host_));
  }
  // torch.topk: select, then sort what was selected.
  void TopK(const std::string& name) {
    Rows(name, r_.tokens * kTopKPasses);
    Passes(name + ".sort", 1);
  }

 private:
  const Routing& r_;
  std::vector<Kernel>* out_;
  HostCall host_;
};

// topk_routing_with_score_function, apply_router_token_dropping, compute_routing_scores_for_aux_loss and
// switch_load_balancing_loss_func, call by call: DeepSeek's chooses groups of experts first.
void MegatronRouter(const LayerPlan& plan, const Routing& r, Operator& op) {
  RouterKernels forward(r, &op.forward, HostCall::kOperator);
  forward.Passes("router_softmax", 2);
  if (plan.spec.family == ModelFamily::kDeepseekV3) {
    forward.TopK("router_group_top_k");
    forward.Passes("router_groups", 9);
  }
  forward.TopK("router_top_k");
  forward.Passes("router_scatter", 9);  // scaled, and scattered into a map of weights and one of choices
  if (r.padded) {
    forward.Rows("capacity_top_k", r.tokens * kTopKPasses);  // of a column's tokens
    forward.Passes("capacity_mask", 5);
  }
  forward.Passes("balance_softmax", 1);
  forward.TopK("balance_top_k");
  forward.Passes("balance_loss", 13);
  RouterKernels backward(r, &op.backward, HostCall::kAutogradNode);
  backward.Passes("balance_loss.backward", 8);
  backward.Passes("router_scatter.backward", r.padded ? 9 : 7);
  backward.Passes("router_softmax.backward", 4);
}

void PlainRouter(const Routing& r, Operator& op, Bytes scores, Bytes chosen) {
  const char* names[] = {"router_softmax", "router_top_k", "router_normalize", "expert_counts", "expert_sort"};
  for (const char* name : names)
    op.forward.push_back(MemoryKernel(name, MemoryAccess::kRowReduction, DType::kFp32, r.tokens, r.experts, scores, chosen,
                                      HostCall::kOperator));
  for (const char* name : {"router_top_k.backward", "router_softmax.backward"})
    op.backward.push_back(MemoryKernel(name, MemoryAccess::kRowReductionBackward, DType::kFp32, r.tokens, r.experts, scores,
                                       scores, HostCall::kAutogradNode));
}

Kernel Gathered(const std::string& name, const Value& rows, Bytes read, Bytes written, HostCall host) {
  return MemoryKernel(name, MemoryAccess::kGather, rows.dtype, rows.rows, rows.columns, read, written, host);
}

// Megatron-LM multiplies by the weights inside the experts (weighted_bias_swiglu_impl), so that its unpermute only sums.
bool WeighsInside(const LayerPlan& plan) { return plan.megatron() && plan.training.fused_permutation; }

}  // namespace

Routing RoutingOf(const LayerPlan& plan) {
  const ExpertsSpec& e = plan.spec.experts;
  Routing r;
  r.tokens = plan.local_tokens();
  r.experts = e.num_local_experts;
  r.local_experts = e.num_local_experts / plan.slice.expert;
  r.chosen = e.num_experts_per_tok;
  r.padded = e.capacity_factor > 0.0;
  r.sent = r.tokens * r.chosen;
  if (r.padded) {
    const double share = static_cast<double>(r.sent) / static_cast<double>(r.experts);
    r.sent = r.experts * static_cast<int64_t>(std::ceil(share * e.capacity_factor));
  }
  r.rows = RoundUp(r.sent, r.local_experts * (plan.slice.sequence_parallel ? plan.slice.tensor : 1));
  return r;
}

Value Route(LayerBuilder& b, const LayerPlan& plan, const Routing& r, const Value& x) {
  Value logits = Linear(b, "router", x, r.experts, {.quantized = false});
  if (!plan.megatron()) logits = Cast(b, "router_fp32", logits, DType::kFp32);
  const Value weights = b.NewTensor("router_weights", r.tokens, r.chosen, DType::kFp32);
  const Value scores = b.NewTensor("router_scores", r.tokens, r.experts, DType::kFp32, false);
  const Value order = b.NewTensor("expert_order", r.tokens, r.chosen, DType::kInt64, false);
  Operator& op = b.Add("route");
  op.inputs = {logits.index};
  op.outputs = {weights.index, scores.index, order.index};
  op.saved = {scores.index, order.index};
  if (plan.megatron()) {
    MegatronRouter(plan, r, op);
  } else {
    PlainRouter(r, op, scores.bytes(), weights.bytes() + order.bytes());
  }
  return weights;
}

Value Permute(LayerBuilder& b, const LayerPlan& plan, const Routing& r, const Value& x) {
  const bool fused = plan.training.fused_permutation;
  const Value y = b.NewTensor("permuted", r.sent, x.columns, x.dtype);
  Operator& op = b.Add("permute");
  op.inputs = {x.index};
  op.outputs = {y.index};
  if (fused) {
    RouterKernels map(r, &op.forward, HostCall::kOperator);
    for (int pass = 0; pass < 2; ++pass) map.Rows("row_map", r.tokens * r.experts / kMapElementsPerRow);
    map.Rows("row_map.sort", r.tokens * kTopKPasses);
  }
  op.forward.push_back(Gathered("permute", y, fused ? x.bytes() : y.bytes(), y.bytes(), HostCall::kOperator));
  op.backward = {Gathered("permute.backward", y, y.bytes(), x.bytes(), HostCall::kAutogradNode)};
  if (!fused) op.backward[0].work.access = MemoryAccess::kScatterAdd;
  return y;
}

Value SortRows(LayerBuilder& b, const std::string& name, const Routing& r, const Value& x) {
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  for (auto* kernels : {&op.forward, &op.backward}) {
    kernels->push_back(Gathered(name, y, x.bytes(), y.bytes(), kernels == &op.forward ? HostCall::kOperator : HostCall::kAutogradNode));
    if (r.padded) kernels->back().work.access = MemoryAccess::kTranspose;
  }
  return y;
}

Value Unpermute(LayerBuilder& b, const LayerPlan& plan, const Routing& r, const Value& x, const Value& weights) {
  const Value y = b.NewTensor("unpermuted", r.tokens, x.columns, x.dtype);
  Operator& op = b.Add("unpermute");
  op.inputs = {x.index, weights.index};
  op.outputs = {y.index};
  op.saved = {x.index, weights.index};
  if (plan.training.fused_permutation) {
    // The gradient of every copy and, where the sum is weighted, its product with the copy, in one pass.
    const bool inside = WeighsInside(plan);
    op.forward = {Gathered("unpermute", x, x.bytes(), y.bytes(), HostCall::kOperator)};
    op.backward = {Gathered("unpermute.backward", x, inside ? y.bytes() : 2 * x.bytes(), x.bytes() + weights.bytes(), HostCall::kAutogradNode)};
    if (inside) op.saved = {weights.index};
    return y;
  }
  const auto kernel = [&](const char* name, MemoryAccess access, Bytes read, Bytes written, HostCall host) {
    return MemoryKernel(name, access, x.dtype, x.rows, x.columns, read, written, host);
  };
  const HostCall call = HostCall::kOperator, node = HostCall::kAutogradNode;
  op.forward = {kernel("expert_weighting", MemoryAccess::kBroadcast, x.bytes(), x.bytes(), call),
                kernel("unpermute", MemoryAccess::kScatterAdd, x.bytes(), y.bytes(), call)};
  op.forward_workspace = x.bytes();
  op.backward = {kernel("unpermute.backward", MemoryAccess::kGather, x.bytes(), x.bytes(), node),
                 kernel("expert_weighting.backward", MemoryAccess::kBroadcast, x.bytes(), x.bytes(), node),
                 kernel("router_weight_gradient", MemoryAccess::kRowReduction, 2 * x.bytes(), weights.bytes(), call)};
  op.backward_workspace = x.bytes();
  return y;
}

}  // namespace simulate
