// DeepSpeed's ZeRO-3 (deepspeed/runtime/zero/stage3.py): everything is divided by the ranks that hold copies; a module's
// parameters are gathered before it runs and released after it (parameter_coordinator.h).
//
//   Persistent  parameters of less than stage3_param_persistence_threshold (1e5) elements are not released: norms, biases.
//               They are gathered after the optimizer step, one by one (_allgather_params_coalesced); by the synchronous
//               version together, then copied apart rank by rank and parameter by parameter (_allgather_params).
//   Gradients   go into a bucket (reduce_bucket_size, 5e8 elements; larger ones stay where they are). When the next would
//               not fit, and at the end:
//     asynchronous  reduce_scatter_coalesced: Python slices every gradient once per rank; several are copied together;
//                   one reduce_scatter; __partition_grads copies each part to its place.
//     synchronous   its default, contiguous_gradients: false: flattened, all-reduced, copied back; parts are taken
//                   when the next bucket comes, after the host has waited for this one.
// The host time of loops over ranks comes between the launches of a backward and so on top of it. Experts' parameters
// are divided by the ranks that hold the same experts. Absent: modules without divided parameters, overflow checks.
#include <utility>

#include "sim/parallel/data_parallel.h"
#include "sim/parallel/fsdp_units.h"
#include "sim/parallel/kernels.h"
#include "sim/parallel/offload.h"
#include "sim/parallel/parameter_coordinator.h"

namespace simulate {

namespace {

constexpr int64_t kPersistentElements = 100'000;
constexpr size_t kReductionsAhead = 3;     // __max_param_reduce_events = 2
// Calls on a part of a gradient before it leaves: isinf, isnan (each abs, ==, any and a logical_or_), and the norm's
// split, double, norm and power.
constexpr int kChecks = 12;

std::vector<ModuleCall> TraceOf(const Environment& env, const Modules& modules) {
  if (env.layout.pipeline > 1) return {};  // micro-batches interleave: tracing fails, nothing is prefetched
  return TraceModules(env, modules);
}

class Zero3 : public DataParallel {
 public:
  explicit Zero3(Environment& environment)
      : DataParallel(environment), modules_(environment, [this](uint32_t p) { return Divided(p); }),
        coordinator_(environment, TraceOf(environment, modules_)) {
    for (uint32_t p = 0; p < All().size(); ++p) {
      if (!Divided(p)) whole_ += All()[p].elements;
      if (!Divided(p) && Copies(p).size > 1) persistent_.push_back(p);
      local_ += Divided(p) ? coordinator_.Partition(p) : 0;
      parts_ += coordinator_.Partition(p);
    }
  }

  void AllocateState() override {
    Hold(precision().parameters, whole_, MemoryCategory::kParameters, "persistent parameters");
    if (!Synchronous()) {
      Hold(precision().parameters, spec().reduce_bucket_size, MemoryCategory::kCommunicationBuffers, "gradient bucket");
    }
    if (OffloadsParameters(env_)) {
      writer().HoldOnHost(SizeOf(precision().parameters, local_));
    } else {
      Hold(precision().parameters, local_, MemoryCategory::kParameters, "parameter partition");
    }
    if (OffloadsOptimizer(env_)) {
      HoldOptimizerOnHost(env_, parts_, precision().master_weights.value_or(precision().parameters), precision().optimizer);
      return;
    }
    Hold(precision().gradients, parts_, MemoryCategory::kGradients, "gradient partition");
    if (precision().master_weights) Hold(*precision().master_weights, parts_, MemoryCategory::kMasterWeights, "master weights");
    writer().Allocate(OptimizerStateBytes(env_.scenario.training, parts_), MemoryCategory::kOptimizerState,
                      wires_.compute, "optimizer state");
  }

  void BeginForward() override {
    writer().WaitStream(wires_.unshard, wires_.compute);
    coordinator_.BeginPass();
  }
  void BeforeForward(uint32_t use) override { Begin(use); }
  void AfterForward(uint32_t use) override { End(use); }
  void BeforeBackward(uint32_t use) override { Begin(use); }
  void AfterBackward(uint32_t use) override { End(use); }
  void BeforeOperator(uint32_t use, uint32_t op) override { coordinator_.Enter(modules_.Of(use, op)); }
  void AfterOperator(uint32_t use, uint32_t op) override { coordinator_.Leave(modules_.Of(use, op)); }
  void EndBackward() override {
    Flush();
    if (Synchronous()) TakeParts();
    writer().HostWait(writer().Record(wires_.post_backward));
    coordinator_.ReleaseAll();
    writer().WaitStream(wires_.compute, wires_.post_backward);
  }

