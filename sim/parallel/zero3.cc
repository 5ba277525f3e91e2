// DeepSpeed's ZeRO-3 (deepspeed/runtime/zero/stage3.py, partitioned_param_coordinator.py): everything is divided by the
// ranks; a module's parameters are gathered before it runs and released after it.
//
//   Fetch       all_gather of a module's 16-bit partitions on a stream of its own; following modules are prefetched
//               until stage3_prefetch_bucket_size (5e7) elements are under way. Here a module is a transformer block
//               (or what lies outside of them), as FSDP's units; a block larger than the bucket is still prefetched, but
//               in as many all_gathers as it takes buckets: a parameter that fills the bucket is gathered by itself.
//               Only as long as stage3_max_live_parameters (1e9) are not exceeded: large layers are then not prefetched.
//   Persistent  parameters of less than stage3_param_persistence_threshold (1e5) elements are not divided: norms, biases.
//   Gradients   are copied into a bucket (reduce_bucket_size, 5e8 elements); when the next would not fit, or at the
//               end, the bucket is reduce_scattered and added to this rank's partition.
// Approximation: modules inside a block are fetched together.
#include <utility>

#include "sim/parallel/data_parallel.h"
#include "sim/parallel/fsdp_units.h"
#include "sim/parallel/offload.h"

namespace simulate {

namespace {

constexpr int64_t kPrefetchElements = 50'000'000;
constexpr int64_t kPersistentElements = 100'000;
constexpr int64_t kBucketElements = 500'000'000;

class Zero3 : public DataParallel {
 public:
  explicit Zero3(Environment& environment)
      : DataParallel(environment), units_(environment, 1), state_(units_.units.size()) {
    for (FsdpUnit& unit : units_.units) {
      unit.elements = 0;
      for (const uint32_t parameter : unit.parameters) {
        const int64_t n = env_.parameters.all()[parameter].elements;
        (n < kPersistentElements ? persistent_ : unit.elements) += n;
      }
      unit.local = DivCeil(unit.elements, Ranks());
      unit.padded = unit.local * Ranks();
      calls_.push_back(CallsOf(unit));
    }
  }

  void AllocateState() override {
    const auto hold = [&](DType type, int64_t elements, MemoryCategory category, const char* name) {
      writer().Allocate(SizeOf(type, elements), category, wires_.compute, name);
    };
    hold(precision().parameters, persistent_, MemoryCategory::kParameters, "persistent parameters");
    if (OffloadsParameters(env_)) {
      writer().HoldOnHost(SizeOf(precision().parameters, units_.local_elements()));
    } else {
      hold(precision().parameters, units_.local_elements(), MemoryCategory::kParameters, "parameter partition");
    }
    if (OffloadsOptimizer(env_)) {
      HoldOptimizerOnHost(env_, Local(), precision().master_weights.value_or(precision().parameters), precision().optimizer);
      return;
    }
    hold(precision().gradients, Local(), MemoryCategory::kGradients, "gradient partition");
    if (precision().master_weights) hold(*precision().master_weights, Local(), MemoryCategory::kMasterWeights, "master weights");
    writer().Allocate(OptimizerStateBytes(env_.scenario.training, Local()), MemoryCategory::kOptimizerState,
                      wires_.compute, "optimizer state");
  }

  void BeginForward() override {
    last_call_ = 0;
    writer().WaitStream(wires_.unshard, wires_.compute);
    Fetch(kRoot);
    Use(kRoot);
    Prefetch(1, +1);
  }
  void BeforeForward(uint32_t use) override {
    const uint32_t unit = units_.unit_of_use[use];
    if (unit == kRoot) return;
    Fetch(unit);
    Use(unit);
    Prefetch(unit + 1, +1);
  }
  void AfterForward(uint32_t use) override { Release(units_.unit_of_use[use]); }
  void BeforeBackward(uint32_t use) override {
    const uint32_t unit = units_.unit_of_use[use];
    if (unit == kRoot) return;
    Fetch(unit);
    Use(unit);
    Prefetch(unit - 1, -1);
  }
  void AfterBackward(uint32_t use) override { Release(units_.unit_of_use[use]); }
  void EndBackward() override {
    ReduceBucket();
    if (state_[kRoot].gathered != kNoBuffer) ReleaseBuffer(kRoot);
    writer().WaitStream(wires_.compute, wires_.post_backward);
  }

