// Which expert gets which token: scores and choice, rows put into the experts' order and back.
//
//   router       Megatron-LM's (moe_utils.py, core 0.14) takes 50 to 66 small kernels, not fused by default: softmax, top-k, scatters
//                into maps of [tokens, experts], the same again for the balancing loss, and with a capacity the best tokens of every
//                expert. On H100 0.37 to 0.43 ms forward and 0.09 to 0.12 ms backward per layer of 4,096 tokens and 160 or 256
//                experts, of which one top-k of 4,096 rows takes 63 us (profiled for this project, PyTorch 2.11).
//   permute      gathers and sums (Transformer Engine's Triton kernels with `fused_permutation`: 78 % of the bandwidth on H100)
//                or index_select and scatter_add_.
//   sort         rows that come from several ranks by local expert: gathered; a strided copy where every expert has its capacity
//                (token_dispatcher.py's view.transpose.contiguous: 613 us for 32,768 rows of 7,168 on H100).
//
// Other runtimes' routers are taken for five kernels forward and two backward. Absent: imbalance, fused routers (moe_router_fusion).
#pragma once

#include <string>

#include "sim/model/families.h"

namespace simulate {

struct Routing {
  int64_t tokens = 0;         // of this rank
  int64_t experts = 0;        // of the model
  int64_t local_experts = 0;  // on this rank
  int64_t chosen = 0;         // per token
  int64_t sent = 0;           // rows that this rank sends away
  int64_t rows = 0;           // that it gets for its experts
  bool padded = false;        // every expert gets its capacity, neither more nor less
};

// REQUIRES: a model with experts.
[[nodiscard]] Routing RoutingOf(const LayerPlan& plan);

// Weights of the chosen experts, [tokens, chosen].
Value Route(LayerBuilder& b, const LayerPlan& plan, const Routing& r, const Value& x);
// Rows in the order of their experts; the gradient adds each token's copies up again.
Value Permute(LayerBuilder& b, const LayerPlan& plan, const Routing& r, const Value& x);
// What came from several ranks, in the order of this rank's experts, and back.
Value SortRows(LayerBuilder& b, const std::string& name, const Routing& r, const Value& x);
// Back in token order, each token the sum of its experts' results by router weight.
Value Unpermute(LayerBuilder& b, const LayerPlan& plan, const Routing& r, const Value& x, const Value& weights);

}  // namespace simulate
