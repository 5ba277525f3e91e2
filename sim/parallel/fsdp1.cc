// torch.distributed.fsdp.FullyShardedDataParallel (Zhao et al., VLDB 2023; torch/distributed/fsdp/
// _runtime_utils.py, whose function names are quoted below).
//
//   Before forward    _unshard: the shard is cast to the compute type (pre-unshard stream), the host waits for
//                     the rate limiter, the unit's flat parameter is allocated in the unshard stream's pool and
//                     all_gathered. The compute stream waits for it.
//   After forward     _reshard: the flat parameter is freed (FULL_SHARD, and never the root's), with
//                     record_stream: its block is reusable once the compute stream has passed this point.
//                     An event is queued for the rate limiter.
//   Before backward   the unit is gathered again unless it was prefetched; then BACKWARD_PRE issues the next
//                     unit's all_gather before this unit's gradients are computed, BACKWARD_POST after.
//   After backward    _post_backward_hook: autograd has concatenated the unit's gradients into one; the unit
//                     is resharded; on the post-backward stream the gradient is cast to the reduction type,
//                     divided, reduce_scattered (hybrid: and all_reduced over replicas), cast to the shard's
//                     type and accumulated. Before PyTorch 2.0 it was padded into a copy first, even by nothing
//                     (`pads_gradients`; pytorch pull request 88769). One process group: gathers and scatters queue behind each other.
//   Collectives       before PyTorch 2.8 NCCL's process group called record_stream on what it reads and writes
//                     (`record_streams`): such a block is reusable once all that its stream had been given by then is done.
//   Rate limiter      _FreeEventQueue: with two frees outstanding the host waits for the older one before it
//                     issues another all_gather, so that at most two units' memory is in flight.
#include <deque>
#include <utility>

#include "sim/base/check.h"
#include "sim/parallel/data_parallel.h"
#include "sim/parallel/fsdp_units.h"
#include "sim/parallel/offload.h"

namespace simulate {

int64_t GradientPredivideFactor(int64_t world) {
  int64_t factor = 1;
  while (world % factor == 0 && world / factor > factor) factor *= 2;
  return factor;
}

namespace {

constexpr size_t kMaxInflightAllGathers = 2;  // _FreeEventQueue._max_num_inflight_all_gathers

class Fsdp1 : public DataParallel {
 public:
  explicit Fsdp1(Environment& environment)
      : DataParallel(environment), units_(environment), types_(FsdpTypesOf(precision())),
        state_(units_.units.size()), sharded_gradients_(units_.units.size(), kNoBuffer), gradients_(environment.parameters.all().size(), kNoBuffer) {}

  void AllocateState() override {
    for (const FsdpUnit& unit : units_.units) HoldShard(env_, types_, unit.local);
    KeepGradients();
  }

  void BeginForward() override {
    writer().WaitStream(wires_.unshard, wires_.compute);  // _wait_for_computation_stream: see the optimizer's update
    writer().WaitStream(wires_.pre_unshard, wires_.compute);
    PreForward(kRoot);
  }
  void BeforeForward(uint32_t use) override {
    if (units_.unit_of_use[use] != kRoot) PreForward(units_.unit_of_use[use]);
  }
  void AfterForward(uint32_t use) override {
    const uint32_t unit = units_.unit_of_use[use];
    if (unit == kRoot) return;
    writer().HostWork(HostCall::kFsdp1Unit);
    if (!FreesAfterForward()) return;
    for (const uint32_t part : Parts(unit)) Reshard(part, wires_.compute);
  }
  void EndForward() override { writer().HostWork(HostCall::kFsdp1Unit); }

  void BeginBackward() override { PreBackward(kRoot, static_cast<uint32_t>(units_.blocks_end)); }
  void BeforeBackward(uint32_t use) override {
    const uint32_t unit = units_.unit_of_use[use];
    if (unit != kRoot) PreBackward(unit, unit);
  }
  void AfterBackward(uint32_t use) override {
    if (units_.unit_of_use[use] != kRoot) PostBackward(units_.unit_of_use[use]);
  }
  void EndBackward() override {  // _post_backward_final_callback
    PostBackward(kRoot);
    writer().WaitStream(wires_.compute, wires_.post_backward);
    writer().WaitStream(wires_.compute, wires_.all_reduce);
  }

