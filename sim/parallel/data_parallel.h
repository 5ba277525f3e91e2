// DataParallel - what a data-parallel wrapper adds to a plain training loop, as the hooks that PyTorch
// calls: before and after a module's forward and backward, and when a parameter's gradient is complete.
//
// The training loop (training_loop.h, pipeline.h) walks the model and calls these; each strategy is one
// file: replicated.cc (one GPU, DistributedDataParallel), fsdp1.cc, fsdp2.cc, zero.cc, zero3.cc (DeepSpeed's
// ZeRO-1/2/3), megatron.cc (Megatron-LM, with its distributed optimizer).
#pragma once

#include <memory>
#include <vector>

#include "sim/parallel/environment.h"

namespace simulate {

class DataParallel {
 public:
  explicit DataParallel(Environment& environment);
  virtual ~DataParallel() = default;
  DataParallel(const DataParallel&) = delete;
  DataParallel& operator=(const DataParallel&) = delete;

  // Before the step: what is allocated for good.
  virtual void AllocateState() = 0;

  // A micro-step is one forward and backward of one micro-batch; gradients are communicated in the last
  // (DDP's no_sync) or in each (FSDP).
  void SetMicroStep(int64_t index, int64_t count) { first_ = index == 0; last_ = index + 1 == count; }

  virtual void BeginForward() {}                     // the root module's pre-forward hook
  virtual void BeforeForward(uint32_t /*use*/) {}
  virtual void AfterForward(uint32_t /*use*/) {}
  virtual void BeforeOperator(uint32_t /*use*/, uint32_t /*op*/) {}  // around its kernels: forward, recomputed or backward
  virtual void AfterOperator(uint32_t /*use*/, uint32_t /*op*/) {}
  virtual void EndForward() {}
  virtual void BeginBackward() {}                    // the root module's pre-backward hook
  virtual void BeforeBackward(uint32_t /*use*/) {}
  virtual void AfterBackward(uint32_t /*use*/) {}
  virtual void EndBackward() {}                      // the callback queued on the autograd engine
  virtual void FinishGradients() {}                  // once a step, before anything reads the reduced gradients
  virtual void Step() = 0;                           // clipping, optimizer, zero_grad

  // Around the kernels that write a parameter's gradient.
  void AllocateGradient(uint32_t use, uint32_t index);
  void GradientReady(uint32_t use, uint32_t index);

 protected:
  // Category of a gradient that autograd has just made.
  [[nodiscard]] virtual MemoryCategory gradient_category() const { return MemoryCategory::kGradients; }
  // Whether weight-gradient products add into a buffer that exists, so that no gradient is allocated.
  [[nodiscard]] virtual bool AddedByProduct(uint32_t /*parameter*/) const { return false; }
  // AccumulateGrad: all contributions of this micro-step are in `incoming`, which is now the callee's.
  virtual void Accumulate(uint32_t parameter, BufferId incoming) = 0;

  // dst += src over `elements`, on `stream`.
  void Add(StreamId stream, const char* name, int64_t elements, DType destination, DType source, HostCall host);
  // dst = src (cast where the types differ).
  void Copy(StreamId stream, const char* name, int64_t elements, DType destination, DType source, HostCall host,
            MemoryAccess access = MemoryAccess::kElementwise);
  // dst *= factor.
  void Scale(StreamId stream, const char* name, int64_t elements, DType type);

  [[nodiscard]] StepWriter& writer() { return env_.writer; }
  [[nodiscard]] const PrecisionSpec& precision() const { return env_.precision(); }
  [[nodiscard]] const DataParallelSpec& spec() const { return env_.scenario.parallelism.data; }

  Environment& env_;
  const Wiring& wires_;
  bool first_ = true;
  bool last_ = true;

 private:
  struct Incoming {
    BufferId buffer = kNoBuffer;   // the sum so far
    BufferId latest = kNoBuffer;   // the contribution that is being written
    int contributions = 0;
  };
  std::vector<Incoming> incoming_;  // by parameter
};

// The wrapper that the scenario asks for.
[[nodiscard]] std::unique_ptr<DataParallel> MakeDataParallel(Environment& environment);

std::unique_ptr<DataParallel> MakeReplicated(Environment& environment);
std::unique_ptr<DataParallel> MakeFsdp1(Environment& environment);
std::unique_ptr<DataParallel> MakeFsdp2(Environment& environment);
std::unique_ptr<DataParallel> MakeZero(Environment& environment);
std::unique_ptr<DataParallel> MakeZero3(Environment& environment);
std::unique_ptr<DataParallel> MakeMegatron(Environment& environment);

}  // namespace simulate
