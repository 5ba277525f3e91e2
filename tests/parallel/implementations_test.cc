// Layouts as other code bases write them: parallelism.tensor_implementation, pipeline.partition, data.reduce_scatter,
// training.activation_checkpointing.head.
#include <catch2/catch.hpp>

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

TEST_CASE("an engine that keeps outputs holds the logits of so many micro-batches, to the end of the step") {
  Scenario s = TinyGpt(1, 2);
  UseBf16(s);
  s.training.gradient_accumulation_steps = 4;
  const auto logits_alive = [&](int64_t kept) {  // at most at a time, of the tensor that the loss reads
    s.parallelism.pipeline.kept_outputs = kept;
    const Program program = BuildProgram(s);
    const RankProgram& rank = program.programs[0];
    int64_t alive = 0, most = 0;
    for (const Instruction& i : rank.instructions) {
      const bool memory = i.kind == InstructionKind::kAllocate || i.kind == InstructionKind::kFree;
      if (!memory) continue;
      const Buffer& buffer = rank.buffers[i.object];
      if (buffer.category != MemoryCategory::kLogits || program.names[buffer.name] != "head") continue;
      alive += i.kind == InstructionKind::kAllocate ? 1 : -1;
      most = std::max(most, alive);
    }
    CHECK(alive == 0);
    return most;
  };
  CHECK(logits_alive(0) == 1);
  CHECK(logits_alive(1) == 2);  // the next micro-batch's are made before the last one's go
  CHECK(logits_alive(2) == 3);
  CHECK(logits_alive(9) == 4);
}

TEST_CASE("context and communicators lie outside of the allocator") {
  const auto outside = [](Scenario s) {
    s.hardware.accelerator.context = MiB(512);
    s.hardware.collective_library.communicator_memory = MiB(100);
    s.hardware.collective_library.pair_memory = MiB(60);
    const Program program = BuildProgram(s);
    Bytes sum;
    for (const Buffer& buffer : program.programs[0].buffers) {
      if (buffer.category == MemoryCategory::kFramework) sum += buffer.bytes;
    }
    return sum;
  };
  CHECK(outside(TinyGpt(1, 2)) == MiB(512));
  CHECK(outside(TinyGpt(2, 2)) == MiB(512 + 60));
  CHECK(outside(TinyGpt(4, 2)) == MiB(512 + 100));  // data parallelism alone: the group of all ranks
  Scenario s = TinyGpt(8, 4);
  s.parallelism.tensor = 2;
  s.parallelism.pipeline.stages = 2;
  s.training.gradient_accumulation_steps = 4;
  CHECK(outside(s) == MiB(512 + 4 * 60 + 100));  // pairs: data, tensor, pipeline, a neighbour; all ranks
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