  void Step() override { StepShards(env_, types_, units_.local_elements(), static_cast<int64_t>(units_.units.size()), sharded_gradients_); }

 protected:
  [[nodiscard]] MemoryCategory gradient_category() const override { return MemoryCategory::kUnshardedGradients; }
  void Accumulate(uint32_t parameter, BufferId incoming) override { gradients_[parameter] = incoming; }

 private:
  static constexpr uint32_t kRoot = 0;
  struct UnitState {
    BufferId flat_parameter = kNoBuffer;
    bool unsharded = false;
  };

  [[nodiscard]] bool FreesAfterForward() const {
    return spec().sharding == Sharding::kFullShard || spec().sharding == Sharding::kHybridShard;
  }

  // Without set_to_none the first step's shards stay (_saved_grad_shard while a backward runs), and the next are added.
  void KeepGradients() {
    if (env_.scenario.training.set_to_none || OffloadsParameters(env_)) return;
    for (size_t unit = 0; unit < state_.size(); ++unit) {
      if (units_.units[unit].elements == 0) continue;
      sharded_gradients_[unit] = writer().Allocate(SizeOf(types_.storage, units_.units[unit].local), MemoryCategory::kGradients,
                                                        wires_.post_backward, "sharded gradient", Life::kLaterSteps);
    }
  }

  // A block's own unit, and its experts'.
  [[nodiscard]] std::vector<uint32_t> Parts(uint32_t index) const {
    const uint32_t experts = units_.units[index].experts;
    return experts == 0 ? std::vector<uint32_t>{index} : std::vector<uint32_t>{index, experts};
  }

  void PreForward(uint32_t unit) {
    writer().HostWork(HostCall::kFsdp1Unit);
    Unshard(unit);
    writer().WaitStream(wires_.compute, wires_.unshard);
    if (spec().forward_prefetch && unit != kRoot && unit + 1 < units_.blocks_end) Unshard(unit + 1);
  }

  // The units' backward order is the reverse of their forward order; the root's pre-backward hook comes first.
  void PreBackward(uint32_t unit, uint32_t place) {
    writer().HostWork(HostCall::kFsdp1Unit);
    Unshard(unit);
    writer().WaitStream(wires_.compute, wires_.unshard);
    if (spec().backward_prefetch == BackwardPrefetch::kPre && place > 1) Unshard(place - 1);
  }

