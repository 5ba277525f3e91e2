// Megatron-LM's data parallelism (megatron/core/distributed, megatron/core/optimizer): one contiguous gradient
// buffer, cut into buckets in the order in which gradients become ready; with the distributed optimizer (zero1) the
// buckets are reduce_scattered, the optimizer updates its part, and the 16-bit weights are all_gathered.
//
//   Gradients        bf16 weights accumulate into fp32 (arguments.py: bf16 requires accumulate_allreduce_grads_in_fp32)
//                    inside the weight-gradient product (gradient_accumulation_fusion), so no gradient is allocated.
//                    In fp16 only since September 2022 (commit 07916bf): `fused_accumulation: false` adds them one by one.
//                    A precision that is spelled out says its own: NeMo and Aleph Alpha keep them in bf16.
//   Reduction        of a bucket as soon as its last gradient of the last micro-batch is there (overlap_grad_reduce),
//                    or of everything at the end. Buckets of max(40e6, 1e6 x ranks) parameters.
//   Optimizer        gradients to the main weights' fp32, loss scale and overflow in fp16, clipping, Adam in fp32, and the 16-bit
//                    weights from the main ones, each a pass of its own (megatron/optimizer/optimizer.py).
//   Host             a hook per parameter and micro-batch (_make_param_hook), reading the batch, reducing the loss (`host_waits: loss`: and
//                    reading it to look for NaN).
//   Weights          gathered bucket by bucket beside the next step's forward (overlap_param_gather), or after the
//                    optimizer.
//   Beside it              a 16-bit dummy gradient for every shape of a block's matrices (DummyGradients).
//   State per weight distributed over d ranks, bf16: 2 + 4 + 12/d bytes; not distributed: 18. Of an expert's weight d are the
//                    ranks at equal places of different sets of experts (expert data parallel): 1 if there is one set.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "sim/parallel/buckets.h"
#include "sim/parallel/data_parallel.h"
#include "sim/parallel/kernels.h"
#include "sim/parallel/optimizer.h"

namespace simulate {

namespace {

class Megatron : public DataParallel {
 public:
  explicit Megatron(Environment& environment)
      : DataParallel(environment), distributed_(spec().strategy != DataStrategy::kDdp),
        gradient_type_(precision().parameters == DType::kBf16 && precision().name != "custom" ? DType::kFp32
                                                                                              : precision().gradients),
        bucket_of_(environment.parameters.all().size(), 0) {
    const auto& all = environment.parameters.all();
    std::vector<Bytes> sizes;
    for (const auto& p : all) sizes.emplace_back(p.elements);
    const int64_t cap = spec().overlap ? std::max<int64_t>(40'000'000, 1'000'000 * wires_.data.size) : environment.parameters.elements();
    buckets_ = BucketsByCopies(environment, sizes, {.first_bytes = cap, .bytes = cap});
    for (uint32_t b = 0; b < buckets_.size(); ++b) {
      int64_t elements = 0;
      Bytes weights;
      for (const uint32_t parameter : buckets_[b]) {
        bucket_of_[parameter] = b;
        elements += all[parameter].elements;
        weights += SizeOf(WeightType(all[parameter]), all[parameter].elements);
      }
      bucket_elements_.push_back(RoundUp(elements, Copies(b).size));
      bucket_weights_.push_back(Bytes(RoundUp(weights.value(), Copies(b).size)));
    }
    reduced_.resize(buckets_.size());
    gathered_.resize(buckets_.size());
    arrived_.resize(buckets_.size(), 0);
  }

  void AllocateState() override {
    const int64_t n = env_.parameters.elements();
    const auto hold = [&](DType type, int64_t elements, MemoryCategory category, const char* name) {
      writer().Allocate(SizeOf(type, elements), category, wires_.compute, name);
    };
    hold(precision().parameters, n, MemoryCategory::kParameters, "parameters");
    hold(gradient_type_, n, MemoryCategory::kGradients, "gradient buffer");
    hold(precision().parameters, DummyGradients(), MemoryCategory::kGradients, "dummy weight gradients");
    if (precision().master_weights) hold(*precision().master_weights, Local(), MemoryCategory::kMasterWeights, "master weights");
    writer().Allocate(OptimizerStateBytes(env_.scenario.training, Local()), MemoryCategory::kOptimizerState,
                      wires_.compute, "optimizer state");
  }

