// Norms, activations, residual adds, dropout.
#include <optional>

#include "sim/model/operators.h"

namespace simulate {
namespace {

// The sum that a norm reads is made in the same kernel, forward as backward. Weight gradients are summed over 64 rows in
// passing; a second kernel adds these parts (profiles of compiled GPT and Llama steps on H200).
void CompiledNormKernels(Operator& op, const std::string& name, const Value& x, bool bias) {
  constexpr int64_t kRowsPerPart = 64;
  const MemoryAccess streamed = MemoryAccess::kElementwise;
  const int64_t columns = (bias ? 2 : 1) * x.columns, parts = DivCeil(x.rows, kRowsPerPart);
  op.forward = {MemoryKernel(name, streamed, x.dtype, x.rows, x.columns, Bytes(0), x.bytes(), HostCall::kOperator)};
  op.backward = {MemoryKernel(name + ".backward", streamed, x.dtype, x.rows, x.columns, 2 * x.bytes(), x.bytes(), HostCall::kAutogradNode),
                 ParameterGradient(MemoryKernel(name + ".weight_gradient", MemoryAccess::kColumnReduction, DType::kFp32, parts, columns,
                                                SizeOf(DType::kFp32, parts * columns), SizeOf(x.dtype, columns), HostCall::kOperator))};
}

// What a norm's kernels are priced by, and how many parts its weight gradients come in.
struct NormKernels {
  MemoryAccess forward, backward;
  std::optional<MemoryAccess> weight_gradient;  // none: summed in passing
  int64_t parts = 0;                            // 0: the rows are summed by that one kernel
};

// Apex sums the rows in sixteen parts; persistent kernels sum in passing, a part for each of their blocks, about one a core.
NormKernels KernelsOf(NormKernel kernel, bool mean) {
  constexpr int64_t kApexParts = 16, kPersistentParts = 128;
  switch (kernel) {
    case NormKernel::kTorch: break;
    case NormKernel::kApex:
      return {MemoryAccess::kApexNorm, MemoryAccess::kApexNormBackward, MemoryAccess::kApexNormWeightGradient, kApexParts};
    case NormKernel::kPersistent:
      return {MemoryAccess::kElementwise, MemoryAccess::kElementwise, std::nullopt, kPersistentParts};
  }
  return {mean ? MemoryAccess::kLayerNorm : MemoryAccess::kRowReduction, MemoryAccess::kRowReductionBackward, MemoryAccess::kNormWeightGradient};
}

void FusedNormKernels(Operator& op, const std::string& name, const Value& x, NormKernel kernel, bool mean, bool bias) {
  const NormKernels k = KernelsOf(kernel, mean);
  const int64_t columns = (bias ? 2 : 1) * x.columns;
  op.forward = {MemoryKernel(name, k.forward, x.dtype, x.rows, x.columns, x.bytes(), x.bytes(), HostCall::kOperator)};
  op.backward = {MemoryKernel(name + ".backward", k.backward, x.dtype, x.rows, x.columns, 2 * x.bytes(), x.bytes(), HostCall::kAutogradNode)};
  if (k.weight_gradient) {
    op.backward.push_back(ParameterGradient(MemoryKernel(name + ".weight_gradient", *k.weight_gradient, x.dtype, x.rows, x.columns,
                                                         2 * x.bytes(), SizeOf(x.dtype, columns), HostCall::kInner)));
  }
  if (k.parts > 0) {
    op.backward.push_back(ParameterGradient(MemoryKernel(name + ".weight_gradient_sum", MemoryAccess::kColumnReduction, DType::kFp32, k.parts,
                                                         columns, SizeOf(DType::kFp32, k.parts * columns), SizeOf(x.dtype, columns), HostCall::kInner)));
  }
}

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
  op.forward_views = 3;  // inside of layer_norm: statistics are allocated and viewed
  op.backward_views = 3; // the same, and AccumulateGrad
  if (mean) {
    const Value average = b.NewTensor(name + ".mean", x.rows, 1, DType::kFp32, false);
    op.outputs.push_back(average.index);
    op.saved.push_back(average.index);
  }
  if (bias) {
    op.parameters.push_back(b.AddParameter(name + ".bias", x.columns));
    ++op.backward_views;
  }
  if (b.numerics().compiled) {
    CompiledNormKernels(op, name, x, bias);
    return y;
  }
  FusedNormKernels(op, name, x, b.numerics().norm_kernel, mean, bias);
  return y;
}

}  // namespace

Value LayerNorm(LayerBuilder& b, const std::string& name, const Value& x, bool bias) { return FusedNorm(b, name, x, true, bias); }
Value RmsNorm(LayerBuilder& b, const std::string& name, const Value& x) { return FusedNorm(b, name, x, false, false); }

