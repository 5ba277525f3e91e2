// FLOPs, bytes and saved tensors of each class of operator, counted by hand.
#include <catch2/catch.hpp>

#include "sim/model/liveness.h"
#include "sim/model/operators.h"
#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

constexpr int64_t kTokens = 6, kWidth = 4;  // small enough to count on fingers

LayerBuilder Builder(const std::string& precision) { return LayerBuilder("test", NumericsOf(Training(6, 1, precision))); }

const KernelWork& Work(const Operator& op, size_t i = 0) { return op.forward.at(i).work; }
const KernelWork& Back(const Operator& op, size_t i = 0) { return op.backward.at(i).work; }

TEST_CASE("a linear layer is three products") {
  LayerBuilder b = Builder("bf16");
  const Value x = b.Input("x", kTokens, kWidth, DType::kBf16);
  LinearOptions options;
  options.bias = true;
  b.Output(Linear(b, "w", x, 10, options));
  const Layer layer = std::move(b).Build();
  REQUIRE(layer.operators.size() == 1);
  const Operator& op = layer.operators[0];
  // Y[6,10] = X[6,4] W[10,4]^T: 2 x 6 x 10 x 4 FLOPs; reads 24 + 40 numbers, writes 60, two bytes each.
  CHECK(Work(op).flops == Flops(480));
  CHECK(Work(op).read == Bytes(128));
  CHECK(Work(op).written == Bytes(120));
  CHECK(Work(op).gemm == GemmShape{1, 6, 10, 4, GemmPass::kForward});
  REQUIRE(op.backward.size() == 3);
  CHECK(Back(op, 0).gemm == GemmShape{1, 6, 4, 10, GemmPass::kDataGradient});     // dX = dY W
  CHECK(Back(op, 1).gemm == GemmShape{1, 10, 4, 6, GemmPass::kWeightGradient});   // dW = dY^T X
  CHECK(Back(op, 0).flops + Back(op, 1).flops == Flops(960));
  CHECK(Back(op, 2).access == MemoryAccess::kColumnReduction);                    // bias: sums of dY's columns
  CHECK(Back(op, 2).read == Bytes(120));
  CHECK(Back(op, 2).written == Bytes(20));
  CHECK(op.saved == std::vector<TensorIndex>{x.index});
  CHECK(op.parameters.size() == 2);
  CHECK(layer.parameter_count() == 50);
  CHECK(layer.forward_flops() == Flops(480));
}

TEST_CASE("under autocast a linear layer casts its weight, its input and both gradients") {
  LayerBuilder b = Builder("autocast");
  const Value x = b.Input("x", kTokens, kWidth, DType::kFp32);
  const Value y = Linear(b, "w", x, 10);
  b.Output(y);
  CHECK(y.dtype == DType::kBf16);
  const Layer layer = std::move(b).Build();
  REQUIRE(layer.operators.size() == 3);
  CHECK(Work(layer.operators[0]).read == Bytes(160));    // weight: 40 numbers from 4 bytes to 2
  CHECK(Work(layer.operators[0]).written == Bytes(80));
  CHECK(Work(layer.operators[1]).read == Bytes(96));     // input: 24 numbers
  CHECK(Work(layer.operators[1]).written == Bytes(48));
  CHECK(Back(layer.operators[0]).written == Bytes(160)); // and the gradients back to 4
  CHECK(Back(layer.operators[1]).written == Bytes(96));
  CHECK(Back(layer.operators[1]).access == MemoryAccess::kMixedTypes);
  // Kept: the 16-bit copies of weight and input, and not the fp32 input.
  CHECK(SavedBytes(layer) == Bytes(80 + 48));
  CHECK(AutocastCopies(layer).size() == 1);
}

TEST_CASE("norms read a row once forward, twice backward, and keep fp32 statistics") {
  LayerBuilder b = Builder("bf16");
  const Value x = b.Input("x", kTokens, kWidth, DType::kBf16);
  const Value y = LayerNorm(b, "n", x, true);
  b.Output(RmsNorm(b, "m", y));
  const Layer layer = std::move(b).Build();
  const Operator& norm = layer.operators[0];
  CHECK(Work(norm).read == Bytes(48));
  CHECK(Work(norm).written == Bytes(48));
  CHECK(Back(norm, 0).read == Bytes(96));
  CHECK(Back(norm, 1).written == Bytes(16));             // gradients of weight and bias
  CHECK(layer.operators[1].backward[1].work.written == Bytes(8));
  // x, mean and 1/deviation; then y and 1/rms.
  CHECK(SavedBytes(layer) == Bytes(48 + 24 + 24 + 48 + 24));
}

TEST_CASE("T5's norm is eight kernels forward and keeps its input twice") {
  LayerBuilder b = Builder("bf16");
  const Value x = b.Input("x", kTokens, kWidth, DType::kBf16);
  b.Output(ComposedRmsNorm(b, "n", x));
  const Layer layer = std::move(b).Build();
  CHECK(layer.operators[0].forward.size() == 8);
  CHECK(layer.operators[0].backward.size() == 17);
  // x in bf16 and in fp32, the scale, the normalized x.
  CHECK(SavedBytes(layer) == Bytes(48 + 96 + 24 + 48));
}

