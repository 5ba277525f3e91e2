// Linear layers and the casts that autocast puts around them.
#include "sim/base/check.h"
#include "sim/model/operators.h"

namespace simulate {
namespace {

// A weight's copy in the compute type: its own autograd node, whose backward casts the gradient back.
Value CastParameter(LayerBuilder& b, const std::string& name, uint32_t parameter, int64_t elements) {
  const Numerics& n = b.numerics();
  const Value copy = b.NewTensor(name + ".autocast", 1, elements, n.compute);
  b.tensor(copy).autocast_copy = true;
  Operator& op = b.Add(name + ".cast");
  op.outputs = {copy.index};
  op.parameters = {parameter};
  op.forward = {CastKernel("weight_cast", n.stream, n.compute, elements, HostCall::kCast)};
  op.backward = {CastKernel("weight_cast_backward", n.compute, n.stream, elements, HostCall::kAutogradNode)};
  op.backward_views = 1;  // AccumulateGrad
  return copy;
}

// The quantization that precedes an fp8 product: the tensor's largest magnitude, then scale and cast.
// Current scaling as in torchao.float8 and Transformer Engine's Float8CurrentScaling; delayed scaling
// (Megatron) takes the scale from earlier steps and fuses the maximum into the cast.
void AddFp8Casts(const LayerBuilder& b, const std::string& name, int64_t elements, std::vector<Kernel>& kernels) {
  const Bytes wide = SizeOf(b.numerics().compute, elements);
  const DType type = b.numerics().compute;
  if (!b.numerics().fused)
    kernels.push_back(MemoryKernel(name + "_amax", MemoryAccess::kRowReduction, type, 1, elements, wide, Bytes(4), HostCall::kOperator));
  kernels.push_back(MemoryKernel(name + "_to_fp8", MemoryAccess::kElementwise, type, 1, elements, wide,
                                 SizeOf(DType::kFp8, elements), HostCall::kInner));
}

Numerics MatmulNumerics(const LayerBuilder& b) {
  Numerics n = b.numerics();
  if (n.fp8) n.multiply = DType::kFp8;
  return n;
}

}  // namespace

Value Cast(LayerBuilder& b, const std::string& name, const Value& x, DType to, HostCall host) {
  if (x.dtype == to) return x;
  const Value y = b.NewTensor(name, x.rows, x.columns, to);
  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.forward = {CastKernel("cast", x.dtype, to, x.elements(), host)};
  op.backward = {CastKernel("cast_backward", to, x.dtype, x.elements(), HostCall::kAutogradNode)};
  if (b.numerics().compiled) {  // whoever makes the wide tensor writes the narrow one, and the other way round
    op.forward[0].work.read = op.backward[0].work.written = Bytes(0);
    op.forward[0].work.access = op.backward[0].work.access = MemoryAccess::kElementwise;
  }
  return y;
}

Value Linear(LayerBuilder& b, const std::string& name, const Value& input, int64_t out_features, const LinearOptions& options) {
  const Numerics n = MatmulNumerics(b);
  const int64_t groups = options.batch, rows = input.rows / groups, in = input.columns;
  SIM_CHECK(rows * groups == input.rows, name, ": rows do not divide into groups");
  const uint32_t weight = b.AddParameter(name + ".weight", groups * in * out_features);
  b.parameter(weight).tied = options.tied;
  b.parameter(weight).expert = options.expert;
  uint32_t bias = 0;
  if (options.bias) bias = b.AddParameter(name + ".bias", groups * out_features);

  Value x = input, weight_copy, bias_copy;
  if (n.autocast) {  // C++ evaluates linear's arguments from the right
    if (options.bias) bias_copy = CastParameter(b, name + ".bias", bias, groups * out_features);
    weight_copy = CastParameter(b, name + ".weight", weight, groups * in * out_features);
    x = Cast(b, name + ".input_cast", input, n.compute, HostCall::kCast);
  }
  const Value y = b.NewTensor(name, input.rows, out_features, n.compute);
  b.tensor(y).logits = options.logits;

  Operator& op = b.Add(name);
  op.inputs = {x.index};
  op.outputs = {y.index};
  op.saved = {x.index};
  // addmm (with bias) makes the input's gradient first, mm the weight's.
  op.parameter_gradients_first = !options.bias;
  op.input_gradient_is_view = !n.autocast;
  if (n.autocast) {
    op.inputs.insert(options.bias ? op.inputs.end() : op.inputs.begin(), weight_copy.index);
    op.saved.push_back(weight_copy.index);
    if (options.bias) op.inputs.push_back(bias_copy.index);
  } else {
    op.parameters = {weight};
    if (options.bias) op.parameters.push_back(bias);
  }
  const GemmShape forward{groups, rows, out_features, in, GemmPass::kForward};
  const GemmShape data{groups, rows, in, out_features, GemmPass::kDataGradient};
  const GemmShape gradient{groups, out_features, in, rows, GemmPass::kWeightGradient};
  if (n.fp8) {
    AddFp8Casts(b, name + ".input", x.elements(), op.forward);
    AddFp8Casts(b, name + ".weight", groups * in * out_features, op.forward);
    AddFp8Casts(b, name + ".gradient", y.elements(), op.backward);
    op.forward_workspace = SizeOf(DType::kFp8, x.elements() + groups * in * out_features);
    op.backward_workspace = SizeOf(DType::kFp8, y.elements());
  }
  op.forward.push_back(GemmKernel(name, forward, n, HostCall::kOperator));
  op.backward.push_back(GemmKernel(name + ".data_gradient", data, n, HostCall::kAutogradNode));
  op.backward.push_back(GemmKernel(name + ".weight_gradient", gradient, n, HostCall::kOperator));
  if (!options.bias) {
    std::swap(op.backward.back().work, op.backward[op.backward.size() - 2].work);
    std::swap(op.backward.back().name, op.backward[op.backward.size() - 2].name);
  }
  if (options.bias) {
    op.backward.push_back(ColumnSumKernel(name + ".bias_gradient", y, HostCall::kOperator));
    if (n.compiled) op.backward.back().work.access = MemoryAccess::kElementwise;
    op.backward_workspace += ColumnSumWorkspace(y.rows, y.columns);
  }
  op.forward_views = 3;  // inside of linear: two views and the transposed weight
  // The same three are nodes, AccumulateGrad of each parameter is one, and each of the products transposes once.
  op.backward_views = 5 + (n.autocast ? 0 : options.bias ? 2 : 1);
  op.model_flops = op.forward.back().work.flops;
  return y;
}

}  // namespace simulate
