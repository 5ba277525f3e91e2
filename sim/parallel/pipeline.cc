// Point to point: activations travel to the stage that holds the next piece of the model, gradients back, each
// direction on a stream of its own. The compute stream waits for what it receives; sends run beside it and their
// buffers are given up when they are done (Megatron-LM's deallocate_pipeline_outputs); torch.distributed.pipelining
// keeps a stage's output until its backward. An interleaved message is done, for the allocator, when the host waits for it, at
// the next one in its direction (schedules.py, send_next_wait_handle; ProcessGroupNCCL keeps a reference until then); with
// training.record_streams when the device has sent it, so that a host far ahead finds its blocks taken.
// Under schedules with several chunks the next piece's receive is posted before this piece runs, of interleaved ones those that
// P2pOverlap names (spec/parallelism.h); under GPipe and 1F1B just before it is needed, so that the transfer is exposed.
// Megatron-LM's host then waits for all of it (p2p_communication.py: torch.cuda.synchronize after batch_isend_irecv), so it
// cannot run ahead of the device. Its activations are the same on every tensor-parallel rank unless the sequence is divided:
// each rank sends its part, and the receivers gather the parts (scatter_gather_tensors_in_pipeline; Narayanan et al. 2021, 4.1).
#include "sim/parallel/pipeline.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "sim/base/check.h"
#include "sim/parallel/layer_runner.h"
#include "sim/parallel/training_loop.h"

namespace simulate {

PipelineShape PipelineShapeOf(const Scenario& scenario) {
  const PipelineSpec& pipeline = scenario.parallelism.pipeline;
  PipelineShape shape{.kind = pipeline.schedule, .stages = pipeline.stages,
                      .micro_batches = scenario.training.gradient_accumulation_steps,
                      .virtual_stages = pipeline.virtual_stages};
  // Several chunks under plain 1F1B are the interleaved schedule, as in Megatron-LM.
  if (shape.kind == PipelineScheduleKind::k1F1B && shape.virtual_stages > 1) {
    shape.kind = PipelineScheduleKind::kInterleaved1F1B;
  }
  return shape;
}

int64_t ScatterParts(const Scenario& scenario) {
  const ParallelismSpec& p = scenario.parallelism;
  const bool applies = scenario.training.runtime == Runtime::kMegatron && p.pipeline.scatter_gather && !p.sequence_parallel;
  return applies ? p.tensor : 1;
}

namespace {

class StageWriter {
 public:
  StageWriter(Environment& env, DataParallel& data_parallel, const PipelineShape& shape,
              const std::vector<std::vector<uint32_t>>& split, const std::vector<StageSchedule>& schedule, int64_t stage)
      : env_(env), data_parallel_(data_parallel), shape_(shape), split_(split), schedule_(schedule[static_cast<size_t>(stage)]),
        stage_(stage), runner_(env, data_parallel), backwards_(static_cast<size_t>(ChunksPerStage(shape)), 0),
        weights_(backwards_),
        per_chunk_(shape.kind == PipelineScheduleKind::kDualPipe ? shape.micro_batches / 2 : shape.micro_batches),
        ahead_(ChunksPerStage(shape) > 1),
        sends_waited_(shape.kind == PipelineScheduleKind::kInterleaved1F1B), overlap_(OverlapOf(env.scenario, shape)),
        steady_(HasSteadyPhase(schedule_)),
        synchronous_(!ahead_ && env.scenario.training.runtime == Runtime::kMegatron),
        parts_(ScatterParts(env.scenario)),
        timed_(env.scenario.training.host_waits >= HostWaits::kPasses) {}

  void Run() {
    for (size_t i = 0; i < schedule_.size(); ++i) {
      const StageWork& work = schedule_[i];
      Post(work);
      if (ahead_ && i + 1 < schedule_.size() && BesidePiece(i)) Post(schedule_[i + 1]);
      if (synchronous_) env_.writer.Synchronize();
      env_.writer.BeginPiece(KindOf(work.kind), work.micro_batch, work.chunk);
      switch (work.kind) {
        case WorkKind::kForward: Forward(work); break;
        case WorkKind::kBackward:
        case WorkKind::kBackwardInput: Backward(work); break;
        case WorkKind::kBackwardWeight: Weight(work); break;
      }
      env_.writer.EndPiece();
      if (ahead_ && !BesidePiece(i)) Exchange(i);
    }
    AwaitSent(true);
    AwaitSent(false);
  }

  [[nodiscard]] LayerRunner& runner() { return runner_; }
  // The step is over.
  void End() { runner_.FreeKeptOutputs(); }