TEST_CASE("activations, gates, dropout and residual adds") {
  LayerBuilder b = Builder("bf16");
  const Value x = b.Input("x", kTokens, kWidth, DType::kBf16);
  const Value gelu = Activate(b, "gelu", Activation::kGelu, x);
  const Value relu = Activate(b, "relu", Activation::kRelu, gelu);
  const Value product = Multiply(b, "gate", gelu, relu);
  const Value dropped = Dropout(b, "dropout", product, 0.1);
  b.Output(ResidualAdd(b, "residual", x, dropped));
  CHECK(Dropout(b, "none", x, 0.0).index == x.index);
  const Layer layer = std::move(b).Build();
  CHECK(Work(layer.operators[0]).read == Bytes(48));
  CHECK(Back(layer.operators[0]).read == Bytes(96));       // the gradient and what was saved
  CHECK(layer.operators[0].saved == std::vector<TensorIndex>{x.index});
  CHECK(layer.operators[1].saved == std::vector<TensorIndex>{relu.index});  // its result
  CHECK(layer.operators[2].backward.size() == 2);
  CHECK(layer.operators[3].saved.size() == 1);             // a byte per element
  CHECK(Work(layer.operators[3]).written == Bytes(48 + 24));
  CHECK(Work(layer.operators[4]).read == Bytes(96));
  CHECK(layer.operators[4].backward.empty());
  // x, relu's result, gelu's result (relu's is there already), the mask.
  CHECK(SavedBytes(layer) == Bytes(3 * 48 + 24));
}

TEST_CASE("fused attention counts both products over the whole square") {
  LayerBuilder b = Builder("bf16");
  AttentionDims d;
  d.batch = 2;
  d.query_heads = 4;
  d.key_value_heads = 2;
  d.query_length = d.key_length = 3;
  d.head_dim = 8;
  const Value q = b.Input("q", 6, 32, DType::kBf16), k = b.Input("k", 6, 16, DType::kBf16), v = b.Input("v", 6, 16, DType::kBf16);
  b.Output(FusedAttention(b, d, q, k, v, AttentionKernel::kFlash, 0.0));
  const Layer layer = std::move(b).Build();
  const Operator& op = layer.operators[0];
  CHECK(Work(op).flops == Flops(4.0 * 2 * 4 * 3 * 3 * 8));
  CHECK(Back(op).flops == Flops(8.0 * 2 * 4 * 3 * 3 * 8));
  CHECK(Work(op).read == Bytes(2 * (192 + 96 + 96)));
  CHECK(Work(op).written == Bytes(2 * 192 + 4 * 24));       // the result, and fp32 log-sum-exp per row
  CHECK(op.backward.size() == 3);                           // and the sums over query heads of a group
  // fp32 dQ, a number per row, dK and dV per query head.
  CHECK(op.backward_workspace == Bytes(4 * 192 + 4 * 24 + 2 * 2 * 192));
}

TEST_CASE("cross-entropy makes two fp32 copies of the logits and keeps one") {
  LayerBuilder b = Builder("bf16");
  const Value logits = b.Input("logits", kTokens, 100, DType::kBf16);
  CrossEntropy(b, logits, LossKernel::kComposed);
  const Layer layer = std::move(b).Build();
  REQUIRE(layer.operators.size() == 3);
  CHECK(Work(layer.operators[0]).written == Bytes(2400));
  CHECK(Work(layer.operators[1]).access == MemoryAccess::kLoss);
  CHECK(Work(layer.operators[1]).read + Work(layer.operators[1]).written == Bytes(4800));
  CHECK(Back(layer.operators[1]).read == Bytes(4800));
  CHECK(Back(layer.operators[2]).written == Bytes(2400));   // zeros, before the picked ones are set
  CHECK(SavedBytes(layer) == Bytes(2400));
}

TEST_CASE("an embedding gathers forward, and zeroes and scatters its table backward") {
  LayerBuilder b = Builder("bf16");
  b.Output(Embedding(b, "e", kTokens, 100, kWidth, false));
  const Layer layer = std::move(b).Build();
  CHECK(Work(layer.operators[0]).access == MemoryAccess::kGather);
  CHECK(Work(layer.operators[0]).read == Bytes(48 + 48));   // rows and 8-byte indices
  CHECK(Back(layer.operators[0], 0).written == Bytes(800));
  CHECK(Back(layer.operators[0], 2).access == MemoryAccess::kScatterAdd);
}

TEST_CASE("an fp8 product quantizes its operands first") {
  TrainingSpec training = Training(6, 1, "bf16");
  training.precision.fp8_matmuls = true;
  LayerBuilder b("test", NumericsOf(training));
  const Value x = b.Input("x", kTokens, kWidth, DType::kBf16);
  b.Output(Linear(b, "w", x, 10));
  const Layer layer = std::move(b).Build();
  const Operator& op = layer.operators[0];
  REQUIRE(op.forward.size() == 5);  // largest magnitude and cast, of input and weight; the product
  CHECK(Work(op, 1).written == Bytes(24));
  CHECK(Work(op, 4).dtype == DType::kFp8);
  CHECK(Work(op, 4).read == Bytes(24 + 40));
  CHECK(Work(op, 4).written == Bytes(120));
}

}  // namespace
}  // namespace simulate
