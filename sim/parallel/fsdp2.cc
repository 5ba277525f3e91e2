// torch.distributed.fsdp.fully_shard (torch/distributed/fsdp/_fully_shard/_fsdp_param_group.py and
// _fsdp_collectives.py, whose function names are quoted below). Against FSDP1: every parameter is sharded by
// itself, so gathers need a copy in and a copy out, and no record_stream: memory is freed in an order that
// stream waits make safe, hence deterministic.
//
//   unshard()            foreach_all_gather on the copy-in stream: shards are cast to the compute type and copied
//                        into this rank's part of the output; the all-gather stream gathers.
//   wait_for_unshard()   the compute stream waits, allocates the parameters and copies them out
//                        (split_with_sizes_copy). In forward the gathered buffer lives on until the next unit's
//                        copy-out (implicit prefetch); in backward it is freed at once, and both all-gather
//                        streams wait for the copy-out, because its memory is theirs.
//   post_backward()      the unit is resharded; the compute stream waits for the previous unit's reduce_scatter
//                        (whose input it may then free) and copies the gradients in (chunk_cat), in the reduction
//                        type; the reduce-scatter stream reduces, casts and accumulates.
//   pre_backward()       unshard() unless prefetched, wait_for_unshard(), then the next unit's unshard().
#include <optional>
#include <utility>

#include "sim/base/check.h"
#include "sim/parallel/data_parallel.h"
#include "sim/parallel/fsdp_units.h"
#include "sim/parallel/kernels.h"
#include "sim/parallel/offload.h"

namespace simulate {

namespace {

class Fsdp2 : public DataParallel {
 public:
  explicit Fsdp2(Environment& environment)
      : DataParallel(environment), units_(environment), types_(FsdpTypesOf(precision())),
        state_(units_.units.size()), sharded_gradients_(units_.units.size(), kNoBuffer), gradients_(environment.parameters.all().size(), kNoBuffer),
        copy_in_(wires_.pre_unshard), all_gather_(wires_.unshard), reduce_scatter_(wires_.post_backward) {}

  void AllocateState() override {
    for (uint32_t p = 0; p < env_.parameters.all().size(); ++p) {
      const FsdpUnit& unit = units_.units[units_.unit_of_parameter[p]];
      HoldShard(env_, types_, DivCeil(env_.parameters.all()[p].elements, unit.shard.size));
    }
    KeepGradients();
  }

  void BeginForward() override {  // _root_pre_forward
    writer().WaitStream(copy_in_, wires_.compute);
    writer().WaitStream(all_gather_, wires_.compute);
    PreForward(kRoot);
  }
  void BeforeForward(uint32_t use) override {
    if (units_.unit_of_use[use] != kRoot) PreForward(units_.unit_of_use[use]);
  }
  void AfterForward(uint32_t use) override {
    const uint32_t unit = units_.unit_of_use[use];
    if (unit == kRoot) return;
    writer().HostWork(HostCall::kFsdp2Unit);
    if (!ReshardsAfterForward()) return;
    for (const uint32_t part : Parts(unit)) Reshard(part);
  }
  void EndForward() override {
    writer().HostWork(HostCall::kFsdp2Unit);
    FreePreviousOutput();
  }

  void BeginBackward() override { PreBackward(kRoot, static_cast<uint32_t>(units_.blocks_end)); }
  void BeforeBackward(uint32_t use) override {
    const uint32_t unit = units_.unit_of_use[use];
    if (unit != kRoot) PreBackward(unit, unit);
  }
  void AfterBackward(uint32_t use) override {
    if (units_.unit_of_use[use] != kRoot) PostBackward(units_.unit_of_use[use]);
  }
  void EndBackward() override {  // _root_post_backward_final_callback
    PostBackward(kRoot);
    for (UnitState& unit : state_) writer().Wait(wires_.compute, unit.reduced);
    FreeReduceInput();
  }

  void Step() override { StepShards(env_, types_, units_.local_elements(), static_cast<int64_t>(gradients_.size()), sharded_gradients_); }

 protected:
  [[nodiscard]] MemoryCategory gradient_category() const override { return MemoryCategory::kUnshardedGradients; }
  void Accumulate(uint32_t parameter, BufferId incoming) override { gradients_[parameter] = incoming; }

 private:
  static constexpr uint32_t kRoot = 0;
  struct UnitState {
    BufferId gathered = kNoBuffer;        // output of an all_gather that is not yet copied out
    Event gathered_event;
    bool unsharded = false;
    std::vector<BufferId> parameters;     // while unsharded
    Event reduced;                        // _post_reduce_event
  };
  struct Held {                           // a buffer and the event after which its owner may reuse it
    BufferId buffer = kNoBuffer;
    Event event;
  };

  [[nodiscard]] bool ReshardsAfterForward() const {
    return spec().sharding == Sharding::kFullShard || spec().sharding == Sharding::kHybridShard;
  }

