// training.norm_kernel: what PyTorch's, Apex's first and the persistent norms launch.
#include <catch2/catch.hpp>

#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

// One LayerNorm of 16384 rows of 1024 in 16 bits.
Operator NormBy(NormKernel kernel) {
  TrainingSpec training = Training(16384, 1, "fp16_mixed");
  training.norm_kernel = kernel;
  const Model model = BuildModel(Gpt(2, 1024, 16, 16384), training);
  for (const Operator& op : model.layers[model.uses[1].layer].operators) {
    if (op.name == "attention_norm") return op;
  }
  FAIL("a block has no attention_norm");
  return {};
}

}  // namespace

TEST_CASE("a persistent norm reads its input and its gradient once, Apex's first and PyTorch's twice") {
  const Bytes x(2 * 16384 * 1024);
  const auto Read = [](const Operator& op) {
    Bytes sum;
    for (const Kernel& k : op.backward) sum += k.work.read;
    return sum;
  };
  const Bytes parts = SizeOf(DType::kFp32, 2 * 1024);  // of weight and bias, summed apart
  CHECK(Read(NormBy(NormKernel::kTorch)) == 4 * x);
  CHECK(Read(NormBy(NormKernel::kApex)) == 4 * x + 16 * parts);
  CHECK(Read(NormBy(NormKernel::kPersistent)) == 2 * x + 128 * parts);
}

TEST_CASE("Megatron's norms are persistent, other runtimes' PyTorch's, unless the scenario says otherwise") {
  TrainingSpec training;
  CHECK(NormKernelOf(training) == NormKernel::kTorch);
  training.runtime = Runtime::kMegatron;
  CHECK(NormKernelOf(training) == NormKernel::kPersistent);
  training.norm_kernel = NormKernel::kApex;
  CHECK(NormKernelOf(training) == NormKernel::kApex);
}

}  // namespace simulate
