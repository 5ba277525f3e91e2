// Where a layer that is divided over tensor-parallel ranks communicates (Megatron-LM: Shoeybi 2019, section 3;
// sequence parallelism: Korthikanti 2022, section 4.2.2).
#include <algorithm>

#include "sim/model/families.h"

namespace simulate {

Value EnterTensorParallel(LayerBuilder& b, const LayerPlan& plan, const Value& x, int64_t tokens) {
  if (plan.slice.tensor == 1) return x;
  Value y = x;
  if (plan.slice.sequence_parallel) y = b.NewTensor("gathered", tokens, x.columns, x.dtype);
  Operator& op = b.Add("enter_tensor_parallel");
  op.inputs = {x.index};
  op.boundary = Boundary::kTensorEnter;
  op.boundary_bytes = SizeOf(x.dtype, tokens * x.columns);
  op.in_place = y.index == x.index;
  if (!op.in_place) op.outputs = {y.index};
  return y;
}

Value LeaveTensorParallel(LayerBuilder& b, const LayerPlan& plan, const Value& x) {
  if (plan.slice.tensor == 1) return x;
  Value y = x;
  if (plan.slice.sequence_parallel) y = b.NewTensor("scattered", plan.Local(x.rows), x.columns, x.dtype);
  Operator& op = b.Add("leave_tensor_parallel");
  op.inputs = {x.index};
  op.boundary = Boundary::kTensorLeave;
  op.boundary_bytes = x.bytes();
  op.in_place = y.index == x.index;
  if (!op.in_place) op.outputs = {y.index};
  return y;
}

void KeepUngathered(LayerBuilder& b, const LayerPlan& plan, const Value& local, const Value& gathered) {
  if (!plan.megatron() || local.index == gathered.index) return;
  Operator& op = b.last();
  std::replace(op.saved.begin(), op.saved.end(), gathered.index, local.index);
  op.boundary_again = true;
  op.boundary_bytes = gathered.bytes();
  op.backward_workspace += gathered.bytes();
}

}  // namespace simulate