 private:
  static P2pOverlap OverlapOf(const Scenario& scenario, const PipelineShape& shape) {
    if (shape.kind != PipelineScheduleKind::kInterleaved1F1B) return P2pOverlap::kAll;
    const bool megatron = scenario.training.runtime == Runtime::kMegatron;
    return scenario.parallelism.pipeline.overlap_p2p.value_or(megatron ? P2pOverlap::kSteady : P2pOverlap::kAll);
  }
  [[nodiscard]] bool IsForward(size_t i) const { return schedule_[i].kind == WorkKind::kForward; }
  // Whether piece i is a forward of the steady phase, which shares its messages with the backward behind it.
  [[nodiscard]] bool InTurns(size_t i) const {
    return i + 1 < schedule_.size() && IsForward(i) && !IsForward(i + 1) && steady_;
  }
  // Whether there is a steady phase at all: a forward after the first backward.
  static bool HasSteadyPhase(const StageSchedule& schedule) {
    const auto forward = [](const StageWork& work) { return work.kind == WorkKind::kForward; };
    return std::find_if(std::ranges::find_if_not(schedule, forward), schedule.end(), forward) != schedule.end();
  }
  // Whether the messages between piece i and the next run beside piece i. Of the same kind, and not in turns, are the pieces
  // of warm-up and flush.
  [[nodiscard]] bool BesidePiece(size_t i) const {
    if (overlap_ == P2pOverlap::kAll) return true;
    return overlap_ == P2pOverlap::kSteady && i + 1 < schedule_.size() && IsForward(i) != IsForward(i + 1);
  }
  // What Megatron-LM does between pieces whose messages run beside none: it sends and receives (in the steady phase without any
  // overlap, for a forward and a backward at once), and waits for both.
  void Exchange(size_t i) {
    const bool more = i + 1 < schedule_.size();
    const bool host = overlap_ == P2pOverlap::kNone;
    if (host && InTurns(i)) return;  // its backward comes first
    if (held_output_ != kNoBuffer) SendHeld();
    if (more) Post(schedule_[i + 1]);
    if (host && InTurns(i + 1)) Post(schedule_[i + 2]);
    AwaitSent(true);
    AwaitSent(false);
    if (host) env_.writer.Synchronize();
  }
  void SendHeld() {
    env_.writer.SetPhase(Phase::kForward);
    const int64_t to = Neighbour(held_work_, +1);
    const BufferId output = std::exchange(held_output_, kNoBuffer);
    GiveUp(output, Send(to, UsesOf(held_work_).back(), "send forward", true), true);
  }

  static PieceKind KindOf(WorkKind kind) {
    switch (kind) {
      case WorkKind::kForward: return PieceKind::kForward;
      case WorkKind::kBackward: return PieceKind::kBackward;
      case WorkKind::kBackwardInput: return PieceKind::kBackwardInput;
      case WorkKind::kBackwardWeight: return PieceKind::kBackwardWeight;
    }
    return PieceKind::kForward;
  }
  [[nodiscard]] const std::vector<uint32_t>& UsesOf(const StageWork& work) const {
    return split_[static_cast<size_t>(VirtualStage(shape_, stage_, work.chunk))];
  }
  // The stage that holds the place before or after a piece's; -1: none, or this stage itself.
  [[nodiscard]] int64_t Neighbour(const StageWork& work, int64_t step) const {
    const int64_t place = VirtualStage(shape_, stage_, work.chunk) + step;
    if (place < 0 || place >= VirtualStages(shape_)) return -1;
    const int64_t stage = PlaceOf(shape_, place, work.micro_batch).stage;
    return stage == stage_ ? -1 : stage;
  }

  void Forward(const StageWork& work) {
    const auto& uses = UsesOf(work);
    StepWriter& w = env_.writer;
    w.SetPhase(Phase::kForward);
    w.SetLayer(uses.front());
    if (Neighbour(work, -1) >= 0) runner_.SetInput(work.micro_batch, uses.front(), Received(work));
    data_parallel_.SetMicroStep(backwards_[static_cast<size_t>(work.chunk)], per_chunk_);
    data_parallel_.BeginForward();
    for (const uint32_t use : uses) runner_.Forward(work.micro_batch, use);
    data_parallel_.EndForward();
    runner_.EndForward(work.micro_batch);
    AwaitPass();
    if (const int64_t to = Neighbour(work, +1); to >= 0) {
      const BufferId output = runner_.TakeOutput(work.micro_batch, uses.back());
      if (overlap_ == P2pOverlap::kNone) {  // sent by Exchange
        held_work_ = work;
        held_output_ = output;
        return;
      }
      const Event sent = Send(to, uses.back(), "send forward", true);
      if (env_.scenario.training.runtime == Runtime::kMegatron) {
        GiveUp(output, sent, true);
      } else {
        outputs_[{work.micro_batch, work.chunk}] = output;
      }
    }
  }