  // Without set_to_none the first step's shards stay (_saved_grad_shard while a backward runs), and the next are added.
  void KeepGradients() {
    if (env_.scenario.training.set_to_none || OffloadsParameters(env_)) return;
    for (size_t unit = 0; unit < state_.size(); ++unit) {
      if (units_.units[unit].elements == 0) continue;
      sharded_gradients_[unit] = writer().Allocate(SizeOf(types_.storage, units_.units[unit].local), MemoryCategory::kGradients,
                                                        reduce_scatter_, "sharded gradient", Life::kLaterSteps);
    }
  }

  // A block's own unit, and its experts'.
  [[nodiscard]] std::vector<uint32_t> Parts(uint32_t index) const {
    const uint32_t experts = units_.units[index].experts;
    return experts == 0 ? std::vector<uint32_t>{index} : std::vector<uint32_t>{index, experts};
  }

  void PreForward(uint32_t unit) {
    writer().HostWork(HostCall::kFsdp2Unit);
    Unshard(unit);
    for (const uint32_t part : Parts(unit)) WaitForUnshard(part, /*forward=*/true);
    if (spec().forward_prefetch && unit != kRoot && unit + 1 < units_.blocks_end) Unshard(unit + 1);
  }

  void PreBackward(uint32_t unit, uint32_t place) {
    writer().HostWork(HostCall::kFsdp2Unit);
    Unshard(unit);
    for (const uint32_t part : Parts(unit)) WaitForUnshard(part, /*forward=*/false);
    if (spec().backward_prefetch != BackwardPrefetch::kNone && place > 1) Unshard(place - 1);
  }

  void MultiTensorCopy(StreamId stream, const char* name, int64_t elements, DType destination, DType source) {
    Copy(stream, name, elements, destination, source, HostCall::kOperator, MemoryAccess::kMultiTensor);
    writer().HostWork(HostCall::kInner, static_cast<int>(MultiTensorLaunches(elements)) - 1);
  }

  void Unshard(uint32_t index) {
    for (const uint32_t part : Parts(index)) UnshardOne(part);
  }
  void UnshardOne(uint32_t index) {  // foreach_all_gather
    const FsdpUnit& unit = units_.units[index];
    UnitState& state = state_[index];
    if (state.unsharded || state.gathered != kNoBuffer || unit.elements == 0) return;
    StepWriter& w = writer();
    const Bytes whole = SizeOf(types_.compute, unit.padded);
    BufferId cast = kNoBuffer;
    BufferId copied = kNoBuffer;
    if (OffloadsParameters(env_)) {  // sharded_param_data.to(device, non_blocking=True)
      copied = w.Allocate(SizeOf(types_.storage, unit.local), MemoryCategory::kCommunicationBuffers, copy_in_, "shards from the host");
      w.Wait(copy_in_, CopyFromHost(env_, copy_in_, "shards from the host", SizeOf(types_.storage, unit.local)));
    }
    if (types_.storage != types_.compute) {
      cast = w.Allocate(SizeOf(types_.compute, unit.local), MemoryCategory::kCommunicationBuffers, copy_in_, "cast shards");
      MultiTensorCopy(copy_in_, "cast shards", unit.local, types_.compute, types_.storage);
    }
    state.gathered = w.Allocate(whole, MemoryCategory::kCommunicationBuffers, copy_in_, "all_gather output");
    MultiTensorCopy(copy_in_, "all_gather copy in", unit.local, types_.compute, types_.compute);
    for (const BufferId shards : {cast, copied}) {
      if (shards != kNoBuffer) w.Free(shards);
    }
    w.WaitStream(all_gather_, copy_in_);
    if (unit.shard.size > 1) {
      const CollectiveCall call{.op = CollectiveOp::kAllGather, .communicator = unit.shard.communicator,
                                .bytes = whole, .dtype = types_.compute};
      w.Wait(all_gather_, w.CollectiveFrom(all_gather_, unit.shard.stream, "all_gather", call));
    }
    state.gathered_event = w.Record(all_gather_);
  }

  void WaitForUnshard(uint32_t index, bool forward) {
    const FsdpUnit& unit = units_.units[index];
    UnitState& state = state_[index];
    if (state.gathered == kNoBuffer) return;
    StepWriter& w = writer();
    w.Wait(wires_.compute, state.gathered_event);
    for (const uint32_t parameter : unit.parameters) {
      const int64_t padded = RoundUp(env_.parameters.all()[parameter].elements, unit.shard.size);
      state.parameters.push_back(w.Allocate(SizeOf(types_.compute, padded), MemoryCategory::kUnshardedParameters,
                                            wires_.compute, "parameter"));
    }
    Copy(wires_.compute, "all_gather copy out", unit.padded, types_.compute, types_.compute, HostCall::kOperator,
         MemoryAccess::kMultiTensor);
    state.unsharded = true;
    FreePreviousOutput();
    previous_output_ = {state.gathered, w.Record(wires_.compute)};
    state.gathered = kNoBuffer;
    if (!forward) FreePreviousOutput();
  }

