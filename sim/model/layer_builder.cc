#include "sim/model/layer_builder.h"

#include <algorithm>

#include "sim/base/check.h"

namespace simulate {

Numerics NumericsOf(const TrainingSpec& training) {
  const PrecisionSpec& precision = training.precision;
  const DType storage = precision.compute == DType::kTf32 ? DType::kFp32 : precision.compute;
  Numerics n;
  n.compute = storage;
  n.stream = precision.autocast ? precision.parameters : storage;
  n.multiply = precision.compute;
  n.autocast = precision.autocast && n.stream != n.compute;
  n.fp8 = precision.fp8_matmuls;
  n.lora = training.lora;
  n.fused = training.runtime == Runtime::kCompiled || training.runtime == Runtime::kMegatron ||
            training.runtime == Runtime::kNeuron;
  n.compiled = training.runtime == Runtime::kCompiled || training.runtime == Runtime::kNeuron;
  n.megatron = training.runtime == Runtime::kMegatron;
  n.norm_kernel = NormKernelOf(training);
  if (n.megatron && training.fused_accumulation && precision.master_weights) n.main_gradients = precision.gradients;
  return n;
}

Value LayerBuilder::NewTensor(const std::string& name, int64_t rows, int64_t columns, DType dtype, bool differentiable) {
  SIM_CHECK(rows >= 0 && columns >= 0, name);
  Tensor tensor;
  tensor.name = prefix_ + name;
  tensor.bytes = SizeOf(dtype, rows * columns);
  tensor.dtype = dtype;
  tensor.differentiable = differentiable;
  layer_.tensors.push_back(std::move(tensor));
  return {static_cast<TensorIndex>(layer_.tensors.size() - 1), dtype, rows, columns};
}

Value LayerBuilder::Input(const std::string& name, int64_t rows, int64_t columns, DType dtype, bool differentiable) {
  const Value value = NewTensor(name, rows, columns, dtype, differentiable);
  layer_.inputs.push_back(value.index);
  return value;
}

uint32_t LayerBuilder::AddParameter(const std::string& name, int64_t elements) {
  Parameter parameter;
  parameter.name = prefix_ + name;
  parameter.elements = elements;
  parameter.frozen = numerics_.lora.on();
  layer_.parameters.push_back(std::move(parameter));
  return static_cast<uint32_t>(layer_.parameters.size() - 1);
}

namespace {

// Autograd asks for no gradient of a frozen weight: the kernels that make one are not launched. (Linear layers see to
// this themselves, since they then need not keep their input either.)
void DropFrozenGradients(const Layer& layer, Operator& op) {
  const auto frozen = [&](uint32_t p) { return layer.parameters[p].frozen; };
  if (op.parameters.empty() || !std::all_of(op.parameters.begin(), op.parameters.end(), frozen)) return;
  op.parameters.clear();
  std::erase_if(op.backward, [](const Kernel& k) { return k.parameter_gradient; });
  if (op.backward.empty()) op.backward_workspace = Bytes(0);
}

}  // namespace

Layer LayerBuilder::Build() && {
  for (Operator& op : layer_.operators) DropFrozenGradients(layer_, op);
  return std::move(layer_);
}

Operator& LayerBuilder::Add(const std::string& name) {
  Operator op;
  op.name = prefix_ + name;
  op.recomputed_selectively = selective_;
  layer_.operators.push_back(std::move(op));
  return layer_.operators.back();
}

Operator& LayerBuilder::AddAfterBackward(const std::string& name) {
  Operator op;
  op.name = prefix_ + name;
  layer_.after_backward.push_back(std::move(op));
  return layer_.after_backward.back();
}

Kernel GemmKernel(const std::string& name, const GemmShape& shape, const Numerics& numerics, HostCall host) {
  Kernel kernel;
  kernel.name = name;
  kernel.host = host;
  KernelWork& work = kernel.work;
  work.kind = KernelKind::kGemm;
  work.gemm = shape;
  const auto b = shape.batch, m = shape.m, n = shape.n, k = shape.k;
  work.dtype = numerics.multiply;
  work.flops = Flops(2.0 * static_cast<double>(b) * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k));
  work.read = SizeOf(numerics.multiply, b * (m * k + k * n));
  work.written = SizeOf(numerics.compute, b * m * n);
  if (shape.added_to > 0) {
    work.written = Bytes(shape.added_to * b * m * n);
    work.read += work.written;
  }
  return kernel;
}

Kernel MemoryKernel(const std::string& name, MemoryAccess access, DType dtype, int64_t rows, int64_t columns, Bytes read,
                    Bytes written, HostCall host) {
  Kernel kernel;
  kernel.name = name;
  kernel.host = host;
  kernel.work.kind = KernelKind::kMemory;
  kernel.work.dtype = dtype;
  kernel.work.access = access;
  kernel.work.rows = rows;
  kernel.work.columns = columns;
  kernel.work.read = read;
  kernel.work.written = written;
  return kernel;
}

Kernel ElementwiseKernel(const std::string& name, const Value& shape, int reads, HostCall host) {
  return MemoryKernel(name, MemoryAccess::kElementwise, shape.dtype, shape.rows, shape.columns, shape.bytes() * reads,
                      shape.bytes(), host);
}

Kernel CastKernel(const std::string& name, DType from, DType to, int64_t elements, HostCall host) {
  const bool widening = SizeOf(to, 1) > SizeOf(from, 1);
  return MemoryKernel(name, widening ? MemoryAccess::kMixedTypes : MemoryAccess::kElementwise, widening ? to : from, 1,
                      elements, SizeOf(from, elements), SizeOf(to, elements), host);
}

Kernel ColumnSumKernel(const std::string& name, const Value& value, HostCall host) {
  return MemoryKernel(name, MemoryAccess::kColumnReduction, value.dtype, value.rows, value.columns, value.bytes(),
                      SizeOf(value.dtype, value.columns), host);
}

Kernel ParameterGradient(Kernel kernel) {
  kernel.parameter_gradient = true;
  return kernel;
}

Bytes ColumnSumWorkspace(int64_t rows, int64_t columns) {
  // 128 threads a block, 4 outputs a thread across a warp: 128 outputs a block of 4 rows. 132 processors of
  // 2048 threads (H100; an A100's 108 would make it 18 % smaller) hold 2112 blocks.
  constexpr int64_t kBlocks = 132 * 16, kOutputsPerBlock = 128, kRowsPerBlock = 4, kValuesPerThread = 16;
  const int64_t values = DivCeil(rows, kRowsPerBlock);
  if (values < kValuesPerThread) return Bytes(0);
  const int64_t grid = DivCeil(columns, kOutputsPerBlock);
  const int64_t fill = DivCeil(kBlocks, grid), work = DivCeil(values, kValuesPerThread), most = DivCeil(values, 256);
  const int64_t blocks = std::max(std::min(fill, work), most);
  return blocks > 1 ? Bytes(4 * columns * kOutputsPerBlock * blocks) : Bytes(0);
}

}  // namespace simulate
