// Layouts as other code bases write them: parallelism.tensor_implementation, pipeline.partition, data.reduce_scatter,
// training.activation_checkpointing.head.
#include <catch2/catch.hpp>

#include "sim/parallel/pipeline.h"
#include "tests/parallel/fixture.h"

using namespace simulate;

namespace {

Scenario Gated(int64_t tensor) {
  Scenario s = TinyGpt(tensor, 2);
  UseBf16(s);
  s.model.gated_mlp = true;
  s.parallelism.tensor = tensor;
  return s;
}

std::vector<size_t> Sizes(const std::vector<std::vector<uint32_t>>& split) {
  std::vector<size_t> sizes;
  for (const auto& stage : split) sizes.push_back(stage.size());
  return sizes;
}

}  // namespace

TEST_CASE("plain tensor parallelism sums the gradient of a gated MLP's input twice") {
  // Per block: forward 2 all_reduces, backward attention 1 and MLP 1, or one for each of gate and up.
  constexpr int64_t kHidden = 2 * 128 * 256 * 2;
  const auto reduced = [&](Scenario s) {
    return std::ranges::count_if(Collectives(BuildProgram(s)), [](const CollectiveCall& c) { return c.op == CollectiveOp::kAllReduce && c.bytes == Bytes(kHidden); });
  };
  Scenario s = Gated(2);
  const auto shared = reduced(s);
  s.parallelism.tensor_implementation = TensorImplementation::kPlain;
  CHECK(reduced(s) == shared + 2);
  s.parallelism.sequence_parallel = true;  // gathered once for both
  CHECK(BytesOf(BuildProgram(s), CollectiveOp::kReduceScatter) == Bytes(kHidden) * (2 * (2 + 2) + 1 + 1));
}

TEST_CASE("pipelines of layers count embedding, final norm and head") {
  const Model model = BuildModel(TinyGpt(1, 40).model, TinyGpt(1, 40).training);
  // 40 blocks: 10 each, and the ends on top. 43 items: 11, 11, 11, 10; the last has 8 blocks, the norm and the head (one use).
  CHECK(Sizes(SplitIntoStages(model, 4)) == std::vector<size_t>{11, 10, 10, 11});
  CHECK(Sizes(SplitIntoStages(model, 4, PipelinePartition::kLayers)) == std::vector<size_t>{11, 11, 11, 9});
  // Llama 3 405B: 126 blocks on 16 stages, one fewer on the first and on the last (The Llama 3 Herd of Models, section 3.3.2).
  const Model llama = BuildModel(TinyGpt(1, 126).model, TinyGpt(1, 126).training);
  const auto ends = SplitIntoStages(llama, 16, PipelinePartition::kEnds);
  CHECK(Sizes(ends) == std::vector<size_t>(16, 8));  // 7 blocks and an end on the outer two
  CHECK(ends.back().back() + 1 == llama.uses.size());
  // As many stages as blocks: the head stays on the last.
  CHECK(Sizes(SplitIntoStages(BuildModel(TinyGpt(1, 4).model, TinyGpt(1, 4).training), 4, PipelinePartition::kLayers)) ==
        std::vector<size_t>{2, 2, 1, 1});
}

TEST_CASE("ZeRO-1 without reduce_scatter sums every gradient on every rank, in the type that travels") {
  Scenario s = TinyGpt(8, 2);
  s.parallelism.data.strategy = DataStrategy::kZero1;
  s.training.precision.master_weights = DType::kFp32;
  s.training.precision.gradient_reduction = DType::kFp32;
  s.parallelism.data.reduce_scatter = false;
  const Program program = BuildProgram(s);
  CHECK(BytesOf(program, CollectiveOp::kReduceScatter) == Bytes(0));
  CHECK(BytesOf(program, CollectiveOp::kAllReduce) >= SizeOf(DType::kFp32, ParameterCount(s)));
  const MemoryTotals memory = MemoryOf(program);
  CHECK(memory.at_begin == memory.at_end);
}

TEST_CASE("a checkpointed head is computed twice") {
  Scenario s = Gated(1);
  s.training.activation_checkpointing = Checkpointing::kFull;
  const int64_t once = CountNamed(BuildProgram(s), "head");
  s.training.checkpoint_head = true;
  CHECK(CountNamed(BuildProgram(s), "head") == 2 * once);
  CHECK(CountNamed(BuildProgram(s), "log_softmax") == 1);  // the loss is not
}