  void Step() override {
    if (env_.scenario.training.clip_grad_norm && !OffloadsOptimizer(env_)) EmitGradientClipping(env_, wires_.data, parts_, precision().gradients);
    OptimizerLoad load{.elements = parts_, .tensors = Tensors(), .weights = precision().parameters, .gradients = precision().gradients, .copy = {}};
    if (precision().master_weights) {
      load.weights = *precision().master_weights;
      load.copy = precision().parameters;
    }
    if (OffloadsOptimizer(env_)) {
      load.gradients = precision().optimizer;
      EmitHostOptimizerStep(env_, load);
      const int64_t back = OffloadsParameters(env_) ? parts_ - local_ : parts_;
      writer().Wait(wires_.compute, CopyFromHost(env_, wires_.compute, "weights from the host", SizeOf(precision().parameters, back)));
    } else {
      EmitOptimizerStep(env_, load);
    }
    GatherPersistent();
    writer().HostWork(HostCall::kZeroGrad, static_cast<int>(Tensors()));
  }

 protected:
  [[nodiscard]] MemoryCategory gradient_category() const override { return MemoryCategory::kUnshardedGradients; }
  void Accumulate(uint32_t parameter, BufferId incoming) override {
    const int64_t n = All()[parameter].elements;
    // Its copies are other ranks: experts' gradients and the others' do not travel together.
    const bool apart = !bucket_.empty() && All()[bucket_.front().parameter].expert != All()[parameter].expert;
    if (in_bucket_ > 0 && (apart || in_bucket_ + n > spec().reduce_bucket_size)) Flush();
    BufferId own = incoming;
    if (!Synchronous() && in_bucket_ + n < spec().reduce_bucket_size) {
      writer().WaitStream(wires_.post_backward, wires_.compute);
      Copy(wires_.post_backward, "gradient to bucket", n, precision().parameters, precision().parameters, HostCall::kDdpHook);
      writer().Free(incoming, writer().Record(wires_.post_backward));
      own = kNoBuffer;
    }
    in_bucket_ += n;
    bucket_.push_back({parameter, own});
    reads_ = writer().Record(wires_.compute);
  }

 private:
  struct Gradient {
    uint32_t parameter = 0;
    BufferId buffer = kNoBuffer;  // none: in the bucket
  };

  [[nodiscard]] const std::vector<ParameterInfo>& All() const { return env_.parameters.all(); }
  [[nodiscard]] int64_t Tensors() const { return static_cast<int64_t>(All().size()); }
  [[nodiscard]] const Channel& Copies(uint32_t parameter) const { return wires_.Copies(All()[parameter].expert); }
  [[nodiscard]] bool Divided(uint32_t parameter) const {
    return All()[parameter].elements >= kPersistentElements && Copies(parameter).size > 1;
  }
  [[nodiscard]] bool Synchronous() const { return spec().zero3_implementation == Zero3Implementation::kSynchronous; }
  void Hold(DType type, int64_t elements, MemoryCategory category, const char* name) {
    writer().Allocate(SizeOf(type, elements), category, wires_.compute, name);
  }

  void Begin(uint32_t use) {
    if (env_.model.uses[use].block) writer().HostWork(HostCall::kFsdp1Unit);
    coordinator_.Enter(modules_.Of(use, kWholeUse));
  }
  void End(uint32_t use) {
    coordinator_.Leave(modules_.Of(use, kWholeUse));
    if (env_.model.uses[use].block) writer().HostWork(HostCall::kFsdp1Unit);
  }

  void Flush() {
    if (bucket_.empty()) return;
    if (Synchronous()) {
      AllReduceBucket();
    } else {
      ReduceScatterBucket();
    }
    in_bucket_ = 0;
  }

  void Free(const std::vector<Gradient>& gradients) {
    for (const Gradient& gradient : gradients) {
      if (gradient.buffer != kNoBuffer) writer().Free(gradient.buffer, writer().Record(wires_.post_backward));
    }
  }

  void ReduceScatterBucket() {
    const StreamId stream = wires_.post_backward;
    const Channel& copies = Copies(bucket_.front().parameter);
    const DType type = precision().parameters;
    const DType travels = precision().gradient_reduction;
    int64_t padded = 0;
    for (const Gradient& gradient : bucket_) padded += coordinator_.Partition(gradient.parameter) * copies.size;
    if (reductions_.size() == kReductionsAhead) {
      writer().HostWait(reductions_.front());
      reductions_.pop_front();
    }
    writer().Wait(stream, std::exchange(reads_, {}));
    BufferId flat = kNoBuffer;
    if (copies.size > 1) {
      HostLoop(writer(), HostCall::kView, copies.size * (static_cast<int64_t>(bucket_.size()) + 1));  // slices, torch.chunk
      if (bucket_.size() > 1 || padded != in_bucket_ || travels != type) {
        flat = writer().Allocate(SizeOf(travels, padded), MemoryCategory::kCommunicationBuffers, stream, "gradients by rank");
        Copy(stream, "gradients by rank", padded, travels, type, HostCall::kOperator);
      }
      Scale(stream, "divide gradients", padded, travels);
      const CollectiveCall call{.op = CollectiveOp::kReduceScatter, .communicator = copies.communicator,
                                .bytes = SizeOf(travels, padded), .dtype = travels};
      writer().Wait(stream, writer().CollectiveFrom(stream, copies.stream, "reduce_scatter", call));
    }
    for (const Gradient& gradient : bucket_) PlacePart(coordinator_.Partition(gradient.parameter));
    if (flat != kNoBuffer) writer().Free(flat);
    Free(std::exchange(bucket_, {}));
    reductions_.push_back(writer().Record(stream));
  }

