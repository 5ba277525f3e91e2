#include <catch2/catch.hpp>

#include "tests/parallel/fixture.h"

using namespace simulate;

namespace {

Scenario Megatron(int64_t tensor, bool sequence_parallel) {
  Scenario s = TinyGpt(tensor, 2);
  s.training.runtime = Runtime::kMegatron;
  s.parallelism.tensor = tensor;
  s.parallelism.sequence_parallel = sequence_parallel;
  return s;
}

// Bytes of the whole hidden state of one micro-batch: 2 sequences of 128 tokens of 256 in 16 bits.
constexpr int64_t kHidden = 2 * 128 * 256 * 2;

int64_t CountCalls(const Program& program, CollectiveOp op, int64_t bytes) {
  return std::ranges::count_if(Collectives(program), [&](const CollectiveCall& c) { return c.op == op && c.bytes == Bytes(bytes); });
}

}  // namespace

TEST_CASE("tensor parallelism: two all_reduces of the hidden state per block and direction") {
  // Shoeybi et al. 2019, section 3: f and g around attention and MLP. Two blocks: 4 forward, 4 backward; the divided
  // embedding and head add one each way.
  const Program program = BuildProgram(Megatron(2, false));
  CHECK(CountCalls(program, CollectiveOp::kAllReduce, kHidden) == 4 + 4 + 1 + 1);
  CHECK(BytesOf(program, CollectiveOp::kAllGather) == Bytes(0));
}

TEST_CASE("sequence parallelism moves the same bytes as gathers and scatters, and gathers again in backward") {
  // Korthikanti et al. 2022, section 4.2.2: per block forward 2 gathers and 2 scatters, the same backward, and 2 more
  // gathers because the gathered inputs are not kept. The head: 1 gather forward, 1 gather again and 1 scatter backward;
  // the embedding: 1 scatter forward, 1 gather backward.
  const Program program = BuildProgram(Megatron(2, true));
  CHECK(CountCalls(program, CollectiveOp::kAllGather, kHidden) == 2 * (2 + 2 + 2) + 1 + 1 + 1);
  CHECK(CountCalls(program, CollectiveOp::kReduceScatter, kHidden) == 2 * (2 + 2) + 1 + 1);
}

TEST_CASE("weight gradients of column-parallel products run beside the backward collective") {
  // The launch after a backward all_reduce on the compute stream is the held weight gradient, and does not wait for it.
  const Program program = BuildProgram(Megatron(2, false));
  const RankProgram& rank = program.programs[0];
  int overlapped = 0;
  for (uint32_t n = 0; n + 1 < rank.instructions.size(); ++n) {
    const Instruction& i = rank.instructions[n];
    if (i.kind != InstructionKind::kCollective || i.phase != Phase::kBackward) continue;
    for (uint32_t next = n + 1; next < rank.instructions.size(); ++next) {
      const Instruction& launch = rank.instructions[next];
      if (launch.kind != InstructionKind::kKernel) continue;
      const bool waits = std::ranges::count(rank.Waits(launch), n) > 0;
      const bool weight = program.kernels[launch.object].gemm.pass == GemmPass::kWeightGradient &&
                          program.kernels[launch.object].kind == KernelKind::kGemm;
      if (weight && !waits) ++overlapped;
      break;
    }
  }
  CHECK(overlapped == 2 * 2 + 1);  // qkv and the first MLP product of two blocks, and the head
}

TEST_CASE("pipelines: every stage sends what the next receives, and holds its share of the weights") {
  for (const auto kind : {PipelineScheduleKind::kGpipe, PipelineScheduleKind::k1F1B, PipelineScheduleKind::kInterleaved1F1B,
                          PipelineScheduleKind::kZeroBubbleH1, PipelineScheduleKind::kZeroBubbleV, PipelineScheduleKind::kDualPipe}) {
    for (const auto runtime : {Runtime::kEager, Runtime::kMegatron}) {
      Scenario s = TinyGpt(8, 8);
      s.training.runtime = runtime;
      s.training.gradient_accumulation_steps = 8;
      s.parallelism.pipeline = {.stages = 4, .schedule = kind, .virtual_stages = 2};
      if (kind != PipelineScheduleKind::kInterleaved1F1B) s.parallelism.pipeline.virtual_stages = 1;
      const Program program = BuildProgram(s);  // Validate matches sends with receives
      REQUIRE(program.programs.size() == 4);
      Bytes weights;
      for (size_t stage = 0; stage < 4; ++stage) {
        const MemoryTotals memory = MemoryOf(program, stage);
        INFO("schedule " << static_cast<int>(kind) << " runtime " << static_cast<int>(runtime) << " stage " << stage);
        CHECK(memory.at_begin.value() == memory.at_end.value());
        weights += memory.persistent.at(MemoryCategory::kParameters);
      }
      const int64_t copies = kind == PipelineScheduleKind::kDualPipe ? 2 : 1;
      CHECK(weights == Bytes(2 * copies * ParameterCount(s)));
    }
  }
}

TEST_CASE("a 1F1B stage transfers each micro-batch once per neighbour and direction") {
  Scenario s = TinyGpt(4, 4);
  s.training.gradient_accumulation_steps = 6;
  s.parallelism.pipeline = {.stages = 4, .schedule = PipelineScheduleKind::k1F1B, .virtual_stages = 1};
  const Program program = BuildProgram(s);
  const std::vector<int64_t> expected = {2 * 6, 4 * 6, 4 * 6, 2 * 6};
  for (size_t stage = 0; stage < 4; ++stage) CHECK(CountKind(program, InstructionKind::kTransfer, stage) == expected[stage]);
}

TEST_CASE("tied embeddings on different stages are summed over both") {
  Scenario s = TinyGpt(4, 4);
  s.model.tie_word_embeddings = true;
  s.training.runtime = Runtime::kMegatron;
  s.training.gradient_accumulation_steps = 4;
  s.parallelism.pipeline.stages = 4;
  const Program program = BuildProgram(s);
  for (size_t stage = 0; stage < 4; ++stage) {
    const bool end = stage == 0 || stage == 3;
    CHECK(CountNamed(program, "tied embedding all_reduce", stage) == (end ? 1 : 0));
  }
}

TEST_CASE("zero-bubble stages launch each weight gradient once, after its input gradient") {
  Scenario split = TinyGpt(2, 4);
  split.training.gradient_accumulation_steps = 4;
  split.parallelism.pipeline = {.stages = 2, .schedule = PipelineScheduleKind::kZeroBubbleH1, .virtual_stages = 1};
  Scenario whole = split;
  whole.parallelism.pipeline.schedule = PipelineScheduleKind::k1F1B;
  const auto products = [](const Program& program, GemmPass pass) {
    int64_t count = 0;
    for (const Instruction& i : program.programs[0].instructions) {
      if (i.kind != InstructionKind::kKernel) continue;
      const KernelWork& work = program.kernels[i.object];
      count += work.kind == KernelKind::kGemm && work.gemm.pass == pass;
    }
    return count;
  };
  for (const auto pass : {GemmPass::kForward, GemmPass::kDataGradient, GemmPass::kWeightGradient}) {
    CHECK(products(BuildProgram(split), pass) == products(BuildProgram(whole), pass));
  }
}
