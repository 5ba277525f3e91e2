// Rotary positions (Su et al. 2021) as four code bases apply them, with rotations computed beforehand. None keeps its
// input: the rotations need no gradient.
//
//   fused        one kernel (Megatron-LM with --apply-rope-fusion, Transformer Engine, compiled code)
//   rotate_half  x cos + cat(-x2, x1) sin in the type of x (GPT-NeoX, Hugging Face, Aleph Alpha's scaling): two products,
//                a negation of one half, a concatenation, a sum; the backward of the two slices fills zeros, copies and adds
//   complex      to fp32, one complex product, back (Meta's Llama, torchtitan)
//   matrix       to fp32, a product with rotations [D/2, 2, 2] that writes twice the input, a sum over the last dimension,
//                back (IBM's foundation-model-stack, fms/modules/positions.py)
#include "sim/model/operators.h"

namespace simulate {
namespace {

// One pass over `of`: `read` and `written` in units of its size.
Kernel Pass(const std::string& name, MemoryAccess access, const Value& of, double read, double written, HostCall host) {
  const auto size = static_cast<double>(of.bytes().value());
  return MemoryKernel(name, access, of.dtype, of.rows, of.columns, Bytes(static_cast<int64_t>(read * size)),
                      Bytes(static_cast<int64_t>(written * size)), host);
}

void RotateHalf(Operator& op, const std::string& name, const Value& x) {
  const auto product = MemoryAccess::kBroadcast, same = MemoryAccess::kElementwise;
  const HostCall call = HostCall::kOperator, node = HostCall::kAutogradNode;
  op.forward = {Pass(name + ".cos", product, x, 1, 1, call),         Pass(name + ".negate", product, x, 0.5, 0.5, call),
                Pass(name + ".concatenate", product, x, 1, 1, call), Pass(name + ".sin", product, x, 1, 1, call),
                Pass(name + ".add", same, x, 2, 1, call)};
  op.backward = {Pass(name + ".sin_backward", product, x, 1, 1, node), Pass(name + ".negate_backward", product, x, 0.5, 0.5, node)};
  for (const char* half : {".first_half", ".second_half"}) {
    op.backward.push_back(Pass(name + half + "_zero", same, x, 0, 1, node));
    op.backward.push_back(Pass(name + half + "_copy", product, x, 0.5, 0.5, HostCall::kInner));
  }
  op.backward.push_back(Pass(name + ".halves_add", same, x, 2, 1, call));
  op.backward.push_back(Pass(name + ".cos_backward", product, x, 1, 1, node));
  op.backward.push_back(Pass(name + ".add_backward", same, x, 2, 1, call));
  op.forward_workspace = 3 * x.bytes();
  op.backward_workspace = 3 * x.bytes();
  op.forward_views = op.backward_views = 4;
}

void Complex(Operator& op, const std::string& name, const Value& x) {
  const Value wide{x.index, DType::kFp32, x.rows, x.columns};
  for (auto* kernels : {&op.forward, &op.backward}) {
    const HostCall host = kernels == &op.forward ? HostCall::kOperator : HostCall::kAutogradNode;
    kernels->push_back(CastKernel(name + ".to_fp32", x.dtype, DType::kFp32, x.elements(), host));
    kernels->push_back(MemoryKernel(name, MemoryAccess::kBroadcast, DType::kFp32, x.rows, x.columns / 2, wide.bytes(), wide.bytes(), host));
    kernels->push_back(CastKernel(name + ".to_narrow", DType::kFp32, x.dtype, x.elements(), host));
  }
  op.forward_workspace = op.backward_workspace = 2 * wide.bytes();
  op.forward_views = op.backward_views = 4;
}

// Both of its kernels walk pairs of numbers, and are as slow as a copy that changes the fastest dimension (profiled on H200).
void Matrix(Operator& op, const std::string& name, const Value& x) {
  const Value wide{x.index, DType::kFp32, x.rows, x.columns};
  for (auto* kernels : {&op.forward, &op.backward}) {
    const HostCall host = kernels == &op.forward ? HostCall::kOperator : HostCall::kAutogradNode;
    if (x.dtype != wide.dtype) kernels->push_back(CastKernel(name + ".to_fp32", x.dtype, wide.dtype, x.elements(), host));
    kernels->push_back(MemoryKernel(name + ".product", MemoryAccess::kTransposeInner, wide.dtype, x.rows, 2 * x.columns, wide.bytes(),
                                    2 * wide.bytes(), host));
    kernels->push_back(MemoryKernel(name + ".sum", MemoryAccess::kTransposeInner, wide.dtype, x.rows, x.columns, 2 * wide.bytes(),
                                    wide.bytes(), host));
    if (x.dtype != wide.dtype) kernels->push_back(CastKernel(name + ".to_narrow", wide.dtype, x.dtype, x.elements(), host));
  }
  op.forward_workspace = op.backward_workspace = 4 * wide.bytes();
  op.forward_views = op.backward_views = 5;
}

}  // namespace

Value Rotary(LayerBuilder& b, const std::string& name, const Value& x, RotaryImplementation how, double share) {
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  const Value rotated{x.index, x.dtype, x.rows, static_cast<int64_t>(static_cast<double>(x.columns) * share)};
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  if (how == RotaryImplementation::kRotateHalf) {
    RotateHalf(op, name, rotated);
  } else if (how == RotaryImplementation::kMatrix) {
    Matrix(op, name, rotated);
  } else if (how == RotaryImplementation::kComplex && x.dtype != DType::kFp32) {
    Complex(op, name, rotated);
  } else {
    op.forward = {ElementwiseKernel(name, rotated, 1, HostCall::kOperator)};
    op.backward = {ElementwiseKernel(name, rotated, 1, HostCall::kAutogradNode)};
  }
  return y;
}

}  // namespace simulate
