// Norms, activations, residual adds, dropout.
#include "sim/model/operators.h"

namespace simulate {
namespace {

// Norms compute in the stream's type: under autocast both their input and their result are fp32.
Value FusedNorm(LayerBuilder& b, const std::string& name, const Value& x, bool mean, bool bias) {
  const uint32_t weight = b.AddParameter(name + ".weight", x.columns);
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  const Value deviation = b.NewTensor(name + ".rstd", x.rows, 1, DType::kFp32, false);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index, deviation.index};
  op.saved = {x.index, deviation.index};
  op.parameters = {weight};
  op.backward_views = 1;
  if (mean) {
    const Value average = b.NewTensor(name + ".mean", x.rows, 1, DType::kFp32, false);
    op.outputs.push_back(average.index);
    op.saved.push_back(average.index);
  }
  if (bias) {
    op.parameters.push_back(b.AddParameter(name + ".bias", x.columns));
    ++op.backward_views;
  }
  op.forward = {MemoryKernel(name, MemoryAccess::kRowReduction, x.dtype, x.rows, x.columns, x.bytes(), x.bytes(), HostCall::kOperator)};
  op.backward = {MemoryKernel(name + ".backward", MemoryAccess::kRowReductionBackward, x.dtype, x.rows, x.columns, 2 * x.bytes(),
                              x.bytes(), HostCall::kAutogradNode),
                 MemoryKernel(name + ".weight_gradient", MemoryAccess::kColumnReduction, x.dtype, x.rows, x.columns,
                              2 * x.bytes(), SizeOf(x.dtype, (bias ? 2 : 1) * x.columns), HostCall::kInner)};
  return y;
}

}  // namespace

Value LayerNorm(LayerBuilder& b, const std::string& name, const Value& x, bool bias) { return FusedNorm(b, name, x, true, bias); }
Value RmsNorm(LayerBuilder& b, const std::string& name, const Value& x) { return FusedNorm(b, name, x, false, false); }

Value Activate(LayerBuilder& b, const std::string& name, Activation activation, const Value& x) {
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.saved = {activation == Activation::kRelu ? y.index : x.index};
  op.forward = {ElementwiseKernel(name, x, 1, HostCall::kOperator)};
  op.backward = {ElementwiseKernel(name + ".backward", x, 2, HostCall::kAutogradNode)};
  return y;
}

Value Multiply(LayerBuilder& b, const std::string& name, const Value& a, const Value& c) {
  const Value y = b.NewTensor(name, a.rows, a.columns, a.dtype);
  Operator& op = b.Add(name);
  op.inputs = {a.index, c.index};
  op.outputs = {y.index};
  op.saved = {a.index, c.index};
  op.forward = {ElementwiseKernel(name, a, 2, HostCall::kOperator)};
  op.backward = {ElementwiseKernel(name + ".backward_left", a, 2, HostCall::kAutogradNode),
                 ElementwiseKernel(name + ".backward_right", a, 2, HostCall::kInner)};
  return y;
}

Value Gate(LayerBuilder& b, Activation activation, const Value& gate, const Value& up) {
  if (!b.numerics().fused) return Multiply(b, "gate", Activate(b, "activation", activation, gate), up);
  const Value y = b.NewTensor("gate", gate.rows, gate.columns, gate.dtype);
  Operator& op = b.Add("gate");
  op.inputs = {gate.index, up.index};
  op.outputs = {y.index};
  op.saved = {gate.index, up.index};
  op.forward = {ElementwiseKernel("gate", gate, 2, HostCall::kOperator)};
  Kernel backward = ElementwiseKernel("gate.backward", gate, 3, HostCall::kAutogradNode);
  backward.work.written = 2 * gate.bytes();
  op.backward = {backward};
  return y;
}

Value Scale(LayerBuilder& b, const std::string& name, const Value& x) {
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.forward = {ElementwiseKernel(name, x, 1, HostCall::kOperator)};
  op.backward = {ElementwiseKernel(name + ".backward", x, 1, HostCall::kAutogradNode)};
  return y;
}

