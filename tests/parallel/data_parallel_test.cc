#include <catch2/catch.hpp>

#include "sim/parallel/buckets.h"
#include "sim/parallel/fsdp_units.h"
#include "tests/parallel/fixture.h"

using namespace simulate;

namespace {

Scenario Fsdp(FsdpVersion version, int64_t gpus, int64_t blocks, Sharding sharding = Sharding::kFullShard) {
  Scenario s = TinyGpt(gpus, blocks);
  s.parallelism.data.strategy = DataStrategy::kFsdp;
  s.parallelism.data.version = version;
  s.parallelism.data.sharding = sharding;
  return s;
}

std::string Repeat(const std::string& text, int64_t times) {
  std::string result;
  for (int64_t i = 0; i < times; ++i) result += text;
  return result;
}

}  // namespace

TEST_CASE("buckets close once they hold their cap") {
  // caps 10 and 20: 4 + 7 >= 10 closes the first, 19 stays open, 19 + 5 closes the second, 1 is left over
  const std::vector<Bytes> sizes = {Bytes(4), Bytes(7), Bytes(19), Bytes(5), Bytes(1)};
  const auto buckets = AssignBuckets({0, 1, 2, 3, 4}, sizes, {.first_bytes = 10, .bytes = 20});
  CHECK(buckets == std::vector<std::vector<uint32_t>>{{0, 1}, {2, 3}, {4}});
}

TEST_CASE("one GPU communicates nothing, whatever the strategy") {
  for (const auto strategy : {DataStrategy::kDdp, DataStrategy::kFsdp, DataStrategy::kZero1, DataStrategy::kZero2, DataStrategy::kZero3}) {
    Scenario s = TinyGpt(1);
    s.parallelism.data.strategy = strategy;
    CHECK(Letters(BuildProgram(s)).empty());
  }
}

TEST_CASE("DDP") {
  Scenario s = TinyGpt(4);
  UseBf16(s);
  const Bytes gradients(2 * ParameterCount(s));
  SECTION("all_reduces every gradient byte once") {
    const Program program = BuildProgram(s);
    CHECK(BytesOf(program, CollectiveOp::kAllReduce) == gradients);
    CHECK(MemoryOf(program).persistent.at(MemoryCategory::kCommunicationBuffers) == gradients);
  }
  SECTION("cuts by the caps: about one bucket per cap") {
    s.parallelism.data.first_bucket_bytes = 1 << 18;
    s.parallelism.data.bucket_bytes = 1 << 20;
    const auto calls = Collectives(BuildProgram(s));
    REQUIRE(calls.size() > 3);
    CHECK(calls.front().bytes >= Bytes(1 << 18));
    for (size_t i = 1; i + 1 < calls.size(); ++i) CHECK(calls[i].bytes >= Bytes(1 << 20));
  }
  SECTION("accumulates without communication: no_sync in all micro-steps but the last") {
    s.training.gradient_accumulation_steps = 4;
    CHECK(BytesOf(BuildProgram(s), CollectiveOp::kAllReduce) == gradients);
  }
  SECTION("gradient_as_bucket_view saves one copy of the gradients") {
    Scenario view = s;
    view.parallelism.data.gradient_as_bucket_view = true;
    // The copies back into the gradients are gone, too.
    CHECK(CountNamed(BuildProgram(view), "bucket to gradient") == 0);
    CHECK(CountNamed(BuildProgram(s), "bucket to gradient") > 0);
    CHECK(MemoryOf(BuildProgram(view)).peak <= MemoryOf(BuildProgram(s)).peak);
  }
}

