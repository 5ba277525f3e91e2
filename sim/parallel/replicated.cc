// One GPU, and torch.nn.parallel.DistributedDataParallel (Li et al., VLDB 2020; torch/csrc/distributed/c10d/
// reducer.cpp): every rank holds everything; gradients are averaged in buckets while the backward runs.
//
//   Buckets        parameters in the order in which their gradients become ready; a bucket is closed once it holds at
//                  least its cap: 1 MiB for the first, 25 MiB for the others (compute_bucket_assignment_by_size). That
//                  is from the second iteration on: the first has one bucket for everything
//                  (torch/nn/parallel/distributed.py, _ddp_init_helper: bucket_size_limits = [sys.maxsize]), and what
//                  becomes of it is engine/memory_replay.h's.
//   Ready          each gradient is divided by the world size into its place in the bucket; a full bucket is
//                  all_reduced at once, on NCCL's stream.
//   End            the compute stream waits for all of it; then the averages are copied back into the
//                  gradients, unless gradient_as_bucket_view made those views of the bucket.
//   no_sync        all micro-steps but the last only accumulate.
#include <algorithm>
#include <utility>

#include "sim/parallel/buckets.h"
#include "sim/parallel/data_parallel.h"
#include "sim/parallel/optimizer.h"

namespace simulate {

namespace {

class Replicated : public DataParallel {
 public:
  explicit Replicated(Environment& environment)
      : DataParallel(environment), wrapped_(wires_.data.size > 1), gradients_(environment.parameters.all().size(), kNoBuffer) {
    if (!wrapped_) return;
    buckets_ = BucketsByCopies(environment, SizesOf(environment), {spec().first_bucket_bytes, spec().bucket_bytes});
    bucket_of_.resize(gradients_.size());
    arrived_.resize(buckets_.size(), 0);
    for (uint32_t b = 0; b < buckets_.size(); ++b) {
      for (const uint32_t parameter : buckets_[b]) bucket_of_[parameter] = b;
    }
  }

  void AllocateState() override {
    StepWriter& w = writer();
    const int64_t n = env_.parameters.trained_elements();
    for (const ParameterInfo& p : env_.parameters.all()) {
      const Bytes bytes = p.stored > Bytes(0) ? p.stored : SizeOf(precision().parameters, p.elements);
      w.Allocate(bytes, MemoryCategory::kParameters, wires_.compute, "parameter");
    }
    if (precision().master_weights) {
      w.Allocate(SizeOf(*precision().master_weights, n), MemoryCategory::kMasterWeights, wires_.compute, "master weights");
    }
    for (const ParameterInfo& p : env_.parameters.all()) {
      if (!p.frozen) AllocateOptimizerState(w, env_.scenario.training, p.elements, wires_.compute);
    }
    if (!env_.scenario.training.set_to_none && !(wrapped_ && spec().gradient_as_bucket_view)) {
      for (uint32_t p = 0; p < gradients_.size(); ++p) {  // the first step's gradients stay
        if (env_.parameters.all()[p].frozen) continue;
        gradients_[p] = w.Allocate(SizeOf(precision().parameters, Elements(p)), MemoryCategory::kGradients, wires_.compute, "gradient", Life::kLaterSteps);
      }
    }
    if (!wrapped_) return;
    first_bucket_ = w.Allocate(SizeOf(precision().parameters, n), MemoryCategory::kCommunicationBuffers, wires_.compute,
                               "first gradient bucket", Life::kFirstStep);
    for (const auto& bucket : buckets_) {
      w.Allocate(SizeOf(precision().parameters, ElementsOf(bucket)), MemoryCategory::kCommunicationBuffers,
                 wires_.compute, "gradient bucket", Life::kLaterSteps);
    }
  }

  void FinishGradients() override {
    if (!wrapped_) return;
    StepWriter& w = writer();
    if (!spec().overlap) {
      for (uint32_t b = 0; b < buckets_.size(); ++b) Reduce(b);
    }
    for (uint32_t b = 0; b < buckets_.size(); ++b) {
      w.Wait(wires_.compute, reduced_[b]);
      if (spec().gradient_as_bucket_view) continue;
      for (const uint32_t parameter : buckets_[b]) {
        Copy(wires_.compute, "bucket to gradient", Elements(parameter), precision().parameters, precision().parameters,
             HostCall::kInner);
      }
    }
  }