  // The gathered buffer belongs to the copy-in stream, which therefore waits for the copy-out.
  void FreePreviousOutput() {
    if (previous_output_.buffer == kNoBuffer) return;
    writer().Wait(copy_in_, previous_output_.event);
    writer().Wait(all_gather_, previous_output_.event);
    writer().Free(previous_output_.buffer);
    previous_output_ = {};
  }

  void Reshard(uint32_t index) {
    UnitState& state = state_[index];
    for (const BufferId parameter : state.parameters) writer().Free(parameter);
    state.parameters.clear();
    state.unsharded = false;
  }

  void FreeReduceInput() {
    if (reduce_input_.buffer == kNoBuffer) return;
    writer().Wait(wires_.compute, reduce_input_.event);
    writer().Free(reduce_input_.buffer);
    reduce_input_ = {};
  }

  void PostBackward(uint32_t index) {
    for (const uint32_t part : Parts(index)) PostBackwardOne(part);
  }
  void PostBackwardOne(uint32_t index) {
    const FsdpUnit& unit = units_.units[index];
    if (unit.elements == 0) return;
    StepWriter& w = writer();
    w.HostWork(HostCall::kFsdp2Unit);
    Reshard(index);
    FreeReduceInput();
    // foreach_reduce
    const BufferId input = w.Allocate(SizeOf(types_.reduce, unit.padded), MemoryCategory::kCommunicationBuffers,
                                      wires_.compute, "reduce_scatter input");
    Copy(wires_.compute, "reduce_scatter copy in", unit.padded, types_.reduce, types_.compute, HostCall::kOperator,
         MemoryAccess::kMultiTensor);
    // Python's loop variable still names the last parameter's gradient until the function returns (seen in the
    // allocator's trace).
    for (const uint32_t parameter : unit.parameters) {
      if (parameter != unit.parameters.back()) FreeGradient(parameter);
    }
    w.WaitStream(reduce_scatter_, wires_.compute);
    ReduceGradient(unit, index, input);
    FreeGradient(unit.parameters.back());
  }

  void FreeGradient(uint32_t parameter) {
    SIM_CHECK(gradients_[parameter] != kNoBuffer, "parameter ", parameter, " has no gradient");
    writer().Free(gradients_[parameter]);
    gradients_[parameter] = kNoBuffer;
  }

  void ReduceGradient(const FsdpUnit& unit, uint32_t index, BufferId input) {
    StepWriter& w = writer();
    BufferId local = w.Allocate(SizeOf(types_.reduce, unit.local), MemoryCategory::kGradients, reduce_scatter_,
                                "sharded gradient");
    if (unit.shard.size > 1) {
      Reduce(reduce_scatter_, unit.shard, CollectiveOp::kReduceScatter, "reduce_scatter", unit.padded);
    }
    reduce_input_ = {input, w.Record(reduce_scatter_)};
    StreamId last = reduce_scatter_;
    if (unit.replica.size > 1) {
      last = wires_.all_reduce;
      w.WaitStream(last, reduce_scatter_);
      Reduce(last, unit.replica, CollectiveOp::kAllReduce, "all_reduce over replicas", unit.local);
    }
    if (types_.reduce != types_.storage) {
      const BufferId narrow = std::exchange(
          local, w.Allocate(SizeOf(types_.storage, unit.local), MemoryCategory::kGradients, last, "sharded gradient"));
      Copy(last, "cast sharded gradient", unit.local, types_.storage, types_.reduce, HostCall::kOperator);
      w.Free(narrow, w.Record(last));
    }
    if (OffloadsParameters(env_)) {  // new_sharded_grad.to("cpu", non_blocking=True)
      CopyToHost(env_, last, "sharded gradient to the host", SizeOf(types_.storage, unit.local));
      w.Free(local, w.Record(wires_.copy_out));
    } else if (sharded_gradients_[index] == kNoBuffer) {
      sharded_gradients_[index] = local;
    } else {
      Add(last, "accumulate sharded gradient", unit.local, types_.storage, types_.storage, HostCall::kOperator);
      w.Free(local);
    }
    state_[index].reduced = w.Record(last);
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
  std::vector<BufferId> gradients_;   // by parameter, until the unit's post_backward
  StreamId copy_in_, all_gather_, reduce_scatter_;
  Held previous_output_;              // comm_ctx.all_gather_state
  Held reduce_input_;                 // comm_ctx.reduce_scatter_state
};

}  // namespace

std::unique_ptr<DataParallel> MakeFsdp2(Environment& environment) { return std::make_unique<Fsdp2>(environment); }

}  // namespace simulate