TEST_CASE("FSDP gathers and scatters in PyTorch's order") {
  // n blocks and the root: n+1 gathers forward; backward, with the root still there, the last block's gather is
  // issued by the root's pre-backward hook, every other one before the reduce_scatter of the unit before it:
  // A, then (A R) for n-1 blocks, then R of block 0 and R of the root. Profiled so on two H200 (n = 24, T5: 48).
  const int64_t n = 5;
  for (const auto version : {FsdpVersion::kFsdp1, FsdpVersion::kFsdp2}) {
    Scenario s = Fsdp(version, 8, n);
    SECTION("FSDP" + std::to_string(static_cast<int>(version)) + " BACKWARD_PRE") {
      CHECK(Letters(BuildProgram(s)) == Repeat("A", n + 1) + "A" + Repeat("AR", n - 1) + "RR");
    }
    SECTION("FSDP" + std::to_string(static_cast<int>(version)) + " without prefetch the scatter comes first") {
      s.parallelism.data.backward_prefetch = BackwardPrefetch::kNone;
      CHECK(Letters(BuildProgram(s)) == Repeat("A", n + 1) + Repeat("AR", n) + "R");
    }
    SECTION("FSDP" + std::to_string(static_cast<int>(version)) + " SHARD_GRAD_OP gathers once") {
      s.parallelism.data.sharding = Sharding::kShardGradOp;
      CHECK(Letters(BuildProgram(s)) == Repeat("A", n + 1) + Repeat("R", n + 1));
    }
    SECTION("FSDP" + std::to_string(static_cast<int>(version)) + " checkpointing adds no gathers: recomputation finds the unit gathered") {
      s.training.activation_checkpointing = Checkpointing::kFull;
      CHECK(Letters(BuildProgram(s)) == Repeat("A", n + 1) + "A" + Repeat("AR", n - 1) + "RR");
    }
    SECTION("FSDP" + std::to_string(static_cast<int>(version)) + " every micro-step communicates") {
      s.training.gradient_accumulation_steps = 3;
      CHECK(Letters(BuildProgram(s)) == Repeat(Repeat("A", n + 1) + "A" + Repeat("AR", n - 1) + "RR", 3));
    }
    SECTION("FSDP" + std::to_string(static_cast<int>(version)) + " hybrid sharding adds an all_reduce of the shard after each scatter") {
      s.gpus = 16;
      s.parallelism.data.sharding = Sharding::kHybridShard;
      const Program program = BuildProgram(s);
      CHECK(Letters(program) == Repeat("A", n + 1) + "A" + Repeat("ARS", n - 1) + "RSRS");
      CHECK(8 * BytesOf(program, CollectiveOp::kAllReduce) == BytesOf(program, CollectiveOp::kReduceScatter));
    }
  }
}

TEST_CASE("FSDP POST prefetch issues the gather after this unit's gradients, before its scatter") {
  Scenario s = Fsdp(FsdpVersion::kFsdp1, 8, 4);
  s.parallelism.data.backward_prefetch = BackwardPrefetch::kPost;
  CHECK(Letters(BuildProgram(s)) == "AAAAA" "A" "ARARAR" "RR");
}

TEST_CASE("FSDP conserves bytes: what is gathered is every parameter, what is scattered every gradient") {
  for (const auto version : {FsdpVersion::kFsdp1, FsdpVersion::kFsdp2}) {
    const int64_t n = 3;
    Scenario s = Fsdp(version, 8, n);
    const Program program = BuildProgram(s);
    // bf16_mixed: gathered and reduced in 2 bytes; blocks twice, the root once. Padding to 8 shards is zero here.
    const int64_t all = ParameterCount(s);
    const int64_t root = (1024 + 128) * 256 + 1024 * 256 + 2 * 256;  // token and position tables, head, final norm
    CHECK(BytesOf(program, CollectiveOp::kReduceScatter) == Bytes(2 * all));
    CHECK(BytesOf(program, CollectiveOp::kAllGather) == Bytes(2 * (2 * all - root)));
  }
}

TEST_CASE("FSDP's reduction type") {
  for (const auto version : {FsdpVersion::kFsdp1, FsdpVersion::kFsdp2}) {
    Scenario s = Fsdp(version, 8, 3);
    s.training.precision.gradient_reduction = DType::kFp32;
    CHECK(BytesOf(BuildProgram(s), CollectiveOp::kReduceScatter) == Bytes(4 * ParameterCount(s)));
  }
}

TEST_CASE("FSDP1's rate limiter makes the host wait for the free before the last") {
  // Before a gather the host waits if two frees are queued, and takes one of them. Forward: the gathers of the root and
  // of blocks 0 and 1 see at most one; the other n-2 wait. Backward: the first prefetch finds the last two blocks'
  // frees and waits; the second follows at once, with one left; then every block's backward frees one: n-2 more waits.
  const int64_t n = 6;
  Scenario s = Fsdp(FsdpVersion::kFsdp1, 8, n);
  CHECK(CountKind(BuildProgram(s), InstructionKind::kHostWait) == (n - 2) + 1 + (n - 2));
  s.parallelism.data.limit_all_gathers = false;
  CHECK(CountKind(BuildProgram(s), InstructionKind::kHostWait) == 0);
}