  void Backward(const StageWork& work) {
    const auto& uses = UsesOf(work);
    StepWriter& w = env_.writer;
    w.SetPhase(Phase::kBackward);
    w.SetLayer(uses.back());
    if (Neighbour(work, +1) >= 0) runner_.SetOutputGradient(work.micro_batch, uses.back(), Received(work));
    int64_t& done = backwards_[static_cast<size_t>(work.chunk)];
    const bool split = work.kind == WorkKind::kBackwardInput;
    if (!split) ++weights_[static_cast<size_t>(work.chunk)];
    data_parallel_.SetMicroStep(done++, per_chunk_);
    data_parallel_.BeginBackward();
    for (auto use = uses.rbegin(); use != uses.rend(); ++use) runner_.Backward(work.micro_batch, *use, split);
    if (!split) data_parallel_.EndBackward();
    AwaitPass();
    if (const auto output = outputs_.find({work.micro_batch, work.chunk}); output != outputs_.end()) {
      w.Free(output->second);
      outputs_.erase(output);
    }
    if (const int64_t to = Neighbour(work, -1); to >= 0) {
      const BufferId gradient = runner_.TakeInputGradient(work.micro_batch, uses.front());
      const Event sent = Send(to, uses.front() - 1, "send backward", false);
      if (gradient != kNoBuffer) GiveUp(gradient, sent, false);
    }
  }

  void Weight(const StageWork& work) {
    const auto& uses = UsesOf(work);
    env_.writer.SetPhase(Phase::kBackward);
    data_parallel_.SetMicroStep(weights_[static_cast<size_t>(work.chunk)]++, per_chunk_);
    for (auto use = uses.rbegin(); use != uses.rend(); ++use) runner_.Weight(work.micro_batch, *use);
    data_parallel_.EndBackward();
  }

  struct Posted {
    BufferId buffer = kNoBuffer;
    TaskRef transfer;
  };
  struct Sent {
    BufferId buffer = kNoBuffer;
    Event event;
  };
  using PieceKey = std::pair<int32_t, int32_t>;  // micro-batch and chunk

  // Posts the receive that a piece needs, unless that was done ahead.
  void Post(const StageWork& work) {
    if (work.kind == WorkKind::kBackwardWeight) return;
    const bool forward = work.kind == WorkKind::kForward;
    const int64_t from = Neighbour(work, forward ? -1 : +1);
    if (from < 0) return;
    const auto [posted, added] = (forward ? forward_inputs_ : backward_inputs_).try_emplace({work.micro_batch, work.chunk});
    if (!added) return;
    StepWriter& w = env_.writer;
    const char* name = forward ? "receive forward" : "receive backward";
    const Tensor& tensor = runner_.HiddenState(forward ? UsesOf(work).front() - 1 : UsesOf(work).back());
    w.SetPhase(forward ? Phase::kForward : Phase::kBackward);
    const Bytes bytes = DivCeil(tensor.bytes, parts_);
    posted->second.buffer = w.Allocate(bytes, MemoryCategory::kActivations, env_.wiring.compute, name);
    const Transfer transfer{.communicator = Wire(forward).communicator, .receive_offset = Offset(from), .receive_bytes = bytes};
    posted->second.transfer = w.ExchangeFrom(env_.wiring.compute, Wire(forward).receive[Direction(from)], name, transfer);
  }

  BufferId Received(const StageWork& work) {
    auto& inputs = work.kind == WorkKind::kForward ? forward_inputs_ : backward_inputs_;
    const auto posted = inputs.find({work.micro_batch, work.chunk});
    SIM_CHECK(posted != inputs.end(), "nothing was received for this piece");
    env_.writer.Wait(env_.wiring.compute, posted->second.transfer);
    BufferId buffer = posted->second.buffer;
    inputs.erase(posted);
    if (parts_ > 1) buffer = Gather(buffer, work);
    AwaitPass();
    return buffer;
  }

  // The parts that the tensor-parallel ranks have received, put together inside the node.
  BufferId Gather(BufferId part, const StageWork& work) {
    StepWriter& w = env_.writer;
    const bool forward = work.kind == WorkKind::kForward;
    const Tensor& tensor = runner_.HiddenState(forward ? UsesOf(work).front() - 1 : UsesOf(work).back());
    const BufferId whole = w.Allocate(tensor.bytes, MemoryCategory::kActivations, env_.wiring.compute, "gathered activation");
    const Channel& tensor_ranks = env_.wiring.tensor;
    const CollectiveCall call{.op = CollectiveOp::kAllGather, .communicator = tensor_ranks.communicator,
                              .bytes = tensor.bytes, .dtype = tensor.dtype};
    const TaskRef gathered = w.CollectiveFrom(env_.wiring.compute, tensor_ranks.stream, "pipeline all_gather", call);
    w.Wait(env_.wiring.compute, gathered);
    w.Free(part, env_.scenario.training.record_streams ? Event{gathered} : Event{});
    return whole;
  }

