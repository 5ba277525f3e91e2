#include "sim/parallel/stage_split.h"

#include <catch2/catch.hpp>

#include "tests/parallel/fixture.h"

using namespace simulate;

namespace {

Model Blocks(int64_t blocks) { return BuildModel(TinyGpt(1, blocks).model, TinyGpt(1, blocks).training); }

PipelineSpec By(PipelinePartition partition) {
  PipelineSpec how;
  how.partition = partition;
  return how;
}

std::vector<size_t> Sizes(const std::vector<std::vector<uint32_t>>& split) {
  std::vector<size_t> sizes;
  for (const auto& stage : split) sizes.push_back(stage.size());
  return sizes;
}

// Four stages of one block each at most, one micro-batch.
Scenario Pipelined(int64_t blocks, PipelineSpec how) {
  Scenario s = TinyGpt(4, blocks);
  UseBf16(s);
  s.training.runtime = Runtime::kMegatron;
  s.parallelism.pipeline = how;
  s.parallelism.pipeline.stages = 4;
  s.training.gradient_accumulation_steps = 4;
  return s;
}

}  // namespace

TEST_CASE("pipelines of layers count embedding, final norm and head") {
  const Model model = BuildModel(TinyGpt(1, 40).model, TinyGpt(1, 40).training);
  // 40 blocks: 10 each, and the ends on top. 43 items: 11, 11, 11, 10; the last has 8 blocks, the norm and the head (one use).
  CHECK(Sizes(SplitIntoStages(model, 4)) == std::vector<size_t>{11, 10, 10, 11});
  CHECK(Sizes(SplitIntoStages(model, 4, By(PipelinePartition::kLayers))) == std::vector<size_t>{11, 11, 11, 9});
  // Llama 3 405B: 126 blocks on 16 stages, one fewer on the first and on the last (The Llama 3 Herd of Models, section 3.3.2).
  const Model llama = BuildModel(TinyGpt(1, 126).model, TinyGpt(1, 126).training);
  const auto ends = SplitIntoStages(llama, 16, By(PipelinePartition::kEnds));
  CHECK(Sizes(ends) == std::vector<size_t>(16, 8));  // 7 blocks and an end on the outer two
  CHECK(ends.back().back() + 1 == llama.uses.size());
  // As many stages as blocks: the head stays on the last.
  CHECK(Sizes(SplitIntoStages(BuildModel(TinyGpt(1, 4).model, TinyGpt(1, 4).training), 4, By(PipelinePartition::kLayers))) ==
        std::vector<size_t>{2, 2, 1, 1});
}

TEST_CASE("pipelines of weights make the largest stage as small as can be, and fill the first ones first") {
  // Of LLaMA 13B (embedding and head of 128,000 x 5,120 as heavy as 2.07 blocks each): 44.1 blocks' worth on 2 stages: the
  // embedding and 20 blocks, 20 blocks and the head; on 4, at least 11.07: embedding and 9 blocks, 11, 11, 9 and the head.
  ModelSpec spec = TinyGpt(1, 40).model;
  spec.vocab_size = static_cast<int64_t>(2.07 * 12 * static_cast<double>(spec.hidden_size));  // a block: 12 h^2
  const Model model = BuildModel(spec, TinyGpt(1, 40).training);
  CHECK(Sizes(SplitIntoStages(model, 2, By(PipelinePartition::kParameters))) == std::vector<size_t>{21, 21});
  CHECK(Sizes(SplitIntoStages(model, 4, By(PipelinePartition::kParameters))) == std::vector<size_t>{10, 11, 11, 10});
  // Every stage gets something, however heavy the head.
  spec.vocab_size *= 100;
  CHECK(Sizes(SplitIntoStages(BuildModel(spec, TinyGpt(1, 40).training), 4, By(PipelinePartition::kParameters))) ==
        std::vector<size_t>{1, 39, 1, 1});
}