TEST_CASE("with record_streams FSDP1 gives back what collectives read and write after them") {
  // Of each gather the shard and, of blocks, the flat parameter, twice; of each scatter the gradient that it reads, padded or not.
  const int64_t n = 4;
  const auto after_collectives = [&](bool records, bool pads) {
    Scenario s = Fsdp(FsdpVersion::kFsdp1, 8, n);
    s.training.record_streams = records;
    s.parallelism.data.pads_gradients = pads;
    const Program program = BuildProgram(s);
    const RankProgram& rank = program.programs[0];
    std::map<MemoryCategory, int64_t> frees;
    for (const Instruction& i : rank.instructions) {
      if (i.kind != InstructionKind::kFree) continue;
      const auto waits = rank.Waits(i);
      const bool waited = std::any_of(waits.begin(), waits.end(), [&](uint32_t w) { return rank.instructions[w].kind == InstructionKind::kCollective; });
      if (waited) ++frees[rank.buffers[i.object].category];
    }
    return frees;
  };
  CHECK(after_collectives(false, false)[MemoryCategory::kUnshardedParameters] == 0);
  for (const bool pads : {false, true}) {
    auto frees = after_collectives(true, pads);
    CHECK(frees[MemoryCategory::kUnshardedParameters] == 2 * n + 1);
    CHECK(frees[MemoryCategory::kCommunicationBuffers] == 2 * n + 1);
    CHECK(frees[MemoryCategory::kUnshardedGradients] == n + 1);
  }
}

TEST_CASE("FSDP2 copies in and out of every gather and into every scatter") {
  const int64_t n = 4;
  const Program program = BuildProgram(Fsdp(FsdpVersion::kFsdp2, 8, n));
  CHECK(CountNamed(program, "all_gather copy in") == 2 * n + 1);
  CHECK(CountNamed(program, "all_gather copy out") == 2 * n + 1);
  CHECK(CountNamed(program, "reduce_scatter copy in") == n + 1);
  CHECK(CountKind(program, InstructionKind::kHostWait) == 0);
}

TEST_CASE("FSDP1 divides gradients by about the square root of the world before the sum and by the rest after it") {
  // torch/distributed/fsdp/_common_utils: the largest power of two f that divides w with w / f >= f (or the next)
  CHECK(GradientPredivideFactor(1) == 1);
  CHECK(GradientPredivideFactor(2) == 2);
  CHECK(GradientPredivideFactor(8) == 4);
  CHECK(GradientPredivideFactor(64) == 8);
  CHECK(GradientPredivideFactor(512) == 32);
}

TEST_CASE("causal masks that blocks keep are held beside the shards all through the step") {
  const auto parameters = [](const Program& program) {
    int64_t sum = 0;
    for (const Buffer& b : program.programs[0].buffers) {
      if (b.category == MemoryCategory::kParameters) sum += b.bytes.value();
    }
    return sum;
  };
  Scenario s = Fsdp(FsdpVersion::kFsdp1, 8, 3);
  const int64_t without = parameters(BuildProgram(s));
  s.model.max_position_embeddings = 512;  // of which the sequence uses 128
  const int64_t table = parameters(BuildProgram(s));
  s.model.causal_mask_buffer = DType::kBf16;
  CHECK(parameters(BuildProgram(s)) - table == 3 * 512 * 512 * 2);
  CHECK(table > without);
}

TEST_CASE("every step gives back what it took") {
  for (const auto strategy : {DataStrategy::kDdp, DataStrategy::kFsdp, DataStrategy::kZero1, DataStrategy::kZero2, DataStrategy::kZero3}) {
    for (const auto version : {FsdpVersion::kFsdp1, FsdpVersion::kFsdp2}) {
      for (const auto checkpointing : {Checkpointing::kNone, Checkpointing::kSelective, Checkpointing::kFull}) {
        for (const auto sharding : {Sharding::kFullShard, Sharding::kHybridShard, Sharding::kShardGradOp, Sharding::kNoShard}) {
          Scenario s = TinyGpt(16);
          s.parallelism.data.strategy = strategy;
          s.parallelism.data.version = version;
          s.parallelism.data.sharding = sharding;
          s.training.activation_checkpointing = checkpointing;
          s.training.gradient_accumulation_steps = 2;
          const MemoryTotals memory = MemoryOf(BuildProgram(s));
          CHECK(memory.at_begin == memory.at_end);
          CHECK(memory.peak > memory.at_begin);
        }
      }
    }
  }
}