namespace {

// What T5LayerNorm does with 16-bit input, call by call, in the order of a profile; LLaMA's own code normalizes the
// fp32 copy (not `keeps_narrow`), so that both of its gradients meet in fp32.
struct NormChain {
  DType arithmetic = DType::kFp32;
  bool keeps_narrow = true;
};

void ComposedNormKernels(Operator& op, const Value& x, const std::string& name, const NormChain& chain) {
  const bool narrow = chain.keeps_narrow;
  const Value wide{x.index, chain.arithmetic, x.rows, x.columns}, row{x.index, chain.arithmetic, x.rows, 1};
  const bool casts = x.dtype != chain.arithmetic;
  const Value& normalized = narrow ? x : wide;
  const auto mixed = casts && narrow ? MemoryAccess::kMixedTypes : MemoryAccess::kBroadcast;
  const auto kernel = [&](const char* what, MemoryAccess access, const Value& of, Bytes read, Bytes written, HostCall host) {
    return MemoryKernel(name + what, access, of.dtype, of.rows, of.columns, read, written, host);
  };
  const HostCall call = HostCall::kOperator, node = HostCall::kAutogradNode, inner = HostCall::kOperator;
  const auto same = MemoryAccess::kElementwise, broadcast = MemoryAccess::kBroadcast, reduce = MemoryAccess::kRowReduction;
  if (casts) op.forward.push_back(CastKernel(name + ".to_fp32", x.dtype, wide.dtype, x.elements(), call));
  op.forward.push_back(kernel(".pow", same, wide, wide.bytes(), wide.bytes(), call));
  op.forward.push_back(kernel(".mean", reduce, wide, wide.bytes(), row.bytes(), call));
  op.forward.push_back(kernel(".add_epsilon", same, row, row.bytes(), row.bytes(), call));
  op.forward.push_back(kernel(".rsqrt", same, row, row.bytes(), row.bytes(), call));
  op.forward.push_back(kernel(".normalize", mixed, wide, normalized.bytes() + row.bytes(), wide.bytes(), call));
  if (casts) op.forward.push_back(CastKernel(name + ".to_narrow", wide.dtype, x.dtype, x.elements(), call));
  op.forward.push_back(kernel(".weight", broadcast, x, x.bytes(), x.bytes(), call));

  op.backward.push_back(kernel(".weight_backward", broadcast, x, x.bytes(), x.bytes(), node));
  op.backward.push_back(ParameterGradient(kernel(".weight_gradient", same, x, 2 * x.bytes(), x.bytes(), inner)));
  op.backward.push_back(ParameterGradient(kernel(".weight_gradient_sum", MemoryAccess::kColumnReduction, x, x.bytes(), SizeOf(x.dtype, x.columns), inner)));
  if (casts) op.backward.push_back(CastKernel(name + ".gradient_to_fp32", x.dtype, wide.dtype, x.elements(), node));
  op.backward.push_back(kernel(".normalize_backward_scale", narrow ? mixed : same, wide, wide.bytes() + normalized.bytes(), wide.bytes(), node));
  op.backward.push_back(kernel(".normalize_backward", broadcast, wide, wide.bytes() + row.bytes(), wide.bytes(), inner));
  if (casts && narrow) op.backward.push_back(CastKernel(name + ".gradient_to_narrow", wide.dtype, x.dtype, x.elements(), inner));
  op.backward.push_back(kernel(".scale_gradient", reduce, wide, wide.bytes(), row.bytes(), inner));
  for (const char* what : {".rsqrt_pow", ".rsqrt_scale", ".rsqrt_backward"})
    op.backward.push_back(kernel(what, same, row, row.bytes(), row.bytes(), what == std::string(".rsqrt_pow") ? node : inner));
  op.backward.push_back(kernel(".mean_backward", broadcast, wide, row.bytes(), wide.bytes(), node));
  op.backward.push_back(kernel(".pow_copy", same, wide, wide.bytes(), wide.bytes(), node));
  op.backward.push_back(kernel(".pow_scale", same, wide, wide.bytes(), wide.bytes(), inner));
  op.backward.push_back(kernel(".pow_backward", same, wide, 2 * wide.bytes(), wide.bytes(), inner));
  const Kernel sum = kernel(".gradient_sum", same, normalized, 2 * normalized.bytes(), normalized.bytes(), inner);
  if (!narrow) op.backward.push_back(sum);
  if (casts) op.backward.push_back(CastKernel(name + ".pow_to_narrow", wide.dtype, x.dtype, x.elements(), node));
  if (narrow) op.backward.push_back(sum);
}

}  // namespace