Value ResidualAdd(LayerBuilder& b, const std::string& name, const Value& x, const Value& y) {
  const Value sum = b.NewTensor(name, x.rows, x.columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index, y.index};
  op.outputs = {sum.index};
  op.passes_gradient_to = {x.index};
  op.forward = {ElementwiseKernel(name, x, 1, HostCall::kOperator)};
  op.forward[0].work.read += y.bytes();
  if (y.dtype == x.dtype) {
    op.passes_gradient_to.push_back(y.index);
    op.backward_views = 1;
  } else {
    // fp32 + 16-bit: the engine casts y's gradient to y's type.
    op.forward[0].work.access = MemoryAccess::kMixedTypes;
    op.backward = {CastKernel(name + ".gradient_cast", x.dtype, y.dtype, x.elements(), HostCall::kAutogradNode)};
  }
  return sum;
}

Value Dropout(LayerBuilder& b, const std::string& name, const Value& x, double p) {
  if (p <= 0.0) return x;
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  const Value mask = b.NewTensor(name + ".mask", x.rows, x.columns, DType::kBool, false);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index, mask.index};
  op.saved = {mask.index};
  op.forward = {ElementwiseKernel(name, x, 1, HostCall::kOperator)};
  op.forward[0].work.written += mask.bytes();
  op.backward = {ElementwiseKernel(name + ".backward", x, 1, HostCall::kAutogradNode)};
  op.backward[0].work.read += mask.bytes();
  return y;
}

Value DropoutAdd(LayerBuilder& b, const std::string& name, const Value& x, const Value& y, double p) {
  if (!b.numerics().fused || p <= 0.0) return ResidualAdd(b, name, x, Dropout(b, name + "_dropout", y, p));
  const Value sum = b.NewTensor(name, x.rows, x.columns, x.dtype);
  const Value mask = b.NewTensor(name + ".mask", x.rows, x.columns, DType::kBool, false);
  Operator& op = b.Add(name);
  op.inputs = {x.index, y.index};
  op.outputs = {sum.index, mask.index};
  op.saved = {mask.index};
  op.passes_gradient_to = {x.index};
  op.forward = {ElementwiseKernel(name, x, 2, HostCall::kOperator)};
  op.forward[0].work.written += mask.bytes();
  op.backward = {ElementwiseKernel(name + ".backward", y, 1, HostCall::kAutogradNode)};
  op.backward[0].work.read += mask.bytes();
  return sum;
}

Value Rotary(LayerBuilder& b, const std::string& name, const Value& x, double share) {
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  const auto columns = static_cast<int64_t>(static_cast<double>(x.columns) * share);
  const Value rotated{x.index, x.dtype, x.rows, columns};
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  for (auto* kernels : {&op.forward, &op.backward}) {
    const HostCall first = kernels == &op.forward ? HostCall::kOperator : HostCall::kAutogradNode;
    if (b.numerics().fused || x.dtype == DType::kFp32) {
      kernels->push_back(ElementwiseKernel(name, rotated, 1, first));
      continue;
    }
    const Value wide{x.index, DType::kFp32, x.rows, columns};
    kernels->push_back(CastKernel(name + ".to_fp32", x.dtype, DType::kFp32, rotated.elements(), first));
    kernels->push_back(MemoryKernel(name, MemoryAccess::kBroadcast, DType::kFp32, x.rows, columns / 2, wide.bytes(), wide.bytes(), first));
    kernels->push_back(CastKernel(name + ".to_narrow", DType::kFp32, x.dtype, rotated.elements(), first));
    op.forward_workspace = op.backward_workspace = 2 * wide.bytes();
    op.forward_views = op.backward_views = 4;
  }
  return y;
}

Value Contiguous(LayerBuilder& b, const std::string& name, const Value& x, bool copies_back) {
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.forward = {MemoryKernel(name, MemoryAccess::kTranspose, x.dtype, x.rows, x.columns, x.bytes(), x.bytes(), HostCall::kOperator)};
  if (copies_back) {
    op.backward = {MemoryKernel(name + ".backward", MemoryAccess::kTranspose, x.dtype, x.rows, x.columns, x.bytes(), x.bytes(),
                                HostCall::kAutogradNode)};
  } else {
    op.passes_gradient_to = {x.index};
    op.backward_views = 1;
  }
  return y;
}

}  // namespace simulate
