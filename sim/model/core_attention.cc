// Queries against the keys and values of the whole sequence, of which a context-parallel rank has a part. Those of latent
// attention are what its up-projections give: Transformer Engine passes them round like any other (AttnFuncWithCPAndKVP2P,
// `enable_mla`), not the latents.
#include "sim/model/families.h"
#include "sim/model/ring_attention.h"

namespace simulate {
namespace {

// Of the whole sequence, every rank's part together.
Bytes GatheredKeysAndValues(const LayerPlan& plan, const AttentionDims& d, DType type) {
  return SizeOf(type, plan.samples() * plan.training.sequence_length * d.key_value_heads * (d.head_dim + d.values()));
}

// SDPA without a bias is the framework's best fused kernel. REQUIRES: not kEager or kFusedSoftmax.
AttentionKernel FusedKernel(AttentionImplementation attention) {
  switch (attention) {
    case AttentionImplementation::kMemoryEfficient: return AttentionKernel::kMemoryEfficient;
    case AttentionImplementation::kFlash2: return AttentionKernel::kFlash2;
    case AttentionImplementation::kFlash1: return AttentionKernel::kFlash1;
    case AttentionImplementation::kTriton: return AttentionKernel::kTriton;
    case AttentionImplementation::kFlash:
    case AttentionImplementation::kSdpa:
    case AttentionImplementation::kEager:
    case AttentionImplementation::kFusedSoftmax: return AttentionKernel::kFlash;
  }
  return AttentionKernel::kFlash;
}

// Under a causal mask the sequence is cut into twice as many pieces as ranks, and each takes one from either end (Megatron-LM,
// Transformer Engine; Llama 3, section 3.3.2), so that all have the average work: of L of c L positions, the blocks of scores
// that a causal product of L queries and (c + 1) L / 2 keys has. The FLOPs by convention stay those of the whole square.
void BalanceCausal(Operator& op, const AttentionDims& d) {
  for (auto* kernels : {&op.forward, &op.backward}) {
    for (Kernel& kernel : *kernels) {
      if (kernel.work.kind == KernelKind::kAttention && d.causal) kernel.work.attention.key_length = (d.key_length + d.query_length) / 2;
    }
  }
}

Value Attend(LayerBuilder& b, const LayerPlan& plan, const AttentionDims& d, const Value& q, const Value& k, const Value& v) {
  const bool softmax = plan.training.attention == AttentionImplementation::kFusedSoftmax;
  if (softmax || plan.training.attention == AttentionImplementation::kEager)
    return UnfusedAttention(b, d, q, k, v, plan.training.dropout, {}, softmax);
  return FusedAttention(b, d, q, k, v, FusedKernel(plan.training.attention), plan.training.dropout);
}

// Gathered before the first kernel, as Llama 3 does.
Value GatherAndAttend(LayerBuilder& b, const LayerPlan& plan, const AttentionDims& d, const Value& q, const Value& k, const Value& v) {
  const Bytes gathered = GatheredKeysAndValues(plan, d, k.dtype);
  Operator& gather = b.Add("context_keys_values");
  gather.inputs = {k.index};
  gather.in_place = true;
  gather.boundary = Boundary::kContextKeyValue;
  gather.boundary_bytes = gathered;
  b.SetSelective(true);
  const Value out = Attend(b, plan, d, q, k, v);
  b.SetSelective(false);
  b.last().forward_workspace += gathered;
  b.last().backward_workspace += gathered;
  BalanceCausal(b.last(), d);
  return out;
}

}  // namespace

void KeepKeysAndValues(LayerBuilder& b, const LayerPlan& plan, const Value& keys, const Value& values) {
  if (!plan.training.use_cache) return;
  b.tensor(keys).in_output = true;
  b.tensor(values).in_output = true;
}

Value CoreAttention(LayerBuilder& b, const LayerPlan& plan, AttentionDims d, const Value& q, const Value& k, const Value& v) {
  const ContextImplementation how = plan.slice.context_implementation;
  const bool heads = plan.slice.context > 1 && how == ContextImplementation::kAllToAll;
  const bool ring = plan.slice.context > 1 && how != ContextImplementation::kAllGather && !heads;
  d.batch = plan.samples();
  d.query_length = plan.length();
  d.key_length = ring ? d.query_length : plan.training.sequence_length;
  if (plan.slice.context > 1 && !ring && !heads) return GatherAndAttend(b, plan, d, q, k, v);
  b.SetSelective(true);
  const RingOptions options{plan.slice.context, how == ContextImplementation::kRingAllGather, plan.megatron()};
  if (heads) {
    const Value out = AttentionOverHeads(b, d, q, k, v, FusedKernel(plan.training.attention), plan.training.dropout, plan.slice.context);
    b.SetSelective(false);
    return out;
  }
  const Value out = ring ? RingAttention(b, d, q, k, v, FusedKernel(plan.training.attention), plan.training.dropout, options)
                         : Attend(b, plan, d, q, k, v);
  b.SetSelective(false);
  return out;
}

}  // namespace simulate