Value ComposedRmsNorm(LayerBuilder& b, const std::string& name, const Value& x, bool keeps_narrow) {
  const uint32_t weight = b.AddParameter(name + ".weight", x.columns);
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  const Value scale = b.NewTensor(name + ".scale", x.rows, 1, DType::kFp32, false);
  const Value normalized = b.NewTensor(name + ".normalized", x.rows, x.columns, x.dtype, false);
  Value wide = x;
  if (x.dtype != DType::kFp32) wide = b.NewTensor(name + ".fp32", x.rows, x.columns, DType::kFp32, false);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index, scale.index, normalized.index};
  op.saved = {scale.index, normalized.index};
  if (keeps_narrow || wide.index == x.index) op.saved.push_back(x.index);
  if (wide.index != x.index) {
    op.outputs.push_back(wide.index);
    op.saved.push_back(wide.index);
  }
  op.parameters = {weight};
  if (b.parameter(weight).frozen) std::erase(op.saved, normalized.index);  // only the weight's gradient reads it
  ComposedNormKernels(op, x, name, {.keeps_narrow = keeps_narrow});
  op.forward_workspace = SizeOf(DType::kFp32, x.elements());
  op.backward_workspace = 3 * SizeOf(DType::kFp32, x.elements()) + x.bytes();
  op.backward_views = 2;
  return y;
}

Value NarrowRmsNorm(LayerBuilder& b, const std::string& name, const Value& x) {
  const uint32_t weight = b.AddParameter(name + ".weight", x.columns);
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  const Value scale = b.NewTensor(name + ".scale", x.rows, 1, x.dtype, false);
  const Value normalized = b.NewTensor(name + ".normalized", x.rows, x.columns, x.dtype, false);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index, scale.index, normalized.index};
  op.saved = {x.index, scale.index, normalized.index};
  op.parameters = {weight};
  if (b.parameter(weight).frozen) std::erase(op.saved, normalized.index);
  // The chain on the input as it is; then the casts between the normalization and the weight, and their backward.
  const DType wide = DType::kFp32;
  ComposedNormKernels(op, x, name, {.arithmetic = x.dtype, .keeps_narrow = false});
  op.forward.insert(op.forward.end() - 1, {CastKernel(name + ".to_fp32", x.dtype, wide, x.elements(), HostCall::kOperator),
                                           CastKernel(name + ".to_narrow", wide, x.dtype, x.elements(), HostCall::kOperator)});
  op.backward.insert(op.backward.begin() + 3,
                     {CastKernel(name + ".gradient_to_fp32", x.dtype, wide, x.elements(), HostCall::kAutogradNode),
                      CastKernel(name + ".gradient_to_narrow", wide, x.dtype, x.elements(), HostCall::kAutogradNode)});
  op.forward_workspace = SizeOf(wide, x.elements()) + x.bytes();
  op.backward_workspace = 4 * x.bytes();
  op.backward_views = 2;
  return y;
}

Value Activate(LayerBuilder& b, const std::string& name, Activation activation, const Value& x) {
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.saved = {activation == Activation::kRelu ? y.index : x.index};
  op.forward = {ElementwiseKernel(name, x, 1, HostCall::kOperator)};
  op.backward = {ElementwiseKernel(name + ".backward", x, 2, HostCall::kAutogradNode)};
  if (activation != Activation::kRelu) {
    op.forward[0].work.access = MemoryAccess::kActivation;
    op.backward[0].work.access = MemoryAccess::kActivation;
  }
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
                 ElementwiseKernel(name + ".backward_right", a, 2, HostCall::kOperator)};
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
  op.forward[0].work.access = MemoryAccess::kActivation;
  Kernel backward = ElementwiseKernel("gate.backward", gate, 3, HostCall::kAutogradNode);
  backward.work.written = 2 * gate.bytes();
  backward.work.access = MemoryAccess::kActivation;
  op.backward = {backward};
  return y;
}

Value GateHalves(LayerBuilder& b, const Value& both) {
  const Value y = b.NewTensor("gate", both.rows, both.columns / 2, both.dtype);
  Operator& op = b.Add("gate");
  op.inputs = {both.index};
  op.outputs = {y.index};
  op.saved = {both.index};
  op.forward = {ElementwiseKernel("gate", y, 2, HostCall::kOperator)};
  op.forward[0].work.access = MemoryAccess::kActivation;
  op.backward = {ElementwiseKernel("gate.backward", y, 3, HostCall::kAutogradNode)};
  op.backward[0].work.written = both.bytes();
  op.backward[0].work.access = MemoryAccess::kActivation;
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
  const Value mask = b.NewTensor(name + ".mask", x.rows, x.columns, DType::kBool, false);
  const Value y = b.NewTensor(name, x.rows, x.columns, x.dtype);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {mask.index, y.index};
  op.saved = {mask.index};
  op.forward = {ElementwiseKernel(name, x, 1, HostCall::kOperator)};
  op.forward[0].work.access = MemoryAccess::kDropout;
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
  op.forward[0].work.access = MemoryAccess::kDropout;
  op.forward[0].work.written += mask.bytes();
  op.backward = {ElementwiseKernel(name + ".backward", y, 1, HostCall::kAutogradNode)};
  op.backward[0].work.read += mask.bytes();
  return sum;
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