  // __partition_grads. With an offloaded optimizer: to its 16-bit place in pinned memory, back to the device for the norm,
  // and as fp32 to the host. That last copy_ blocks, so the host enqueues no further backward until the bucket has been reduced.
  void PlacePart(int64_t elements) {
    const StreamId stream = wires_.post_backward;
    if (!OffloadsOptimizer(env_)) {
      if (first_) {
        Copy(stream, "gradient to partition", elements, precision().gradients, precision().gradient_reduction, HostCall::kOperator);
      } else {
        Add(stream, "add to gradient partition", elements, precision().gradients, precision().gradient_reduction, HostCall::kOperator);
      }
      return;
    }
    const Bytes narrow = SizeOf(precision().gradients, elements);
    writer().HostWork(HostCall::kOperator, kChecks);
    writer().Wait(stream, CopyToHost(env_, stream, "gradient partition to the host", narrow));
    writer().Wait(stream, CopyFromHost(env_, stream, "gradient partition from the host", narrow));
    const TaskRef copied = CopyToHost(env_, stream, "fp32 gradient partition to the host", SizeOf(precision().optimizer, elements));
    if (copied.valid()) writer().HostWait({copied});
  }

  // buffered_reduce_fallback, allreduce_and_copy.
  void AllReduceBucket() {
    const StreamId stream = wires_.post_backward;
    const Channel& copies = Copies(bucket_.front().parameter);
    const DType type = precision().parameters;
    writer().HostWait(writer().Record(stream));
    TakeParts();
    writer().Wait(stream, std::exchange(reads_, {}));
    const BufferId flat = writer().Allocate(SizeOf(type, in_bucket_), MemoryCategory::kCommunicationBuffers, stream, "flat gradients");
    Copy(stream, "flatten gradients", in_bucket_, type, type, HostCall::kOperator);
    Scale(stream, "divide gradients", in_bucket_, type);
    if (copies.size > 1) {
      const CollectiveCall call{.op = CollectiveOp::kAllReduce, .communicator = copies.communicator,
                                .bytes = SizeOf(type, in_bucket_), .dtype = type};
      writer().Wait(stream, writer().CollectiveFrom(stream, copies.stream, "all_reduce", call));
    }
    Copy(stream, "unflatten gradients", in_bucket_, type, type, HostCall::kOperator);
    writer().Free(flat);
    reduced_ = std::exchange(bucket_, {});
  }

  // partition_previous_reduced_grads.
  void TakeParts() {
    for (const Gradient& gradient : reduced_) PlacePart(coordinator_.Partition(gradient.parameter));
    Free(std::exchange(reduced_, {}));
  }

  void GatherPersistent() {
    if (persistent_.empty()) return;
    const DType type = precision().parameters;
    int64_t together = 0;
    for (const uint32_t parameter : persistent_) {
      const Channel& copies = Copies(parameter);
      const int64_t padded = coordinator_.Partition(parameter) * copies.size;
      together += padded;
      if (!Synchronous()) GatherOne(copies, SizeOf(type, padded));
    }
    const int64_t ranks = wires_.data.size;
    if (Synchronous()) {
      GatherOne(wires_.data, SizeOf(type, together));
      // replicated_tensor.view(-1).narrow(...).copy_(partitions[i].narrow(...))
      HostLoop(writer(), HostCall::kView, 3 * ranks * static_cast<int64_t>(persistent_.size()));
      Copy(wires_.compute, "persistent parameters", together, type, type, HostCall::kInner);
      HostLoop(writer(), HostCall::kInner, ranks * static_cast<int64_t>(persistent_.size()));
    }
    writer().Synchronize();
  }
  void GatherOne(const Channel& copies, Bytes bytes) {
    const CollectiveCall call{.op = CollectiveOp::kAllGather, .communicator = copies.communicator, .bytes = bytes, .dtype = precision().parameters};
    writer().Wait(wires_.compute, writer().CollectiveFrom(wires_.compute, copies.stream, "gather persistent parameter", call));
  }

  Modules modules_;
  ParameterCoordinator coordinator_;
  std::vector<uint32_t> persistent_;
  int64_t whole_ = 0;                // elements that are never released
  int64_t local_ = 0;                // of this rank's partitions of the others
  int64_t parts_ = 0;                // that this rank updates
  std::vector<Gradient> bucket_;
  int64_t in_bucket_ = 0;
  std::vector<Gradient> reduced_;    // synchronous: the bucket before
  Event reads_;                      // until when the bucket's gradients are written
  std::deque<Event> reductions_;
};

}  // namespace

std::unique_ptr<DataParallel> MakeZero3(Environment& environment) { return std::make_unique<Zero3>(environment); }

}  // namespace simulate
