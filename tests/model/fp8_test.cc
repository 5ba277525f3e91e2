// What surrounds fp8 products under Transformer Engine.
#include <algorithm>
#include <catch2/catch.hpp>

#include "sim/model/liveness.h"
#include "sim/model/operators.h"
#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

TrainingSpec Megatron(bool fp8) {
  TrainingSpec training = Training(16, 1, "bf16");
  training.runtime = Runtime::kMegatron;
  training.precision.fp8_matmuls = fp8;
  return training;
}

const Operator& Find(const Layer& layer, const std::string& name) {
  return *std::ranges::find_if(layer.operators, [&](const Operator& op) { return op.name.ends_with(name); });
}

TEST_CASE("a product after a norm is fed fp8 and transposes it backward, any other casts and transposes its input") {
  LayerBuilder b("test", NumericsOf(Megatron(true)));
  const Value x = b.Input("x", 6, 4, DType::kBf16);
  const Value y = Linear(b, "fc1", x, 10, {.normalized = true});
  b.Output(Linear(b, "fc2", y, 4));
  const Layer layer = std::move(b).Build();
  const Operator& first = layer.operators[0];
  const Operator& second = layer.operators[1];
  REQUIRE(first.forward.size() == 1);  // the weight is in fp8 already
  CHECK(first.forward[0].work.dtype == DType::kFp8);
  REQUIRE(first.backward.size() == 4);  // cast of the gradient, transposed input, two products
  CHECK(first.backward[0].work.read == Bytes(6 * 10 * 2));
  CHECK(first.backward[0].work.written == Bytes(2 * 6 * 10));
  CHECK(first.backward[1].work.read == Bytes(6 * 4));
  CHECK(first.backward[1].work.written == Bytes(6 * 4));
  CHECK(first.backward[1].parameter_gradient);  // only the weight's gradient needs it
  REQUIRE(second.forward.size() == 2);
  CHECK(second.forward[0].work.read == Bytes(6 * 10 * 2));
  CHECK(second.forward[0].work.written == Bytes(2 * 6 * 10));
  CHECK(second.backward.size() == 3);
  // Each keeps its input in fp8, which nothing else does.
  CHECK(SavedBytes(layer) == Bytes(6 * 4 + 6 * 10));
}

TEST_CASE("with sequence parallelism fp8 is gathered, and an element less than its 16 bits is kept") {
  const ModelSpec spec = Llama(2, 64, 4, 4, 128);
  const Slice slice{.tensor = 2, .sequence_parallel = true};
  const Model narrow = BuildModel(spec, Megatron(true), slice), wide = BuildModel(spec, Megatron(false), slice);
  const Layer& block = narrow.layers[1];
  const Bytes gathered(16 * 64);  // of 16 tokens, a byte each
  CHECK(Find(block, "qkv").gathered() == gathered);
  CHECK(Find(wide.layers[1], "qkv").gathered() == 2 * gathered);
  for (const Operator& op : block.operators) {
    if (op.boundary == Boundary::kNone) continue;
    CHECK(op.gathered() == gathered);
    CHECK(op.boundary_bytes == 2 * gathered);  // what is reduced has 16 bits
  }
  // The gradient that comes back through a gather: each rank's half cast, all of it transposed.
  CHECK(Find(block, ".o").backward[0].work.read == Bytes(16 * 64 * 2 / 2 + 16 * 64));
  CHECK(Find(block, ".o").backward[0].work.written == Bytes(16 * 64 / 2 + 16 * 64));
  // Kept: the norms' results 8 x 64 each and the gate's 16 x 64 in half; of the attention's 16 x 32 a copy besides.
  CHECK(SavedBytes(wide.layers[1]) - SavedBytes(block) == Bytes(2 * 8 * 64 + 16 * 64 - 16 * 32));
  // The head's product has 16 bits.
  CHECK(Find(narrow.layers[2], "head").forward.back().work.dtype == DType::kBf16);
  CHECK(Find(narrow.layers[2], "head").gathered() == 2 * gathered);
}

}  // namespace
}  // namespace simulate