  // A buffer that is being sent.
  void GiveUp(BufferId buffer, const Event& sent, bool forward) {
    if (env_.scenario.training.record_streams || !sends_waited_) {
      env_.writer.Free(buffer, sent);
    } else {
      AwaitSent(forward);
      sent_[forward ? 1 : 0] = {buffer, sent};
    }
  }
  // The host waits for the last message of a direction, and with it the compute stream.
  void AwaitSent(bool forward) {
    Sent& last = sent_[forward ? 1 : 0];
    if (last.buffer == kNoBuffer) return;
    env_.writer.Wait(env_.wiring.compute, last.event);
    env_.writer.Free(std::exchange(last.buffer, kNoBuffer));
  }

  void AwaitPass() {
    if (timed_) env_.writer.HostWait(env_.writer.Record(env_.wiring.compute));
  }

  // `use`: whose output (or its gradient) travels.
  Event Send(int64_t to, uint32_t use, const char* name, bool forward) {
    const Transfer transfer{.communicator = Wire(forward).communicator, .send_offset = Offset(to),
                            .send_bytes = DivCeil(runner_.HiddenState(use).bytes, parts_)};
    return {env_.writer.ExchangeFrom(env_.wiring.compute, Wire(forward).send[Direction(to)], name, transfer)};
  }

  [[nodiscard]] const PipelineWire& Wire(bool forward) const {
    return forward ? env_.wiring.forward : env_.wiring.backward;
  }
  [[nodiscard]] int32_t Offset(int64_t other) const {
    return static_cast<int32_t>((other - stage_ + shape_.stages) % shape_.stages);
  }
  [[nodiscard]] size_t Direction(int64_t other) const { return Offset(other) == 1 ? 0 : 1; }

  Environment& env_;
  DataParallel& data_parallel_;
  PipelineShape shape_;
  const std::vector<std::vector<uint32_t>>& split_;
  const StageSchedule& schedule_;
  int64_t stage_;
  LayerRunner runner_;
  std::vector<int64_t> backwards_;  // done, by chunk
  std::vector<int64_t> weights_;
  int64_t per_chunk_;
  bool ahead_;
  bool sends_waited_;               // one by one
  P2pOverlap overlap_;
  bool steady_;
  StageWork held_work_{};           // whose output waits to be sent together with a gradient
  BufferId held_output_ = kNoBuffer;
  bool synchronous_;                // the host waits for every transfer
  int64_t parts_;                   // of an activation, each sent by one tensor-parallel rank
  bool timed_;                      // ... and for every pass
  std::array<Sent, 2> sent_;                      // the last gradient and the last activation, until they are waited for
  std::map<PieceKey, BufferId> outputs_;          // kept until their backward
  std::map<PieceKey, Posted> forward_inputs_;
  std::map<PieceKey, Posted> backward_inputs_;
};

// Megatron-LM: the embedding and the tied head live on different stages; their gradients are summed over both.
void ReduceTiedEmbedding(Environment& env, const PipelineShape& shape, int64_t stage) {
  if (!env.model.tied_embedding || shape.stages == 1 || shape.kind == PipelineScheduleKind::kZeroBubbleV) return;
  if (stage != 0 && stage + 1 != shape.stages) return;
  int64_t elements = 0;
  for (const Layer& layer : env.model.layers) {
    for (const Parameter& parameter : layer.parameters) {
      if (parameter.tied) elements = parameter.elements;
    }
  }
  const DType type = env.precision().parameters == DType::kBf16 ? DType::kFp32 : env.precision().gradients;
  const CollectiveCall call{.op = CollectiveOp::kAllReduce, .communicator = env.wiring.embedding.communicator,
                            .bytes = SizeOf(type, elements), .dtype = type};
  env.writer.Wait(env.wiring.compute, env.writer.CollectiveFrom(env.wiring.compute, env.wiring.embedding.stream,
                                                               "tied embedding all_reduce", call));
}

}  // namespace

void WritePipelineStep(Environment& env, DataParallel& data_parallel, const PipelineShape& shape,
                       const std::vector<std::vector<uint32_t>>& split, const std::vector<StageSchedule>& schedule,
                       int64_t stage) {
  StageWriter stage_writer(env, data_parallel, shape, split, schedule, stage);
  BeginStep(env, data_parallel, stage_writer.runner());
  stage_writer.Run();
  data_parallel.FinishGradients();
  ReduceTiedEmbedding(env, shape, stage);
  data_parallel.Step();
  stage_writer.End();
}

}  // namespace simulate
