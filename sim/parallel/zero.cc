// DeepSpeed's ZeRO-1 and ZeRO-2 (Rajbhandari et al., SC 2020; deepspeed/runtime/zero/stage_1_and_2.py): 16-bit weights
// on every rank; the optimizer's state and fp32 master weights divided by the ranks, in stage 2 the gradients too.
//
//   Gradients   are collected into buckets (reduce_bucket_size, 5e8 elements) in the order in which they become ready.
//               Stage 2 reduces every full bucket at once, in every micro-step, and frees the gradients; stage 1 keeps
//               them and reduces at the end of the last micro-step. Either way each rank ends with its part.
//   Weights     the optimizer updates this rank's part; then all ranks gather all weights, in buckets of the same size.
//   State       per weight over d ranks (mixed precision, Adam): 16 bytes undivided, 4 + 12/d, 2 + 14/d, and 16/d
//               (stage 3, zero3.cc): 120, 31.4, 16.6 and 1.9 GB for 7.5e9 weights on 64 ranks.
#include <algorithm>
#include <utility>

#include "sim/parallel/buckets.h"
#include "sim/parallel/data_parallel.h"
#include "sim/parallel/offload.h"

namespace simulate {

namespace {

constexpr int64_t kBucketElements = 500'000'000;  // reduce_bucket_size, allgather_bucket_size: DeepSpeed's defaults

class Zero : public DataParallel {
 public:
  explicit Zero(Environment& environment)
      : DataParallel(environment), divides_gradients_(spec().strategy == DataStrategy::kZero2),
        gradients_(environment.parameters.all().size(), kNoBuffer), bucket_of_(gradients_.size(), 0) {
    std::vector<Bytes> sizes;
    for (const auto& p : environment.parameters.all()) sizes.emplace_back(p.elements);
    buckets_ = BucketsByCopies(environment, sizes, {.first_bytes = kBucketElements, .bytes = kBucketElements});
    for (uint32_t b = 0; b < buckets_.size(); ++b) {
      elements_.push_back(0);
      for (const uint32_t parameter : buckets_[b]) {
        bucket_of_[parameter] = b;
        elements_[b] += environment.parameters.all()[parameter].elements;
      }
      elements_[b] = RoundUp(elements_[b], Copies(b).size);
    }
    arrived_.resize(buckets_.size(), 0);
    reduced_.resize(buckets_.size());
  }

  void AllocateState() override {
    for (const ParameterInfo& p : env_.parameters.all()) Hold(precision().parameters, p.elements, MemoryCategory::kParameters, "parameter");
    if (OffloadsOptimizer(env_)) {
      HoldOptimizerOnHost(env_, Local(), Masters(), precision().optimizer);
      return;
    }
    if (precision().master_weights) Hold(*precision().master_weights, Local(), MemoryCategory::kMasterWeights, "master weights");
    writer().Allocate(OptimizerStateBytes(env_.scenario.training, Local()), MemoryCategory::kOptimizerState,
                      wires_.compute, "optimizer state");
    if (divides_gradients_) Hold(precision().gradients, Local(), MemoryCategory::kGradients, "gradient partition");
  }

  void BeginBackward() override { std::ranges::fill(arrived_, size_t{0}); }
  void FinishGradients() override {
    for (uint32_t b = 0; b < buckets_.size(); ++b) {
      if (!divides_gradients_ && !spec().reduce_scatter) {
        AllReduce(b);
        continue;
      }
      if (!divides_gradients_) Reduce(b);
      writer().Wait(wires_.compute, reduced_[b]);
      if (!divides_gradients_ && OffloadsOptimizer(env_)) PartitionToHost(b);
    }
    if (bucket_ != kNoBuffer) writer().Free(std::exchange(bucket_, kNoBuffer));
  }

  void Step() override {
    if (env_.scenario.training.clip_grad_norm && !OffloadsOptimizer(env_)) EmitGradientClipping(env_, wires_.data, Local(), precision().gradients);
    OptimizerLoad load{.elements = Local(), .tensors = static_cast<int64_t>(gradients_.size()), .weights = precision().parameters, .gradients = precision().gradients, .copy = {}};
    if (precision().master_weights) {
      load.weights = *precision().master_weights;
      load.copy = precision().parameters;
    }
    if (OffloadsOptimizer(env_)) {
      load.gradients = precision().optimizer;
      EmitHostOptimizerStep(env_, load);
      writer().Wait(wires_.compute, CopyFromHost(env_, wires_.compute, "weights from the host", SizeOf(precision().parameters, Local())));
    } else {
      EmitOptimizerStep(env_, load);
    }
    for (uint32_t b = 0; b < buckets_.size(); ++b) {
      if (Copies(b).size == 1) continue;
      writer().Wait(wires_.compute, Communicate(CollectiveOp::kAllGather, "weight all_gather", precision().parameters, b));
    }
    writer().HostWork(HostCall::kZeroGrad, static_cast<int>(gradients_.size()));
    for (BufferId& gradient : gradients_) {
      if (gradient != kNoBuffer) writer().Free(gradient);
      gradient = kNoBuffer;
    }
  }