  void Unshard(uint32_t index) {
    for (const uint32_t part : Parts(index)) UnshardOne(part);
  }
  void UnshardOne(uint32_t index) {  // _unshard
    const FsdpUnit& unit = units_.units[index];
    UnitState& state = state_[index];
    if (state.unsharded || unit.elements == 0) return;  // no-op if prefetched or never resharded
    state.unsharded = true;
    StepWriter& w = writer();
    BufferId cast = kNoBuffer;
    BufferId copied = kNoBuffer;
    if (OffloadsParameters(env_)) {  // _local_shard.to(device)
      copied = w.Allocate(SizeOf(types_.storage, unit.local), MemoryCategory::kCommunicationBuffers, wires_.pre_unshard, "shard from the host");
      w.Wait(wires_.pre_unshard, CopyFromHost(env_, wires_.pre_unshard, "shard from the host", SizeOf(types_.storage, unit.local)));
      w.WaitStream(wires_.unshard, wires_.pre_unshard);
    }
    if (types_.storage != types_.compute) {
      cast = w.Allocate(SizeOf(types_.compute, unit.local), MemoryCategory::kCommunicationBuffers, wires_.pre_unshard,
                        "low-precision shard");
      Copy(wires_.pre_unshard, "cast shard", unit.local, types_.compute, types_.storage, HostCall::kOperator);
      w.WaitStream(wires_.unshard, wires_.pre_unshard);
      if (copied != kNoBuffer) w.Free(std::exchange(copied, kNoBuffer));
    }
    if (spec().limit_all_gathers && free_events_.size() >= kMaxInflightAllGathers) {
      w.HostWait(free_events_.front());
      free_events_.pop_front();
    }
    if (unit.shard.size == 1) {  // NO_SHARD computes with the cast parameter, or with the parameter itself
      state.flat_parameter = cast != kNoBuffer ? cast : copied;
      return;
    }
    state.flat_parameter = w.Allocate(SizeOf(types_.compute, unit.padded), MemoryCategory::kUnshardedParameters,
                                      wires_.unshard, "flat parameter");
    const CollectiveCall call{.op = CollectiveOp::kAllGather, .communicator = unit.shard.communicator,
                              .bytes = SizeOf(types_.compute, unit.padded), .dtype = types_.compute};
    w.Wait(wires_.unshard, w.CollectiveFrom(wires_.unshard, unit.shard.stream, "all_gather", call));
    for (const BufferId shard : {cast, copied}) {
      if (shard != kNoBuffer) w.Free(shard, AndCollectives(w.Record(wires_.unshard), unit.shard));
    }
  }

  // What a buffer that collectives of this channel use is given back after, beside `event`.
  [[nodiscard]] Event AndCollectives(Event event, const Channel& channel) {
    if (!env_.scenario.training.record_streams || channel.size == 1) return event;
    const Event collectives = writer().Record(channel.stream);
    event.insert(event.end(), collectives.begin(), collectives.end());
    return event;
  }

  void Reshard(uint32_t index, StreamId current) {  // _reshard
    UnitState& state = state_[index];
    if (!state.unsharded) return;
    state.unsharded = false;
    const Event computed = writer().Record(current);
    if (state.flat_parameter != kNoBuffer) writer().Free(state.flat_parameter, AndCollectives(computed, units_.units[index].shard));
    state.flat_parameter = kNoBuffer;
    if (spec().limit_all_gathers) free_events_.push_back(computed);
  }

  void PostBackward(uint32_t index) {
    for (const uint32_t part : Parts(index)) PostBackwardOne(part);
  }
  void PostBackwardOne(uint32_t index) {  // _post_backward_hook
    const FsdpUnit& unit = units_.units[index];
    if (unit.elements == 0) return;
    StepWriter& w = writer();
    w.HostWork(HostCall::kFsdp1Unit);
    const BufferId flat = FlattenGradients(unit);
    Reshard(index, wires_.unshard);
    if (spec().backward_prefetch == BackwardPrefetch::kPost && index > 1 && index < units_.blocks_end) Unshard(index - 1);
    w.WaitStream(wires_.post_backward, wires_.unshard);
    ReduceGradient(unit, sharded_gradients_[index], flat);
  }

  // The backward of the split of the flat parameter: a concatenation of the gradients of its views. Autograd runs
  // it on the stream that made the views, the unshard stream (so seen in a profile of PyTorch 2.11).
  BufferId FlattenGradients(const FsdpUnit& unit) {
    const BufferId flat = writer().Allocate(SizeOf(types_.compute, unit.elements), MemoryCategory::kUnshardedGradients,
                                            wires_.unshard, "flat gradient");
    writer().WaitStream(wires_.unshard, wires_.compute);
    Copy(wires_.unshard, "flatten gradients", unit.elements, types_.compute, types_.compute, HostCall::kAutogradNode);
    for (const uint32_t parameter : unit.parameters) {
      SIM_CHECK(gradients_[parameter] != kNoBuffer, unit.name, " has a parameter without gradient");
      writer().Free(gradients_[parameter], writer().Record(wires_.unshard));
      gradients_[parameter] = kNoBuffer;
    }
    return flat;
  }