  void BeginForward() override {
    if (gathering_ || !GathersAhead()) return;
    gathering_ = true;
    for (size_t b = buckets_.size(); b-- > 0;) GatherWeights(b);  // the forward needs the last bucket first
  }
  void BeforeForward(uint32_t use) override {
    const auto last = static_cast<uint32_t>(env_.model.uses.size() - 1);
    if (use == 0 || (use == last && !env_.Owns(0))) ReadBatch();
    if (!gathering_) return;
    for (uint32_t index = 0; index < env_.LayerOf(use).parameters.size(); ++index) {
      TaskRef& gathered = gathered_[bucket_of_[env_.parameters.Id(use, index)]];
      writer().Wait(wires_.compute, gathered);
      gathered = {};
    }
  }

  void AfterForward(uint32_t use) override {
    if (use + 1 != env_.model.uses.size()) return;
    writer().HostWork(HostCall::kOperator, kMaskCalls);
    if (env_.scenario.training.host_waits == HostWaits::kLoss) writer().Synchronize();
    writer().HostWork(HostCall::kOperator, kScaleCalls);
  }

  void FinishGradients() override {
    if (wires_.data.size == 1) return;
    for (uint32_t b = 0; b < buckets_.size(); ++b) {
      if (!reduced_[b].valid()) Reduce(b);
      writer().Wait(wires_.compute, reduced_[b]);
    }
  }

  void Step() override {
    writer().SetPhase(Phase::kOptimizer);
    const TrainingSpec& training = env_.scenario.training;
    const bool main = precision().master_weights.has_value();
    const DType gradients = main ? *precision().master_weights : gradient_type_;
    const BufferId wide = MakeMainGradients(gradients);
    if (training.clip_grad_norm) EmitGradientClipping(env_, distributed_ ? wires_.data : wires_.tensor, Local(), gradients);
    EmitOptimizerStep(env_, {.elements = Local(), .tensors = static_cast<int64_t>(bucket_of_.size()),
                             .weights = main ? gradients : precision().parameters, .gradients = gradients, .copy = {}});
    if (wide != kNoBuffer) writer().Free(wide);
    if (main) Copy(wires_.compute, "main weights to model", Local(), precision().parameters, gradients, HostCall::kInner, MemoryAccess::kMultiTensor);
    if (distributed_ && !GathersAhead() && wires_.data.size > 1) {
      for (size_t b = 0; b < buckets_.size(); ++b) GatherWeights(b);
      for (const TaskRef& gathered : gathered_) writer().Wait(wires_.compute, gathered);
    }
    // zero_grad_buffer: the buffer is kept and filled with zeros
    writer().Kernel(wires_.compute, "zero gradient buffer", ZeroWork(), HostCall::kZeroGrad);
  }

 protected:
  [[nodiscard]] bool AddedByProduct(uint32_t parameter) const override {
    // Without main weights there are no main gradients either: what the products write stays where it is.
    return env_.scenario.training.fused_accumulation && (env_.parameters.all()[parameter].of_product || !precision().master_weights);
  }
  void Accumulate(uint32_t parameter, BufferId incoming) override {
    writer().HostWork(HostCall::kDdpHook);
    if (!AddedByProduct(parameter)) {
      Add(wires_.compute, "accumulate gradient", env_.parameters.all()[parameter].elements, gradient_type_,
          precision().parameters, HostCall::kInner);
      writer().Free(incoming);
    }
    if (!last_ || !spec().overlap || wires_.data.size == 1) return;
    const uint32_t bucket = bucket_of_[parameter];
    if (++arrived_[bucket] == buckets_[bucket].size()) Reduce(bucket);
  }

 private:
  // Float16OptimizerWithFloat16Params (megatron/optimizer/optimizer.py; since 2021): gradients of another type are copied into
  // the main weights' (main_param.grad = model_param.main_grad.float()); those of fp16 are then divided by the loss scale and
  // looked through for overflow, and the host reads the answer (_unscale_main_grads_and_check_for_nan).
  BufferId MakeMainGradients(DType type) {
    BufferId wide = kNoBuffer;
    if (type != gradient_type_) {
      wide = writer().Allocate(SizeOf(type, Local()), MemoryCategory::kWorkspace, wires_.compute, "main gradients");
      Copy(wires_.compute, "main gradients", Local(), type, gradient_type_, HostCall::kOperator, MemoryAccess::kMixedTypes);
    }
    if (precision().compute == DType::kFp16 && precision().master_weights) {
      writer().Kernel(wires_.compute, "unscale gradients",
                      MemoryWork(MemoryAccess::kMultiTensor, type, Local(), SizeOf(type, Local()), SizeOf(type, Local())), HostCall::kOperator);
      writer().Synchronize();
    }
    return wide;
  }

