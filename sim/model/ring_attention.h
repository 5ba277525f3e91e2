// Ring attention: every rank keeps its queries, keys and values go round (Liu et al. 2023, arXiv:2310.01889), and the partial
// results are merged by their log-sum-exp. Two implementations:
//
//   PyTorch    torch/distributed/tensor/experimental/_attention.py (context_parallel; 2.6 to 2.9). Keys and values of every query
//              head (models repeat them before the call) are packed and passed on, or gathered once (rotate method alltoall
//              or allgather, the default). Each step's result goes to fp32 and is merged by calls of elementwise operators.
//              In the backward they go round again, and their gradients with them: in fp32, and one pass more, so that each
//              ends where it began. Compiled code waits for a pass as soon as it is issued: traced functional collectives
//              have their wait beside them.
//   Megatron   Transformer Engine's AttnFuncWithCPAndKVP2P (cp_comm_type p2p, Megatron-LM's default): 16-bit keys and values
//              of their own heads; the steps' results are kept and corrected after the last. The backward's ring turns the
//              other way: a pass carries the next keys and values and the last gradients beside the step's kernel.
//
// The sequence is cut into twice as many pieces as ranks, and each takes one from either end, so that under a causal mask all
// work alike: step 0 is a causal square of the rank's L positions; each of the others is L queries by L/2 keys (the first half
// of an earlier rank's) or L/2 queries by L keys, without a mask. All are written as the former: what the last rank does.
// With c ranks that is c kernels each way, whose work L^2/2 + (c - 1) L^2/2 = c L^2/2 is the c-th part of the whole triangle's.
// FLOPs by convention are those of c squares of L x L.
//
// Absent: attention that is not causal, or fused in no kernel. Head-wise exchange (Ulysses) is head_exchange.cc's.
#pragma once

#include "sim/model/operators.h"

namespace simulate {

struct RingOptions {
  int64_t ranks = 1;
  bool gathers = false;    // keys and values are gathered once, not passed on
  bool megatron = false;
};

// `d.key_length` is that of one rank. REQUIRES: causal, an even length.
Value RingAttention(LayerBuilder& b, const AttentionDims& d, const Value& q, const Value& k, const Value& v, AttentionKernel kernel,
                    double dropout, const RingOptions& options);

}  // namespace simulate