TEST_CASE("16 bytes per parameter: fp32 weights, gradients and Adam state") {
  Scenario s = TinyGpt(1);
  s.training.precision = {.name = "fp32", .parameters = DType::kFp32, .compute = DType::kFp32, .gradients = DType::kFp32,
                          .gradient_reduction = DType::kFp32, .master_weights = {}, .optimizer = DType::kFp32};
  const Program program = BuildProgram(s);
  const MemoryTotals memory = MemoryOf(program);
  const int64_t n = ParameterCount(s);
  CHECK(memory.persistent.at(MemoryCategory::kParameters) == Bytes(4 * n));
  CHECK(memory.persistent.at(MemoryCategory::kOptimizerState) == Bytes(8 * n));
  Bytes gradients;
  for (const Buffer& buffer : program.programs[0].buffers) {
    if (buffer.category == MemoryCategory::kGradients) gradients += buffer.bytes;
  }
  CHECK(gradients == Bytes(4 * n));
}

TEST_CASE("a trainer's metrics evaluate the loss again after every micro-batch's backward") {
  Scenario s = TinyGpt(1);
  s.training.gradient_accumulation_steps = 3;
  CHECK(CountNamed(BuildProgram(s), "loss_metric.log_softmax") == 0);
  s.training.loss_metrics = 2;
  const Program program = BuildProgram(s);
  CHECK(CountNamed(program, "loss_metric.log_softmax") == 2 * 3);
  // The trainer keeps the last micro-batch's logits until it has the next one's, over the step's end, too.
  CHECK(MemoryOf(program).at_end == MemoryOf(program).at_begin);
  const Bytes logits = SizeOf(DType::kBf16, s.training.micro_batch_size * s.training.sequence_length * s.model.vocab_size);
  CHECK(MemoryOf(program).persistent[MemoryCategory::kLogits] == logits);
}

TEST_CASE("checkpointing by operators holds more than whole blocks and less than none") {
  const auto peak = [](Checkpointing policy) {
    Scenario s = TinyGpt(1, 8);
    s.training.micro_batch_size = 64;
    s.training.activation_checkpointing = policy;
    return MemoryOf(BuildProgram(s)).peak;
  };
  CHECK(peak(Checkpointing::kFull).value() < peak(Checkpointing::kSelectiveOperators).value());
  CHECK(peak(Checkpointing::kSelectiveOperators).value() < peak(Checkpointing::kNone).value());
}

TEST_CASE("Adam over all tensors, by operation, and by operation and tensor") {
  // 3 blocks and the root: FSDP1 gives its optimizer 4 flat tensors, a quarter of each on every rank.
  Scenario s = Fsdp(FsdpVersion::kFsdp1, 4, 3);
  const auto workspace = [](const Program& program) {
    Bytes largest;
    for (const Buffer& b : program.programs[0].buffers) {
      if (program.names[b.name] == "square root of second moment") largest = std::max(largest, b.bytes);
    }
    return largest.value();
  };
  const int64_t local = DivCeil(ParameterCount(s), int64_t{4});
  s.training.optimizer_kernel = OptimizerKernel::kFused;
  CHECK(CountNamed(BuildProgram(s), "optimizer") == 1);
  CHECK(workspace(BuildProgram(s)) == 0);
  s.training.optimizer_kernel = OptimizerKernel::kForeach;
  CHECK(CountNamed(BuildProgram(s), "foreach addcdiv") == 1);
  CHECK(std::abs(workspace(BuildProgram(s)) - 4 * local) < 1000);  // one number per weight: 4 bytes; shards are padded
  s.training.optimizer_kernel = OptimizerKernel::kForLoop;
  CHECK(CountNamed(BuildProgram(s), "addcdiv") == 4);
  CHECK(CountNamed(BuildProgram(s), "first moment add") == 4);
  CHECK(std::abs(workspace(BuildProgram(s)) - local) < 1000);  // of one tensor of four
}
