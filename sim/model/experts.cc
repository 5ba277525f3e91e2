// Mixture-of-experts feed-forward: route, permute, exchange, grouped products, exchange back, weighted sum.
//
// Under sequence parallelism each tensor-parallel rank routes and exchanges its own part of the sequence; what arrives is
// gathered over the tensor-parallel ranks, each of which has a slice of every matrix, and scattered again before it goes
// back (Megatron-LM's MoEAlltoAllTokenDispatcher): the exchange moves 1/t of the tokens, the gather `chosen` times them.
// Rows that come from several ranks are sorted by expert where a rank has more than one.
//
// As Megatron-LM's grouped GEMM and torchtitan's run it: tokens are sorted by expert, so each matrix of all local
// experts is one grouped product (Megatron-LM's linear_fc1: gate and up in one). Routing is taken to be balanced.
#include "sim/model/families.h"
#include "sim/model/routing.h"

namespace simulate {
namespace {

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
  Value weights = Route(b, plan, r, in);
  Value rows = Exchange(b, plan, "dispatch", Boundary::kExpertDispatch, Permute(b, plan, r, in), r.rows);
  // Megatron-LM's weights go along, in an exchange of their own.
  if (plan.megatron()) weights = Exchange(b, plan, "dispatch_weights", Boundary::kExpertDispatch, {weights.index, weights.dtype, r.sent, 1}, r.rows);
  if (plan.slice.expert == 1 && rows.rows != r.rows) rows = {rows.index, rows.dtype, r.rows, rows.columns};
  if (sequence) rows = EnterTensorParallel(b, plan, rows, r.rows * plan.slice.tensor);
  const bool sorts = r.local_experts > 1 && (plan.slice.expert > 1 || sequence);
  if (sorts) rows = SortRows(b, "sort_by_expert", r, rows);
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
  if (sorts) out = SortRows(b, "sort_by_rank", r, out);
  if (sequence) out = LeaveTensorParallel(b, plan, out);
  out = Exchange(b, plan, "combine", Boundary::kExpertCombine, out, r.sent);
  out = Unpermute(b, plan, r, out, weights);
  if (!sequence) out = LeaveTensorParallel(b, plan, out);
  b.SetPrefix("");
  if (spec.experts.n_shared_experts > 0)
    out = ResidualAdd(b, "shared_expert_sum", FeedForward(b, plan, x, intermediate * spec.experts.n_shared_experts), out);
  return out;
}

}  // namespace simulate
