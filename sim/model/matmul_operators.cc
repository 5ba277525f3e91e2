// Linear layers and the casts that autocast puts around them.
#include <algorithm>

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
  op.backward = {ParameterGradient(CastKernel("weight_cast_backward", n.compute, n.stream, elements, HostCall::kAutogradNode))};
  op.backward_views = 1;  // AccumulateGrad
  return copy;
}

// The quantization that precedes an fp8 product: the tensor's largest magnitude, then scale and cast.
// Current scaling as in torchao.float8; compiled code finds the maximum in the kernel that made the tensor.
void AddFp8Casts(const LayerBuilder& b, const std::string& name, int64_t elements, std::vector<Kernel>& kernels) {
  const Bytes wide = SizeOf(b.numerics().compute, elements);
  const DType type = b.numerics().compute;
  if (!b.numerics().fused)
    kernels.push_back(MemoryKernel(name + "_amax", MemoryAccess::kRowReduction, type, 1, elements, wide, Bytes(4), HostCall::kOperator));
  kernels.push_back(MemoryKernel(name + "_to_fp8", MemoryAccess::kElementwise, type, 1, elements, wide,
                                 SizeOf(DType::kFp8, elements), HostCall::kInner));
}

// Transformer Engine's traffic around an fp8 product (pytorch/module/linear.py, layernorm_linear.py, base.py's
// grad_output_preprocess; 1.11). Hopper multiplies fp8 only with both operands' rows along the sum, so what the weight's gradient
// needs is transposed: a norm writes its result in fp8, whose transpose the backward makes; any other input is cast and
// transposed in one pass, and so are gradients: a third of a billion elements a millisecond on an H100 (4,096 x 4,096 in 51.5 us,
// 3,072 x 3,072 in 24.5: TransformerEngine#101), the rate of a cast that is not vectorised. Weights are quantized by the optimizer's
// step (fp8_params), not by the product. The input is kept in fp8. Absent: the scales, the byte less that such a norm writes.
void AddTransformerEngineCasts(const LayerBuilder& b, const std::string& name, const Value& x, const Value& y, bool normalized, Operator& op) {
  const auto cast_and_transpose = [&](const char* what, const Value& v) {
    return MemoryKernel(name + what, MemoryAccess::kMixedTypes, b.numerics().compute, 1, v.elements(), v.bytes(),
                        SizeOf(DType::kFp8, 2 * v.elements()), HostCall::kInner);
  };
  if (!normalized) op.forward.push_back(cast_and_transpose(".input_to_fp8", x));
  op.backward.push_back(cast_and_transpose(".gradient_to_fp8", y));
  if (normalized) {
    const Bytes narrow = SizeOf(DType::kFp8, x.elements());
    op.backward.push_back(ParameterGradient(MemoryKernel(name + ".input_transposed", MemoryAccess::kElementwise, DType::kFp8, 1,
                                                         x.elements(), narrow, narrow, HostCall::kInner)));
  }
  op.forward_workspace = normalized ? Bytes(0) : SizeOf(DType::kFp8, x.elements());
  op.backward_workspace = SizeOf(DType::kFp8, 2 * y.elements() + (normalized ? x.elements() : 0));
}

// What precedes an fp8 product and its gradients' products.
void AddCasts(const LayerBuilder& b, const std::string& name, const Value& x, const Value& y, int64_t weights, bool normalized, Operator& op) {
  if (b.numerics().megatron) {
    AddTransformerEngineCasts(b, name, x, y, normalized, op);
    return;
  }
  AddFp8Casts(b, name + ".input", x.elements(), op.forward);
  AddFp8Casts(b, name + ".weight", weights, op.forward);
  AddFp8Casts(b, name + ".gradient", y.elements(), op.backward);
  op.forward_workspace = SizeOf(DType::kFp8, x.elements() + weights);
  op.backward_workspace = SizeOf(DType::kFp8, y.elements());
}

// The last operator, a product, keeps an fp8 copy of its input instead of the input.
void KeepQuantized(LayerBuilder& b, const std::string& name, const Value& x) {
  const Value copy = b.NewTensor(name + ".input_fp8", x.rows, x.columns, DType::kFp8, false);
  Operator& op = b.last();
  op.outputs.push_back(copy.index);
  std::replace(op.saved.begin(), op.saved.end(), x.index, copy.index);
}