  void Step() override {
    const int64_t n = env_.parameters.trained_elements();
    const int64_t tensors = env_.parameters.trained_tensors();
    if (env_.scenario.training.clip_grad_norm) EmitGradientClipping(env_, Channel{}, n, precision().parameters);
    OptimizerLoad load{.elements = n, .tensors = tensors, .weights = precision().parameters, .gradients = precision().parameters, .copy = {}};
    if (precision().master_weights) {
      load.weights = *precision().master_weights;
      load.copy = precision().parameters;
    }
    EmitOptimizerStep(env_, load);
    writer().HostWork(HostCall::kZeroGrad, static_cast<int>(tensors));
    if (!env_.scenario.training.set_to_none) {
      EmitZeroGradients(env_, precision().parameters, n);
      return;
    }
    for (BufferId& gradient : gradients_) {
      if (gradient != kNoBuffer) writer().Free(gradient);
      gradient = kNoBuffer;
    }
  }

 protected:
  void Accumulate(uint32_t parameter, BufferId incoming) override {
    const DType type = precision().parameters;
    const int64_t n = Elements(parameter);
    const bool view = wrapped_ && spec().gradient_as_bucket_view;
    if (view) {  // the gradient lives in its bucket: the first micro-step copies into it, later ones add
      if (first_ && env_.scenario.training.set_to_none) {
        Copy(wires_.compute, "gradient to bucket", n, type, type, HostCall::kDdpHook);
      } else {
        Add(wires_.compute, "accumulate gradient", n, type, type, HostCall::kDdpHook);
      }
      writer().Free(incoming);
    } else if (gradients_[parameter] == kNoBuffer) {
      gradients_[parameter] = incoming;  // AccumulateGrad takes the fresh tensor over
    } else {
      Add(wires_.compute, "accumulate gradient", n, type, type, HostCall::kAutogradNode);
      writer().Free(incoming);
    }
    if (!wrapped_) return;
    if (last_ && !view) Copy(wires_.compute, "gradient to bucket", n, type, type, HostCall::kDdpHook);
    if (!last_) return;
    const uint32_t bucket = bucket_of_[parameter];
    if (++arrived_[bucket] == buckets_[bucket].size() && spec().overlap) Reduce(bucket);
  }

 private:
  [[nodiscard]] int64_t Elements(uint32_t parameter) const { return env_.parameters.all()[parameter].elements; }
  [[nodiscard]] int64_t ElementsOf(const std::vector<uint32_t>& bucket) const {
    int64_t sum = 0;
    for (const uint32_t parameter : bucket) sum += Elements(parameter);
    return sum;
  }
  static std::vector<Bytes> SizesOf(const Environment& env) {
    std::vector<Bytes> sizes;
    for (const auto& p : env.parameters.all()) sizes.push_back(SizeOf(env.precision().parameters, p.elements));
    return sizes;
  }

  void Reduce(uint32_t bucket) {
    reduced_.resize(buckets_.size());
    if (first_bucket_ != kNoBuffer) writer().Free(std::exchange(first_bucket_, kNoBuffer));
    const Channel& copies = wires_.Copies(env_.parameters.all()[buckets_[bucket].front()].expert);
    if (copies.size == 1) return;
    const CollectiveCall call{.op = CollectiveOp::kAllReduce, .communicator = copies.communicator,
                              .bytes = SizeOf(precision().parameters, ElementsOf(buckets_[bucket])),
                              .dtype = precision().parameters};
    reduced_[bucket] = writer().CollectiveFrom(wires_.compute, copies.stream, "gradient all_reduce", call);
  }

  bool wrapped_;
  std::vector<BufferId> gradients_;
  std::vector<std::vector<uint32_t>> buckets_;
  std::vector<uint32_t> bucket_of_;
  std::vector<size_t> arrived_;     // gradients that have arrived, by bucket
  std::vector<TaskRef> reduced_;
  BufferId first_bucket_ = kNoBuffer;
};

}  // namespace

std::unique_ptr<DataParallel> MakeReplicated(Environment& environment) {
  return std::make_unique<Replicated>(environment);
}

}  // namespace simulate