  void Step() override {
    if (env_.scenario.training.clip_grad_norm && !OffloadsOptimizer(env_)) EmitGradientClipping(env_, wires_.data, Local(), precision().gradients);
    OptimizerLoad load{.elements = Local(), .tensors = static_cast<int64_t>(units_.unit_of_parameter.size()), .weights = precision().parameters, .gradients = precision().gradients, .copy = {}};
    if (precision().master_weights) {
      load.weights = *precision().master_weights;
      load.copy = precision().parameters;
    }
    if (OffloadsOptimizer(env_)) {
      load.gradients = precision().optimizer;
      EmitHostOptimizerStep(env_, load);
      const int64_t back = OffloadsParameters(env_) ? DivCeil(persistent_, Ranks()) : Local();
      writer().Wait(wires_.compute, CopyFromHost(env_, wires_.compute, "weights from the host", SizeOf(precision().parameters, back)));
    } else {
      EmitOptimizerStep(env_, load);
    }
    writer().HostWork(HostCall::kZeroGrad, static_cast<int>(units_.unit_of_parameter.size()));
  }

 protected:
  [[nodiscard]] MemoryCategory gradient_category() const override { return MemoryCategory::kUnshardedGradients; }
  void Accumulate(uint32_t parameter, BufferId incoming) override {
    const int64_t n = env_.parameters.all()[parameter].elements;
    if (in_bucket_ > 0 && in_bucket_ + n > kBucketElements) ReduceBucket();
    in_bucket_ += n;
    bucket_.push_back(writer().Allocate(SizeOf(precision().parameters, n), MemoryCategory::kCommunicationBuffers,
                                        wires_.compute, "gradient bucket"));
    Copy(wires_.compute, "gradient to bucket", n, precision().parameters, precision().parameters, HostCall::kDdpHook);
    writer().Free(incoming);
  }

 private:
  static constexpr uint32_t kRoot = 0;
  struct UnitState {
    BufferId gathered = kNoBuffer;
    size_t calls = 0;   // all_gathers issued
    TaskRef ready;
  };

  [[nodiscard]] int64_t Ranks() const { return wires_.data.size; }
  [[nodiscard]] int64_t Local() const { return units_.local_elements() + DivCeil(persistent_, Ranks()); }

  // `prefetching`: only the parameters that may be there beside the one before them (stage3_max_live_parameters); the
  // others are gathered when they are needed. (Approximation: when their block is.)
  void Fetch(uint32_t index, bool prefetching = false) {
    UnitState& state = state_[index];
    const FsdpUnit& unit = units_.units[index];
    if (unit.elements == 0 || Ranks() == 1 || state.calls == calls_[index].size()) return;
    if (state.gathered == kNoBuffer) {
      writer().HostWork(HostCall::kFsdp1Unit);
      state.gathered = writer().Allocate(SizeOf(precision().parameters, unit.padded), MemoryCategory::kUnshardedParameters,
                                         wires_.unshard, "gathered parameters");
    }
    for (; state.calls < calls_[index].size(); ++state.calls) {
      const int64_t elements = calls_[index][state.calls];
      if (prefetching && std::exchange(last_call_, elements) + elements > spec().max_live_parameters) return;
      if (!prefetching) writer().WaitStream(wires_.unshard, wires_.compute);
      last_call_ = elements;
      Gather(state, elements);
    }
  }

  void Gather(UnitState& state, int64_t elements) {
    BufferId partition = kNoBuffer;
    if (OffloadsParameters(env_)) {
      const Bytes local = SizeOf(precision().parameters, DivCeil(elements, Ranks()));
      partition = writer().Allocate(local, MemoryCategory::kCommunicationBuffers, wires_.unshard, "partition from the host");
      writer().Wait(wires_.unshard, CopyFromHost(env_, wires_.unshard, "partition from the host", local));
    }
    const CollectiveCall call{.op = CollectiveOp::kAllGather, .communicator = wires_.data.communicator,
                              .bytes = SizeOf(precision().parameters, elements), .dtype = precision().parameters};
    state.ready = writer().CollectiveFrom(wires_.unshard, wires_.data.stream, "all_gather", call);
    writer().Wait(wires_.unshard, state.ready);
    if (partition != kNoBuffer) writer().Free(partition);
  }