  // _reduce_grad, all on the post-backward stream. `flat` is given up with record_stream.
  void ReduceGradient(const FsdpUnit& unit, BufferId& sharded, BufferId flat) {
    StepWriter& w = writer();
    const StreamId stream = wires_.post_backward;
    const int64_t ranks = unit.shard.size * unit.replica.size;
    BufferId wide = kNoBuffer;
    if (types_.reduce != types_.compute) {
      wide = w.Allocate(SizeOf(types_.reduce, unit.padded), MemoryCategory::kUnshardedGradients, stream, "gradient to reduce");
      Copy(stream, "cast gradient", unit.elements, types_.reduce, types_.compute, HostCall::kOperator);
    }
    const int64_t predivide = GradientPredivideFactor(ranks);
    if (predivide > 1) Scale(stream, "predivide gradient", unit.elements, types_.reduce);
    BufferId padded = kNoBuffer;
    if (spec().pads_gradients && unit.shard.size > 1) {
      padded = w.Allocate(SizeOf(types_.reduce, unit.padded), MemoryCategory::kUnshardedGradients, stream, "padded gradient");
      Copy(stream, "pad gradient", unit.elements, types_.reduce, types_.reduce, HostCall::kOperator);
    }
    BufferId local = w.Allocate(SizeOf(types_.reduce, unit.local), MemoryCategory::kGradients, stream, "sharded gradient");
    if (unit.shard.size > 1) {
      Reduce(stream, unit.shard, CollectiveOp::kReduceScatter, "reduce_scatter", unit.padded);
    }
    StreamId last = stream;
    if (unit.replica.size > 1) {
      last = wires_.all_reduce;
      w.WaitStream(last, stream);
      Reduce(last, unit.replica, CollectiveOp::kAllReduce, "all_reduce over replicas", unit.local);
    }
    if (ranks / predivide > 1) Scale(last, "postdivide gradient", unit.local, types_.reduce);
    for (const BufferId copy : {wide, padded}) {
      if (copy != kNoBuffer) w.Free(copy, AndCollectives(w.Record(stream), unit.shard));
    }
    if (types_.reduce != types_.storage && sharded == kNoBuffer) {
      const BufferId narrow = std::exchange(
          local, w.Allocate(SizeOf(types_.storage, unit.local), MemoryCategory::kGradients, last, "sharded gradient"));
      Copy(last, "cast sharded gradient", unit.local, types_.storage, types_.reduce, HostCall::kOperator);
      w.Free(narrow);
    }
    if (OffloadsParameters(env_)) {  // _cpu_grad.copy_; several micro-steps are added up there
      CopyToHost(env_, last, "sharded gradient to the host", SizeOf(types_.storage, unit.local));
      w.Free(local, w.Record(wires_.copy_out));
    } else if (sharded == kNoBuffer) {
      sharded = local;
    } else {
      Add(last, "accumulate sharded gradient", unit.local, types_.storage, types_.reduce, HostCall::kOperator);
      w.Free(local);
    }
    const bool reduced = wide == kNoBuffer && padded == kNoBuffer;
    w.Free(flat, reduced ? AndCollectives(w.Record(last), unit.shard) : w.Record(last));
  }

  void Reduce(StreamId from, const Channel& channel, CollectiveOp op, const char* name, int64_t elements) {
    const CollectiveCall call{.op = op, .communicator = channel.communicator,
                              .bytes = SizeOf(types_.reduce, elements), .dtype = types_.reduce};
    writer().Wait(from, writer().CollectiveFrom(from, channel.stream, name, call));
  }

  FsdpUnits units_;
  FsdpTypes types_;
  std::vector<UnitState> state_;
  std::vector<BufferId> sharded_gradients_;  // by unit
  std::vector<BufferId> gradients_;  // by parameter, until the unit's post-backward hook
  std::deque<Event> free_events_;
};

}  // namespace

std::unique_ptr<DataParallel> MakeFsdp1(Environment& environment) { return std::make_unique<Fsdp1>(environment); }

}  // namespace simulate