Numerics MatmulNumerics(const LayerBuilder& b, const LinearOptions& options) {
  Numerics n = b.numerics();
  n.fp8 = n.fp8 && options.quantized && !options.logits;
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

namespace {

// bitsandbytes keeps 4-bit weights with a scale per 64, themselves 8-bit with an fp32 scale per 256 (Dettmers et al. 2023,
// double quantization), int8 ones with a scale per output; fp8 has one scale per tensor.
Bytes StoredBytes(DType type, int64_t elements, int64_t out_features) {
  const Bytes weights = SizeOf(type, elements);
  if (type == DType::kInt4) return weights + Bytes(DivCeil(elements, int64_t{64})) + Bytes(4 * DivCeil(elements, int64_t{64 * 256}));
  return weights + Bytes(4 * (type == DType::kInt8 ? out_features : 1));
}

// A frozen, quantized weight is widened into a temporary before each of its products.
void AddDequantization(const std::string& name, const Numerics& n, Bytes stored, int64_t elements, Operator& op) {
  const auto widen = [&](HostCall host) {
    return MemoryKernel(name + ".dequantize", MemoryAccess::kMixedTypes, n.compute, 1, elements, stored, SizeOf(n.compute, elements), host);
  };
  op.forward.insert(op.forward.begin(), widen(HostCall::kOperator));
  op.backward.insert(op.backward.begin(), widen(HostCall::kAutogradNode));
  op.forward_workspace += SizeOf(n.compute, elements);
  op.backward_workspace += SizeOf(n.compute, elements);
}

// The head stays as it is: only the blocks' products are quantized (bitsandbytes skips lm_head).
Numerics WithoutBase(Numerics n) {
  n.lora.base.reset();
  return n;
}

// What remains of a linear layer whose weight is not trained: its input is not kept, its backward is one product.
void Freeze(LayerBuilder& b, const std::string& name, const Numerics& n, uint32_t weight, int64_t out_features, Operator& op) {
  op.parameters.clear();
  op.saved.clear();
  op.backward_workspace = n.fp8 ? op.backward_workspace : Bytes(0);
  std::erase_if(op.backward, [](const Kernel& k) { return k.parameter_gradient; });
  Parameter& parameter = b.parameter(weight);
  if (!n.lora.base || parameter.tied || SizeOf(*n.lora.base, 8) >= SizeOf(n.compute, 8)) return;
  parameter.stored = StoredBytes(*n.lora.base, parameter.elements, out_features);
  AddDequantization(name, n, parameter.stored, parameter.elements, op);
}

Value Product(LayerBuilder& b, const std::string& name, const Value& input, int64_t out_features, const LinearOptions& options, bool frozen) {
  const Numerics n = MatmulNumerics(b, options);
  const int64_t groups = options.batch, rows = input.rows / groups, in = input.columns;
  SIM_CHECK(rows * groups == input.rows, name, ": rows do not divide into groups");
  const uint32_t weight = b.AddParameter(name + ".weight", groups * in * out_features);
  b.parameter(weight).tied = options.tied;
  b.parameter(weight).expert = options.expert;
  b.parameter(weight).frozen = frozen;
  b.parameter(weight).of_product = true;
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
  op.linear = true;
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
  GemmShape gradient{groups, out_features, in, rows, GemmPass::kWeightGradient};
  if (n.main_gradients) gradient.added_to = SizeOf(*n.main_gradients, 1).value();
  if (n.fp8) AddCasts(b, name, x, y, groups * in * out_features, options.normalized, op);
  op.forward.push_back(GemmKernel(name, forward, n, HostCall::kOperator));
  Kernel of_input = GemmKernel(name + ".data_gradient", data, n, HostCall::kAutogradNode);
  Kernel of_weight = ParameterGradient(GemmKernel(name + ".weight_gradient", gradient, n, HostCall::kOperator));
  if (op.parameter_gradients_first) {
    std::swap(of_input.host, of_weight.host);
    std::swap(of_input, of_weight);
  }
  op.backward.insert(op.backward.end(), {of_input, of_weight});
  // Megatron-LM's own linear layer hands autograd an empty gradient of the weight's shape (tensor_parallel/layers.py,
  // LinearWithGradAccumulationAndAsyncCommunication); the blocks' share theirs (DummyGradients in parallel/megatron.cc).
  if (n.main_gradients && options.logits) op.backward_workspace += SizeOf(n.compute, groups * in * out_features);
  if (options.bias && !frozen) {
    op.backward.push_back(ParameterGradient(ColumnSumKernel(name + ".bias_gradient", y, HostCall::kOperator)));
    if (n.compiled) op.backward.back().work.access = MemoryAccess::kElementwise;
    op.backward_workspace += ColumnSumWorkspace(y.rows, y.columns);
  }
  op.forward_views = 3;  // inside of linear: two views and the transposed weight
  // The same three are nodes, AccumulateGrad of each parameter is one, and each of the products transposes once.
  op.backward_views = 5 + (n.autocast ? 0 : options.bias ? 2 : 1);
  op.model_flops = op.forward.back().work.flops;
  if (n.fp8 && n.megatron && !frozen) KeepQuantized(b, name, x);
  if (frozen) Freeze(b, name, options.logits ? WithoutBase(n) : n, weight, out_features, op);
  return y;
}

// Whether adapters go beside this layer; a fused projection has one if any of its parts does.
bool HasAdapter(const LoraSpec& lora, const std::string& name) {
  const auto has = [&](const char* target) { return std::find(lora.targets.begin(), lora.targets.end(), target) != lora.targets.end(); };
  return name == "qkv" ? has("q") || has("k") || has("v") : has(name.c_str());
}

}  // namespace

Value Linear(LayerBuilder& b, const std::string& name, const Value& input, int64_t out_features, const LinearOptions& options) {
  const LoraSpec lora = b.numerics().lora;
  const Value y = Product(b, name, input, out_features, options, lora.on());
  if (!lora.on() || !HasAdapter(lora, name)) return y;
  // peft's and torchtune's order: W x + (B (A x)) * (alpha / rank)
  const Value down = Product(b, name + ".lora_a", input, lora.rank, {}, false);
  const Value up = Product(b, name + ".lora_b", down, out_features, {}, false);
  return ResidualAdd(b, name + ".lora_add", y, Scale(b, name + ".lora_scale", up));
}

}  // namespace simulate