  // Elements of each all_gather of a unit, in order.
  [[nodiscard]] std::vector<int64_t> CallsOf(const FsdpUnit& unit) const {
    std::vector<int64_t> calls;
    int64_t open = 0;
    for (const uint32_t parameter : unit.parameters) {
      const int64_t n = env_.parameters.all()[parameter].elements;
      if (n < kPersistentElements) continue;
      open += RoundUp(n, Ranks());
      if (open < kPrefetchElements) continue;
      calls.push_back(std::exchange(open, 0));
    }
    if (open > 0) calls.push_back(open);
    return calls;
  }
  void Use(uint32_t index) { writer().Wait(wires_.compute, state_[index].ready); }

  // Fetches the units that follow in this direction, until the prefetch bucket is full.
  void Prefetch(uint32_t first, int step) {
    int64_t under_way = 0;
    for (auto unit = static_cast<int64_t>(first); unit > 0 && unit < static_cast<int64_t>(units_.units.size()); unit += step) {
      if (under_way >= kPrefetchElements) return;
      under_way += units_.units[static_cast<size_t>(unit)].elements;
      Fetch(static_cast<uint32_t>(unit), /*prefetching=*/true);
    }
  }

  void Release(uint32_t index) {
    writer().HostWork(HostCall::kFsdp1Unit);
    if (index != kRoot && state_[index].gathered != kNoBuffer) ReleaseBuffer(index);
  }
  void ReleaseBuffer(uint32_t index) {
    state_[index].calls = 0;
    writer().Free(std::exchange(state_[index].gathered, kNoBuffer), writer().Record(wires_.compute));
  }

  void ReduceBucket() {
    if (in_bucket_ == 0) return;
    const StreamId stream = wires_.post_backward;
    const int64_t padded = RoundUp(in_bucket_, Ranks());
    writer().WaitStream(stream, wires_.compute);
    if (Ranks() > 1) {
      const CollectiveCall call{.op = CollectiveOp::kReduceScatter, .communicator = wires_.data.communicator,
                                .bytes = SizeOf(precision().gradient_reduction, padded), .dtype = precision().gradient_reduction};
      writer().Wait(stream, writer().CollectiveFrom(stream, wires_.data.stream, "reduce_scatter", call));
    }
    if (OffloadsOptimizer(env_)) {
      PartitionToHost(padded / Ranks());
    } else {
      Add(stream, "add to gradient partition", padded / Ranks(), precision().gradients, precision().gradient_reduction, HostCall::kOperator);
    }
    for (const BufferId part : bucket_) writer().Free(part, writer().Record(stream));
    bucket_.clear();
    in_bucket_ = 0;
  }

  // __partition_grads: to its 16-bit place in pinned memory, back to the device for the norm, and as fp32 to the host.
  // That last copy_ blocks, so the host thread enqueues no further backward until the bucket has been reduced: with an
  // offloaded optimizer nothing hides the reduction.
  void PartitionToHost(int64_t elements) {
    const StreamId stream = wires_.post_backward;
    const Bytes narrow = SizeOf(precision().gradients, elements);
    writer().Wait(stream, CopyToHost(env_, stream, "gradient partition to the host", narrow));
    writer().Wait(stream, CopyFromHost(env_, stream, "gradient partition from the host", narrow));
    const TaskRef copied = CopyToHost(env_, stream, "fp32 gradient partition to the host", SizeOf(precision().optimizer, elements));
    if (copied.valid()) writer().HostWait({copied});
  }

  FsdpUnits units_;
  std::vector<UnitState> state_;
  std::vector<std::vector<int64_t>> calls_;  // by unit
  int64_t last_call_ = 0;                    // elements of the last all_gather issued
  int64_t persistent_ = 0;
  std::vector<BufferId> bucket_;
  int64_t in_bucket_ = 0;
};

}  // namespace

std::unique_ptr<DataParallel> MakeZero3(Environment& environment) { return std::make_unique<Zero3>(environment); }

}  // namespace simulate
