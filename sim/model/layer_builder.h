// Writes one Layer: tensors, parameters and operators, in the order in which the framework calls them.
//
// Numerics say in which types a framework computes:
//   pure      every tensor has the compute type (bf16 throughout, FSDP MixedPrecision, fp32, tf32)
//   autocast  weights and the residual stream are fp32; each matmul casts what it is given (torch.autocast:
//             weights once per forward, activations at every use); norms and the loss compute in fp32
//   fp8       matmul operands are quantized to fp8 first (amax, scale, cast), results are 16-bit; under Megatron as
//             Transformer Engine does it. The head's and a router's product stay in 16 bits.
// and `fused` that elementwise chains are one kernel (compiled or Megatron runtimes), `compiled` that sums, norms and
// reductions join them, too: what a chain reads and writes in between never leaves the chip.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/model/model.h"

namespace simulate {

struct Numerics {
  DType stream = DType::kBf16;   // storage of activations outside matmuls
  DType compute = DType::kBf16;  // storage of matmul operands and results
  DType multiply = DType::kBf16; // what the multipliers see (tf32 and fp8 differ from `compute`)
  bool autocast = false;
  bool fp8 = false;
  bool fused = false;
  bool compiled = false;         // fused by TorchInductor or Neuron
  bool megatron = false;         // fused by Megatron-LM's own kernels
  NormKernel norm_kernel = NormKernel::kTorch;
  std::optional<DType> main_gradients;  // of the buffer that products of weight gradients add into; else they write
  LoraSpec lora;                 // if on, weights are frozen but for its own
};
[[nodiscard]] Numerics NumericsOf(const TrainingSpec& training);

// A tensor as an operator sees it: rows x columns elements of one type.
struct Value {
  TensorIndex index = 0;
  DType dtype = DType::kBf16;
  int64_t rows = 0;
  int64_t columns = 0;
  [[nodiscard]] int64_t elements() const { return rows * columns; }
  [[nodiscard]] Bytes bytes() const { return SizeOf(dtype, elements()); }
};

class LayerBuilder {
 public:
  LayerBuilder(std::string name, const Numerics& numerics) : numerics_(numerics) { layer_.name = std::move(name); }

  [[nodiscard]] const Numerics& numerics() const { return numerics_; }

  // Names of tensors, parameters and kernels made from here on start with this ("attention.").
  void SetPrefix(std::string prefix) { prefix_ = std::move(prefix); }
  // Operators made from here on are dropped and recomputed under selective checkpointing.
  void SetSelective(bool on) { selective_ = on; }

  Value Input(const std::string& name, int64_t rows, int64_t columns, DType dtype, bool differentiable = true);
  void Output(const Value& value) { layer_.outputs.push_back(value.index); }
  Value NewTensor(const std::string& name, int64_t rows, int64_t columns, DType dtype, bool differentiable = true);
  Tensor& tensor(const Value& value) { return layer_.tensors[value.index]; }
  Tensor& tensor(TensorIndex index) { return layer_.tensors[index]; }
  uint32_t AddParameter(const std::string& name, int64_t elements);
  Parameter& parameter(uint32_t index) { return layer_.parameters[index]; }

  // Appends an operator of this name; the reference is good until the next one is added.
  Operator& Add(const std::string& name);
  Operator& last() { return layer_.operators.back(); }
  // Operators made from here on are the loss.
  void BeginLoss() { layer_.loss_from = static_cast<uint32_t>(layer_.operators.size()); }

  // The same for an operator that runs after the backward; its outputs live while it runs.
  Operator& AddAfterBackward(const std::string& name);

  [[nodiscard]] Layer Build() &&;

 private:
  Numerics numerics_;
  Layer layer_;
  std::string prefix_;
  bool selective_ = false;
};

// One matrix product; the bytes are its operands and its result, each once.
[[nodiscard]] Kernel GemmKernel(const std::string& name, const GemmShape& shape, const Numerics& numerics, HostCall host);

// A kernel bound by memory traffic. `dtype` is that of the widest operand.
[[nodiscard]] Kernel MemoryKernel(const std::string& name, MemoryAccess access, DType dtype, int64_t rows, int64_t columns,
                                  Bytes read, Bytes written, HostCall host);

// An elementwise kernel over a value of this shape that reads `reads` such tensors and writes one.
[[nodiscard]] Kernel ElementwiseKernel(const std::string& name, const Value& shape, int reads, HostCall host);

// From one type to another. Widening is not vectorised in PyTorch, narrowing to bf16 is.
[[nodiscard]] Kernel CastKernel(const std::string& name, DType from, DType to, int64_t elements, HostCall host);

// Sum over the rows of `value` into one row: bias gradients.
[[nodiscard]] Kernel ColumnSumKernel(const std::string& name, const Value& value, HostCall host);

// Marks a kernel that autograd launches only because a parameter wants its gradient.
[[nodiscard]] Kernel ParameterGradient(Kernel kernel);

// What PyTorch's reduce kernel allocates to sum `rows` rows of `columns` numbers across thread blocks
// (aten/src/ATen/native/cuda/Reduce.cuh: 4 bytes x outputs x block width x blocks per output).
[[nodiscard]] Bytes ColumnSumWorkspace(int64_t rows, int64_t columns);

}  // namespace simulate