  // pretrain_gpt.py: get_batch on the first and the last stage (broadcast_data, get_ltor_masks_and_position_ids), loss_func
  // on the last. Their tensors are small: only the host notices.
  static constexpr int kBatchCalls = 12;
  static constexpr int kMaskCalls = 5;   // until the loss is a number that isnan may be asked of
  static constexpr int kScaleCalls = 7;  // tokens counted, what is reported put together, the loss divided
  void ReadBatch() {
    writer().HostWork(HostCall::kOperator, kBatchCalls);
    if (wires_.tensor.size > 1) writer().HostWork(HostCall::kCollective, 2);
  }

  [[nodiscard]] int64_t Local() const {
    return distributed_ ? DividedElements(env_) : env_.parameters.elements();
  }
  // Who holds copies of this bucket's parameters.
  [[nodiscard]] const Channel& Copies(size_t bucket) const {
    return wires_.Copies(env_.parameters.all()[buckets_[bucket].front()].expert);
  }
  // What stands in for the gradients that products add to the buffer: autograd wants a tensor of the weight's shape, and
  // Transformer Engine keeps one for every shape (get_dummy_wgrad in transformer_engine/pytorch/module/base.py): those of a
  // block's matrices, whose shapes recur in every block; experts have one each (module/grouped_linear.py).
  [[nodiscard]] int64_t DummyGradients() const {
    std::set<std::pair<std::string, int64_t>> shapes;
    for (const uint32_t use : env_.uses) {
      const Layer& layer = env_.LayerOf(use);
      if (!env_.model.uses[use].block) continue;
      for (const Operator& op : layer.operators) {
        if (!op.linear || op.parameters.empty()) continue;
        const Parameter& weight = layer.parameters[op.parameters.front()];
        const int64_t copies = weight.expert ? env_.scenario.model.experts.num_local_experts / env_.scenario.parallelism.expert : 1;
        shapes.emplace(weight.name, weight.elements / copies);
      }
    }
    int64_t sum = 0;
    for (const auto& [name, elements] : shapes) sum += elements;
    return sum;
  }
  [[nodiscard]] bool GathersAhead() const { return distributed_ && spec().overlap && wires_.data.size > 1; }
  [[nodiscard]] KernelWork ZeroWork() const {
    KernelWork work;
    work.dtype = gradient_type_;
    work.rows = 1;
    work.columns = env_.parameters.elements();
    work.written = SizeOf(gradient_type_, work.columns);
    return work;
  }

  void Reduce(uint32_t bucket) {
    const Channel& copies = Copies(bucket);
    if (copies.size == 1) return;
    const CollectiveCall call{.op = distributed_ ? CollectiveOp::kReduceScatter : CollectiveOp::kAllReduce,
                              .communicator = copies.communicator,
                              .bytes = SizeOf(gradient_type_, bucket_elements_[bucket]), .dtype = gradient_type_};
    reduced_[bucket] = writer().CollectiveFrom(wires_.compute, copies.stream,
                                               distributed_ ? "gradient reduce_scatter" : "gradient all_reduce", call);
  }

  // Transformer Engine's fp8 weights are gathered as they are (fp8_param_gather, which NeMo and Megatron-Bridge set).
  [[nodiscard]] DType WeightType(const ParameterInfo& parameter) const {
    return precision().fp8_matmuls && parameter.block && parameter.of_product ? DType::kFp8 : precision().parameters;
  }
  void GatherWeights(size_t bucket) {
    const Channel& copies = Copies(bucket);
    if (copies.size == 1) return;
    const CollectiveCall call{.op = CollectiveOp::kAllGather, .communicator = copies.communicator,
                              .bytes = bucket_weights_[bucket], .dtype = precision().parameters};
    gathered_[bucket] = writer().CollectiveFrom(wires_.compute, copies.stream, "weight all_gather", call);
  }

  bool distributed_;
  DType gradient_type_;
  std::vector<std::vector<uint32_t>> buckets_;
  std::vector<uint32_t> bucket_of_;
  std::vector<int64_t> bucket_elements_;
  std::vector<Bytes> bucket_weights_;  // as they are gathered
  std::vector<size_t> arrived_;
  std::vector<TaskRef> reduced_;
  std::vector<TaskRef> gathered_;
  bool gathering_ = false;
};

}  // namespace

std::unique_ptr<DataParallel> MakeMegatron(Environment& environment) { return std::make_unique<Megatron>(environment); }

}  // namespace simulate
