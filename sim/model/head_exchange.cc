// Attention under context parallelism by exchanging heads (DeepSpeed-Ulysses, arXiv:2309.14509): every rank gives its part of
// the sequence of all heads for the whole sequence of its part of the heads, attends to it alone, and gives the result back.
//
// As Transformer Engine's AttnFuncWithCPAndQKVOA2A (flash_attn_a2a_communicate): before an exchange the heads of every peer are
// made contiguous, after it the chunks of the balanced order are put into the order of the sequence (index_select), and the
// other way round on the way back; each is a copy, forward and backward. Queries, keys and values are exchanged one after the
// other. Absent: that copies of one tensor run beside the exchange of another.
#include "sim/model/families.h"

namespace simulate {
namespace {

Value CopyOf(LayerBuilder& b, const std::string& name, const Value& x, MemoryAccess access) {
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.forward = {MemoryKernel(name, access, x.dtype, y.rows, y.columns, x.bytes(), y.bytes(), HostCall::kOperator)};
  op.backward = {MemoryKernel(name + ".backward", access, x.dtype, y.rows, y.columns, y.bytes(), x.bytes(), HostCall::kAutogradNode)};
  op.forward_views = op.backward_views = 3;
  return y;
}

// `ways` above 0: from parts of the sequence to parts of the heads; below: back. `parts`: columns of the tensors that x holds side by
// side, if several.
Value ExchangeHeads(LayerBuilder& b, const std::string& name, const Value& x, int64_t ways, std::vector<int64_t> parts = {}) {
  const bool back = ways < 0;
  const Value packed = CopyOf(b, name + (back ? "_unorder" : "_pack"), x, back ? MemoryAccess::kGather : MemoryAccess::kTranspose);
  const int64_t rows = back ? x.rows / -ways : x.rows * ways, columns = x.rows * x.columns / rows;
  const Value y = b.NewTensor(name + "_exchange", rows, columns, x.dtype);
  if (parts.empty()) parts = {x.columns};
  for (size_t i = 0; i < parts.size(); ++i) {
    Operator& op = b.Add(name + "_exchange");
    op.inputs = {i == 0 ? packed.index : y.index};
    if (i == 0) op.outputs = {y.index};
    op.in_place = i > 0;
    op.boundary = Boundary::kContextHeads;
    op.boundary_bytes = SizeOf(x.dtype, x.rows * parts[i]);
  }
  return CopyOf(b, name + (back ? "_unpack" : "_order"), y, back ? MemoryAccess::kTranspose : MemoryAccess::kGather);
}

}  // namespace

Value AttentionOverHeads(LayerBuilder& b, AttentionDims d, const Value& q, const Value& k, const Value& v, AttentionKernel kernel,
                         double dropout, int64_t context) {
  const bool packed = q.index == k.index;
  const int64_t keys = d.key_value_heads * d.head_dim, values = d.key_value_heads * d.values();
  const Value all_q = packed ? ExchangeHeads(b, "qkv", q, context, {q.columns - keys - values, keys, values}) : ExchangeHeads(b, "q", q, context);
  const Value all_k = packed ? all_q : ExchangeHeads(b, "k", k, context);
  const Value all_v = packed ? all_q : ExchangeHeads(b, "v", v, context);
  d.query_heads /= context;
  d.key_value_heads /= context;
  d.query_length = d.key_length;
  return ExchangeHeads(b, "attention", FusedAttention(b, d, all_q, all_k, all_v, kernel, dropout, {}), -context);
}

}  // namespace simulate