 protected:
  void Accumulate(uint32_t parameter, BufferId incoming) override {
    const int64_t n = env_.parameters.all()[parameter].elements;
    const DType type = precision().parameters;
    const uint32_t bucket = bucket_of_[parameter];
    if (!divides_gradients_) {  // stage 1: an ordinary gradient until the end of the last micro-step
      if (gradients_[parameter] == kNoBuffer) {
        gradients_[parameter] = incoming;
      } else {
        Add(wires_.compute, "accumulate gradient", n, type, type, HostCall::kAutogradNode);
        writer().Free(incoming);
      }
      return;
    }
    if (bucket_ == kNoBuffer) {
      bucket_ = writer().Allocate(SizeOf(type, *std::ranges::max_element(elements_)), MemoryCategory::kCommunicationBuffers,
                                  wires_.compute, "gradient bucket");
    }
    Copy(wires_.compute, "gradient to bucket", n, type, type, HostCall::kDdpHook);
    writer().Free(incoming);
    if (++arrived_[bucket] < buckets_[bucket].size()) return;
    Reduce(bucket);
    if (!spec().overlap) writer().Wait(wires_.compute, reduced_[bucket]);
    if (OffloadsOptimizer(env_)) {
      PartitionToHost(bucket);
      return;
    }
    Copy(Copies(bucket).size > 1 ? Copies(bucket).stream : wires_.compute, "bucket to partition", elements_[bucket] / Copies(bucket).size, precision().gradients, type, HostCall::kOperator);
  }

 private:
  [[nodiscard]] DType Masters() const { return precision().master_weights.value_or(precision().parameters); }
  // async_inplace_copy_grad_to_fp32_buffer_from_gpu: widened on the device, then copied.
  void PartitionToHost(uint32_t bucket) {
    const StreamId stream = Copies(bucket).size > 1 ? Copies(bucket).stream : wires_.compute;
    CopyToHost(env_, stream, "gradient partition to the host", SizeOf(precision().optimizer, elements_[bucket] / Copies(bucket).size));
  }
  // Who holds copies of this bucket's parameters.
  [[nodiscard]] const Channel& Copies(size_t bucket) const {
    return wires_.Copies(env_.parameters.all()[buckets_[bucket].front()].expert);
  }
  [[nodiscard]] int64_t Local() const { return DividedElements(env_); }
  void Hold(DType type, int64_t elements, MemoryCategory category, const char* name) {
    writer().Allocate(SizeOf(type, elements), category, wires_.compute, name);
  }
  TaskRef Communicate(CollectiveOp op, const char* name, DType type, uint32_t bucket) {
    const Channel& copies = Copies(bucket);
    const CollectiveCall call{.op = op, .communicator = copies.communicator, .bytes = SizeOf(type, elements_[bucket]), .dtype = type};
    return writer().CollectiveFrom(wires_.compute, copies.stream, name, call);
  }
  void Reduce(uint32_t bucket) {
    if (Copies(bucket).size == 1) return;
    reduced_[bucket] = Communicate(CollectiveOp::kReduceScatter, "gradient reduce_scatter", precision().gradient_reduction, bucket);
  }

  // allreduce_no_retain: the bucket's gradients flattened and divided by the ranks, cast to the type that travels, summed,
  // and copied back, all on the compute stream.
  void AllReduce(uint32_t bucket) {
    if (Copies(bucket).size == 1) return;
    const int64_t elements = elements_[bucket];
    const DType type = precision().parameters, travels = precision().gradient_reduction;
    const BufferId flat = writer().Allocate(SizeOf(type, elements), MemoryCategory::kCommunicationBuffers, wires_.compute, "flat gradients");
    Copy(wires_.compute, "flatten gradients", elements, type, type, HostCall::kOperator);
    Scale(wires_.compute, "divide gradients", elements, type);
    BufferId wide = kNoBuffer;
    if (travels != type) {
      wide = writer().Allocate(SizeOf(travels, elements), MemoryCategory::kCommunicationBuffers, wires_.compute, "cast gradients");
      Copy(wires_.compute, "cast gradients", elements, travels, type, HostCall::kOperator);
    }
    writer().Wait(wires_.compute, Communicate(CollectiveOp::kAllReduce, "gradient all_reduce", travels, bucket));
    if (wide != kNoBuffer) {
      Copy(wires_.compute, "gradients back", elements, type, travels, HostCall::kOperator);
      writer().Free(wide);
    }
    Copy(wires_.compute, "unflatten gradients", elements, type, type, HostCall::kOperator);
    writer().Free(flat);
  }

  bool divides_gradients_;
  std::vector<BufferId> gradients_;   // stage 1
  BufferId bucket_ = kNoBuffer;       // stage 2: contiguous_gradients
  std::vector<std::vector<uint32_t>> buckets_;
  std::vector<uint32_t> bucket_of_;
  std::vector<int64_t> elements_;     // by bucket, padded to the ranks
  std::vector<size_t> arrived_;
  std::vector<TaskRef> reduced_;
};

}  // namespace

std::unique_ptr<DataParallel> MakeZero(Environment& environment) {
  if (environment.scenario.parallelism.data.strategy == DataStrategy::kZero3) return MakeZero3(environment);
  return std::make_unique<Zero>(environment);
}

}  // namespace simulate
