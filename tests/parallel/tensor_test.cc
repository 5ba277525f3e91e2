#include <catch2/catch.hpp>
#include <set>

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

// Backward collectives whose next launch is a weight gradient that does not wait for them.
int CollectivesBesideWeightGradients(const Program& program) {
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
  return overlapped;
}

TEST_CASE("weight gradients of column-parallel products run beside the backward collective") {
  // qkv and the first MLP product of two blocks, and the head.
  CHECK(CollectivesBesideWeightGradients(BuildProgram(Megatron(2, false))) == 2 * 2 + 1);
}

TEST_CASE("without asynchronous all_reduces no product runs beside them, but the same ones run") {
  Scenario s = Megatron(2, false);
  const Program beside = BuildProgram(s);
  s.parallelism.async_tensor_all_reduce = false;
  const Program waits = BuildProgram(s);
  CHECK(CollectivesBesideWeightGradients(waits) == 0);
  CHECK(CountCalls(waits, CollectiveOp::kAllReduce, kHidden) == CountCalls(beside, CollectiveOp::kAllReduce, kHidden));
  const auto kernels = [](const Program& program) {
    return std::ranges::count_if(program.programs[0].instructions, [](const Instruction& i) { return i.kind == InstructionKind::kKernel; });
  };
  CHECK(kernels(waits) == kernels(beside));
  // Sequence parallelism scatters beside the products whatever is said of all_reduces.
  s = Megatron(2, true);
  s.parallelism.async_tensor_all_reduce = false;
  CHECK(CollectivesBesideWeightGradients(BuildProgram(s)) == 2 * 2 + 1);
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

namespace {

// What a rank sends in point-to-point transfers, each size once.
std::set<int64_t> SentSizes(const Program& program, size_t rank_program = 0) {
  std::set<int64_t> sizes;
  for (const Instruction& i : program.programs[rank_program].instructions) {
    if (i.kind == InstructionKind::kTransfer && program.transfers[i.object].send_bytes > Bytes(0)) {
      sizes.insert(program.transfers[i.object].send_bytes.value());
    }
  }
  return sizes;
}

Scenario TwoByTwo(Runtime runtime, bool sequence_parallel) {
  Scenario s = Megatron(2, sequence_parallel);
  s.gpus = 4;
  s.training.runtime = runtime;
  s.training.gradient_accumulation_steps = 3;
  s.parallelism.pipeline.stages = 2;
  return s;
}

}  // namespace

TEST_CASE("Megatron's tensor-parallel ranks send an activation in parts and gather it") {
  // Narayanan et al. 2021, section 4.1: s b h bytes x 2 / t from each of t ranks, then an all_gather inside the node, for
  // every micro-batch and direction. Divided sequences need neither; torch's pipelining sends the whole from every rank.
  const Program parts = BuildProgram(TwoByTwo(Runtime::kMegatron, false));
  CHECK(SentSizes(parts) == std::set<int64_t>{kHidden / 2});
  for (const size_t stage : {0, 1}) CHECK(CountNamed(parts, "pipeline all_gather", stage) == 3);

  const Program sequence = BuildProgram(TwoByTwo(Runtime::kMegatron, true));
  CHECK(SentSizes(sequence) == std::set<int64_t>{kHidden / 2});
  CHECK(CountNamed(sequence, "pipeline all_gather") == 0);

  Scenario whole = TwoByTwo(Runtime::kMegatron, false);
  whole.parallelism.pipeline.scatter_gather = false;
  for (const Scenario& s : {whole, TwoByTwo(Runtime::kEager, false)}) {
    const Program program = BuildProgram(s);
    CHECK(SentSizes(program) == std::set<int64_t>{kHidden});
    CHECK(CountNamed(program, "pipeline all_gather") == 0);
  }
}

TEST_CASE("what was sent is given back when the host waits for it, or with record_stream when the device has sent it") {
  Scenario s = TinyGpt(2, 4);
  UseBf16(s);
  s.training.runtime = Runtime::kMegatron;
  s.parallelism.pipeline = {.stages = 2, .schedule = PipelineScheduleKind::kInterleaved1F1B, .virtual_stages = 2};
  s.training.gradient_accumulation_steps = 4;
  // Frees that hang on an event, and the activations alive at once, in units of a hidden state of 2 x 128 x 256 in bf16.
  const auto frees = [](const Program& program) {
    return std::ranges::count_if(program.programs[0].instructions, [](const Instruction& i) { return i.kind == InstructionKind::kFree && i.wait_count > 0; });
  };
  const Program waited = BuildProgram(s);
  s.training.record_streams = true;
  const Program recorded = BuildProgram(s);
  // Stage 0 sends 2 x 4 activations and the gradients of its second chunk's 4.
  CHECK(frees(waited) == 0);
  CHECK(frees(recorded) == 12);
  // The last message in each direction is held until the next: an activation and a gradient more at the peak.
  CHECK((MemoryOf(waited).peak - MemoryOf(recorded).peak).value() == 2 * (2 * 128 * 256 * 2));
  CHECK(MemoryOf(waited).at_begin == MemoryOf(waited).at_end);
}

TEST_CASE("an interleaved pipeline's messages beside its pieces: all, those of the steady phase, none") {
  Scenario s = TinyGpt(2, 4);
  s.training.runtime = Runtime::kMegatron;
  s.parallelism.pipeline = {.stages = 2, .schedule = PipelineScheduleKind::kInterleaved1F1B, .virtual_stages = 2};
  s.training.gradient_accumulation_steps = 4;
  const auto built = [&](std::optional<P2pOverlap> overlap) {
    s.parallelism.pipeline.overlap_p2p = overlap;
    return BuildProgram(s);
  };
  // Of forwards, in the order of the host: R asks for an input, S sends an output (or has the loss).
  const auto order = [](const Program& program) {
    std::string letters;
    for (const Instruction& i : program.programs[1].instructions) {
      if (!IsLaunch(i.kind)) continue;
      const std::string& name = program.names[i.name];
      if (name == "receive forward") letters += 'R';
      if (name == "send forward" || name == "loss") letters += 'S';
    }
    return letters;
  };
  const Program all = built(P2pOverlap::kAll), steady = built(P2pOverlap::kSteady), none = built(P2pOverlap::kNone);
  // Stage 1 warms up with (v-1) p = 2 forwards: the next one's input is asked for before this one's output goes, or after.
  CHECK(order(all).substr(0, 5) == "RRSRS");
  CHECK(order(steady).substr(0, 4) == "RSRS");
  CHECK(order(none).substr(0, 4) == "RSRS");
  // Whatever the order, the same messages. Without overlap the host waits after every piece but the steady phase's forwards:
  // stage 0 has 4 + 4 forwards and backwards in warm-up and flush, and 4 in turns.
  for (const char* name : {"send forward", "receive forward", "send backward", "receive backward"}) {
    for (const size_t stage : {size_t{0}, size_t{1}}) {
      CHECK(CountNamed(steady, name, stage) == CountNamed(all, name, stage));
      CHECK(CountNamed(none, name, stage) == CountNamed(all, name, stage));
    }
  }
  CHECK(CountKind(all, InstructionKind::kHostWait) == 0);
  CHECK(CountKind(none, InstructionKind::kHostWait) == 12);
  CHECK(built(std::nullopt).programs[0].instructions.size() == steady.programs[0].instructions.size());
}

TEST_CASE("what the host waits for") {
  const auto waits = [](const Scenario& s) { return CountKind(BuildProgram(s), InstructionKind::kHostWait); };
  // 1F1B under Megatron: after the transfers before each of 3 forwards and 3 backwards; torch's pipelining never.
  CHECK(waits(TwoByTwo(Runtime::kMegatron, false)) == 6);
  CHECK(waits(TwoByTwo(Runtime::kEager, false)) == 0);
  // Without a pipeline: two passes per micro-batch, and every all_reduce of tensor parallelism (see above: 4 + 4 + 1 + 1;
  // the divided loss adds one of a few bytes).
  Scenario s = Megatron(2, false);
  s.training.gradient_accumulation_steps = 3;
  CHECK(waits(s) == 0);
  s.training.host_waits = HostWaits::kLoss;
  CHECK(waits(s) == 3);  // one per micro-batch
  s.training.host_waits = HostWaits::kPasses;
  CHECK(waits(s) == 3 * 2);
  s.training.host_waits = HostWaits::kCollectives;
  const int64_t loss = CountNamed(BuildProgram(s), "vocabulary all_reduce");
  CHECK(waits(s) == 3 * (2 + 10) + loss);
  // Forward and backward of the embedding, every block and the head.
  const auto layers = static_cast<int64_t>(BuildModel(s.model, s.training).uses.size());
  s.training.host_waits = HostWaits::kLayers;
  CHECK(waits(s) == 3 * (2 + 10 + 2 * layers) + loss);
}

TEST_CASE("Megatron's softmax kernel wants whole blocks of rows") {
  // fused_softmax.py: micro-batch x heads / t divisible by 4, or by 8 up to 128 keys. Here 2 x 4 / t with 128 keys.
  for (const int64_t tensor : {1, 2}) {
    Scenario s = Megatron(tensor, false);
    s.training.attention = AttentionImplementation::kEager;
    const Program program = BuildProgram(s);
    const int64_t in_torch = tensor == 1 ? 0 : 2;  // once per block
    CHECK(CountNamed(program, "causal_mask") == 2 * in_torch);            // forward and backward
    CHECK(CountNamed(program, "softmax.backward_product") == in_torch);   // torch's backward is two kernels, Megatron's one
    CHECK(CountNamed(program, "softmax") == 2);
    // Either way the scores' product scales (baddbmm), and so does the gradient of each of its operands.
    CHECK(CountNamed(program, "scores.right_scale") == 2);
    CHECK(CountNamed(program, "scores.left_scale") == 2);
  }
}

TEST_CASE("Megatron adds gradients to its buffer: those of matrices in their products, or all of them one by one") {
  Scenario s = Megatron(1, false);
  s.training.precision.master_weights.reset();
  s.training.gradient_accumulation_steps = 3;
  CHECK(CountNamed(BuildProgram(s), "accumulate gradient") == 0);  // no main weights, no main gradients
  s.training.precision.master_weights = DType::kFp32;
  const Model model = BuildModel(s.model, s.training);
  int64_t tensors = 0, matrices = 0;
  for (const LayerUse& use : model.uses) {
    for (const Parameter& p : model.layers[use.layer].parameters) {
      tensors += p.tied ? 0 : 1;
      matrices += p.of_product ? 1 : 0;
    }
  }
  if (model.tied_embedding) ++tensors;
  const Program fused = BuildProgram(s);
  CHECK(CountNamed(fused, "accumulate gradient") == 3 * (tensors - matrices));  // the embedding's table and the norms' weights
  const auto added = [](const Program& program) {
    return std::ranges::count_if(program.kernels, [](const KernelWork& w) { return w.gemm.added_to > 0; });
  };
  CHECK(added(fused) > 0);
  for (const KernelWork& w : fused.kernels) CHECK((w.gemm.added_to == 0 || w.gemm.pass == GemmPass::kWeightGradient));
  s.training.fused_accumulation = false;
  const Program program = BuildProgram(s);
  CHECK(added(program) == 0);
  CHECK(CountNamed(program, "accumulate gradient") == 3 * tensors);
  const MemoryTotals memory = MemoryOf(program);
  CHECK(memory.at_begin == memory.at_end);
}

TEST_CASE("Megatron's distributed optimizer gathers the blocks' matrices in fp8 where they multiply in it") {
  Scenario s = TinyGpt(2, 4);
  UseBf16(s);
  s.training.runtime = Runtime::kMegatron;
  s.parallelism.data.strategy = DataStrategy::kZero1;
  const Bytes wide = BytesOf(BuildProgram(s), CollectiveOp::kAllGather);
  CHECK(wide == Bytes(2 * ParameterCount(s)));
  s.training.precision.fp8_matmuls = true;
  // A byte less for each of the 12 h^2 of a block; embedding, norms, biases and head keep theirs.
  CHECK(wide - BytesOf(BuildProgram(s), CollectiveOp::kAllGather) == Bytes(4 * 12 * 256 * 256));
}

TEST_CASE("overlapped tensor parallelism: the same products in pieces, beside passes round the ring") {
  constexpr int64_t kRanks = 4;
  Scenario s = Megatron(kRanks, true);
  const Program whole = BuildProgram(s);
  s.parallelism.tensor_overlap = true;
  const Program pieces = BuildProgram(s);
  // Per block the 2 gathers and 2 scatters of the forward pass and the 2 gathers of the backward pass become 3 passes each of a
  // quarter of the hidden state; the 2 scatters of the backward pass run beside weight gradients as before, the gathers for
  // those, too. Embedding and head stay as they are.
  CHECK(CountNamed(pieces, "tensor pass") == 2 * (2 + 2 + 2) * (kRanks - 1));
  for (const Transfer& t : pieces.transfers) CHECK(t.send_bytes == Bytes(kHidden / kRanks));
  CHECK(CountCalls(whole, CollectiveOp::kAllGather, kHidden) - CountCalls(pieces, CollectiveOp::kAllGather, kHidden) == 2 * (2 + 2));
  CHECK(CountCalls(whole, CollectiveOp::kReduceScatter, kHidden) - CountCalls(pieces, CollectiveOp::kReduceScatter, kHidden) == 2 * 2);
  const auto flops = [](const Program& program) {
    double sum = 0.0;
    for (const Instruction& i : program.programs[0].instructions) {
      if (i.kind == InstructionKind::kKernel) sum += program.kernels[i.object].flops.value();
    }
    return sum;
  };
  CHECK(flops(pieces) == Approx(flops(whole)));
  // Each of the 6 products of a block (of qkv, o, w1, w2 forward, of o and w2 backward) is 4 instead of 1.
  CHECK(CountKind(pieces, InstructionKind::kKernel) - CountKind(whole, InstructionKind::kKernel) == 2 * 6 * (kRanks - 1));
}
