// Where a layer that is divided over tensor-parallel ranks communicates (Megatron-LM: Shoeybi 2019, section 3;
// sequence parallelism: Korthikanti 2022, section 4.2.2).
#include <algorithm>

#include "sim/model/families.h"

namespace simulate {

namespace {

// Transformer Engine quantizes first, and gathers a byte an element.
bool GathersFp8(const LayerBuilder& b) { return b.numerics().fp8 && b.numerics().megatron; }

// The gradient that comes back through a gather: each rank casts its part, and transposes what it has gathered.
void CastBeforeGather(const Value& y, int64_t ranks, Operator& product) {
  KernelWork& cast = product.backward.front().work;
  const Bytes narrow = SizeOf(DType::kFp8, y.elements());
  cast.access = MemoryAccess::kElementwise;
  cast.read = DivCeil(y.bytes(), ranks) + narrow;
  cast.written = DivCeil(narrow, ranks) + narrow;
}

}  // namespace

Value EnterTensorParallel(LayerBuilder& b, const LayerPlan& plan, const Value& x, int64_t tokens, bool quantized) {
  if (plan.slice.tensor == 1) return x;
  Value y = x;
  if (plan.slice.sequence_parallel) y = b.NewTensor("gathered", tokens, x.columns, x.dtype);
  Operator& op = b.Add("enter_tensor_parallel");
  op.inputs = {x.index};
  op.boundary = Boundary::kTensorEnter;
  op.boundary_bytes = SizeOf(x.dtype, tokens * x.columns);
  if (quantized && GathersFp8(b)) op.gather_bytes = SizeOf(DType::kFp8, tokens * x.columns);
  op.in_place = y.index == x.index;
  if (!op.in_place) op.outputs = {y.index};
  return y;
}

Value LeaveTensorParallel(LayerBuilder& b, const LayerPlan& plan, const Value& x) {
  if (plan.slice.tensor == 1) return x;
  Value y = x;
  const bool quantized = plan.slice.sequence_parallel && GathersFp8(b) && b.last().linear;
  if (quantized) CastBeforeGather(x, plan.slice.tensor, b.last());
  if (plan.slice.sequence_parallel) y = b.NewTensor("scattered", plan.Local(x.rows), x.columns, x.dtype);
  Operator& op = b.Add("leave_tensor_parallel");
  op.inputs = {x.index};
  op.boundary = Boundary::kTensorLeave;
  op.boundary_bytes = x.bytes();
  if (quantized) op.gather_bytes = SizeOf(DType::kFp8, x.elements());
  op.in_place = y.index == x.index;
  if (!op.in_place) op.outputs = {y.index};
  return y;
}

void KeepUngathered(LayerBuilder& b, const LayerPlan& plan, const Value& local, const Value& gathered) {
  if (!plan.megatron() || local.index == gathered.index) return;
  Operator& op = b.last();
  op.boundary_again = true;
  op.boundary_bytes = gathered.bytes();
  const auto copy = std::find_if(op.saved.begin(), op.saved.end(), [&](TensorIndex t) { return b.tensor(t).dtype == DType::kFp8; });
  if (copy == op.saved.end()) {
    std::replace(op.saved.begin(), op.saved.end(), gathered.index, local.index);
  } else {
    b.tensor(*copy).bytes = SizeOf(DType::kFp8, local.elements());
    op.gather_bytes = SizeOf(DType::kFp8, gathered.elements());
  }
  op.backward_workspace += op.gathered();
}

}  // namespace simulate