TEST_CASE("what counts as a block may be alone in a chunk") {
  // Llama 3 405B's layout at its finest: 126 blocks and two ends in 128 chunks of one.
  const Model llama = Blocks(126);
  const auto ends = SplitIntoStages(llama, 128, By(PipelinePartition::kEnds));
  CHECK(Sizes(ends) == std::vector<size_t>(128, 1));
  CHECK_FALSE(llama.uses[ends.front().front()].block);
  CHECK_FALSE(llama.uses[ends.back().front()].block);
  // Its stages: 16 of 8 chunks, the first and the last with 7 blocks.
  const PipelineShape shape{.kind = PipelineScheduleKind::kInterleaved1F1B, .stages = 16, .micro_batches = 16, .virtual_stages = 8};
  for (const int64_t stage : {0, 1, 15}) {
    const auto uses = UsesOfStage(ends, shape, stage);
    CHECK(std::ranges::count_if(uses, [&](uint32_t use) { return llama.uses[use].block; }) == (stage == 1 ? 8 : 7));
  }
  // 7 blocks and one end over 4: the end's stage has one block fewer (2, 2, 2, 1 beside the head; 1 beside the embedding, 2, 2, 2).
  CHECK(Sizes(SplitIntoStages(Blocks(7), 4, By(PipelinePartition::kHead))) == std::vector<size_t>{3, 2, 2, 2});
  CHECK(Sizes(SplitIntoStages(Blocks(7), 4, By(PipelinePartition::kEmbedding))) == std::vector<size_t>{2, 2, 2, 3});
  CHECK(Sizes(SplitIntoStages(Blocks(3), 4, By(PipelinePartition::kHead))) == std::vector<size_t>{2, 1, 1, 1});
  CHECK(Sizes(SplitIntoStages(Blocks(3), 4, By(PipelinePartition::kEmbedding))) == std::vector<size_t>{1, 1, 1, 2});
}

TEST_CASE("outer stages hold as many blocks as they are told, in equal chunks, and the others share the rest") {
  PipelineSpec how{.stages = 4};
  how.first_stage_layers = 0;
  how.last_stage_layers = 2;
  CHECK(Sizes(SplitIntoStages(Blocks(10), 4, how)) == std::vector<size_t>{1, 4, 4, 3});  // embedding; 2 blocks and the head
  how.last_stage_layers = -1;
  CHECK(Sizes(SplitIntoStages(Blocks(9), 4, how)) == std::vector<size_t>{1, 3, 3, 4});
  // DeepSeek-like: 14 blocks, 2 on the first stage and 4 on the last, two chunks each: 1, 2, 2, 2 twice.
  how.virtual_stages = 2;
  how.first_stage_layers = 2;
  how.last_stage_layers = 4;
  CHECK(Sizes(SplitIntoStages(Blocks(14), 8, how)) == std::vector<size_t>{2, 2, 2, 2, 1, 2, 2, 3});
}

TEST_CASE("a stage that holds the embedding or the head alone has their weights and kernels, and talks to one neighbour") {
  const Program program = BuildProgram(Pipelined(2, By(PipelinePartition::kEnds)));
  REQUIRE(program.programs.size() == 4);
  // bf16 weights: 1,024 x 256 of the vocabulary (the tied head has a copy) and 128 x 256 of positions; the final norm has 2 x 256.
  const auto weights = [&](size_t stage) { return MemoryOf(program, stage).persistent.at(MemoryCategory::kParameters); };
  CHECK(weights(0) == Bytes(2 * (1024 + 128) * 256));
  CHECK(weights(3) == Bytes(2 * (1024 * 256 + 2 * 256)));
  CHECK(weights(1) == weights(2));
  for (const size_t end : {size_t{0}, size_t{3}}) {
    CHECK(CountNamed(program, "attention", end) == 0);
    CHECK(CountNamed(program, "receive forward", end) == (end == 0 ? 0 : 4));
    CHECK(CountNamed(program, "send forward", end) == (end == 0 ? 4 : 0));
    CHECK(CountNamed(program, "receive backward", end) == (end == 0 ? 4 : 0));
    CHECK(CountNamed(program, "send backward", end) == (end == 0 ? 0 : 4));
    const MemoryTotals memory = MemoryOf(program, end);
    CHECK(memory.at_begin == memory.at_end);  // nothing is left of the pieces
  }
  CHECK(CountNamed(program, "head", 3) > 0);
}
