// LayerRunner - runs one use of a layer for one micro-batch: turns the events of model/liveness.h into
// kernels on the compute stream, allocations and frees, and calls the data-parallel hooks in between.
//
// Checkpointing (torch.utils.checkpoint, non-reentrant): a checkpointed block's forward keeps only its
// input; its backward recomputes the forward, keeping what autograd saves, and then runs as usual.
// Checkpointing by operators also keeps what some of them made, and recomputes the others.
// Selective checkpointing drops the attention core's tensors only (Korthikanti et al. 2022, section 5).
//
// Weight gradients can be put off: to a later call of Weight (zero-bubble pipelines), or until the backward
// collective of a column-parallel region has been issued, which they then overlap (Megatron-LM's
// LinearWithGradAccumulationAndAsyncCommunication).
//
// Storage between uses: the hidden state moves from one use to the next, and so does its gradient on the
// way back; other outputs (encoder output, shared position bias) stay with their producer and collect
// their gradient from all consumers.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "sim/model/liveness.h"
#include "sim/parallel/data_parallel.h"
#include "sim/parallel/environment.h"

namespace simulate {

// Which uses of the model are recomputed as a whole, and how their forwards and recomputations run.
[[nodiscard]] std::vector<bool> CheckpointedUses(const Environment& environment);
[[nodiscard]] ForwardMode ForwardModeOf(const TrainingSpec& training, bool checkpointed);
[[nodiscard]] ForwardMode RecomputeModeOf(const TrainingSpec& training);

class LayerRunner {
 public:
  LayerRunner(Environment& environment, DataParallel& data_parallel);

  void Forward(int64_t micro_batch, uint32_t use);
  // After the last forward of a micro-batch on this rank: autocast's cache of weights is emptied.
  void EndForward(int64_t micro_batch);
  // `split`: leaves the weight gradients, and what they need, for Weight (zero-bubble pipelines).
  void Backward(int64_t micro_batch, uint32_t use, bool split = false);
  void Weight(int64_t micro_batch, uint32_t use);
  // What outlives a step: causal masks that blocks keep, and the outputs that a trainer with metrics keeps of the last
  // micro-batch (Composer's state.outputs).
  void AllocateState();
  // The engine's buffers of outputs (pipeline.kept_outputs) are emptied when the next step begins; a trainer's are not.
  void FreeKeptOutputs();

  // Ends of a pipeline stage: the hidden state and its gradient come from and go to other ranks.
  void SetInput(int64_t micro_batch, uint32_t use, BufferId hidden);
  [[nodiscard]] BufferId TakeOutput(int64_t micro_batch, uint32_t use);
  void SetOutputGradient(int64_t micro_batch, uint32_t use, BufferId gradient);
  [[nodiscard]] BufferId TakeInputGradient(int64_t micro_batch, uint32_t use);
  [[nodiscard]] const Tensor& HiddenState(uint32_t use) const;  // outputs[0]

 private:
  // A step of a backward that was put off: a kernel of an operator, a free, or a parameter's gradient.
  struct Deferred {
    LayerEvent event;
    BufferId buffer = kNoBuffer;                // kFree
  };
  // Everything that one use holds for one micro-batch.
  struct State {
    std::vector<BufferId> slots;                // by slot of model/liveness.h
    std::vector<BufferId> output_gradients;     // by output, collected from the consumers
    BufferId input_gradient = kNoBuffer;
    std::vector<Deferred> deferred;             // until Weight
    std::vector<Deferred> held;                 // until the collective that they overlap has been issued
    bool on_host = false;                       // its checkpointed input is
    bool again = false;                         // what runs was run before: a recomputation and the backward that follows it
    std::vector<BufferId> in_output;            // what the model's output names
    TaskRef gathered_again;                     // the input that held products read
  };
  State& StateOf(int64_t micro_batch, uint32_t use);
  BufferId& Slot(State& state, uint32_t slot);

  void AllocateMasks();
  [[nodiscard]] bool Checkpointed(uint32_t use) const;
  [[nodiscard]] const std::vector<LayerEvent>& ForwardPlan(uint32_t layer, ForwardMode mode);
  void Play(State& state, uint32_t use, const std::vector<LayerEvent>& events);
  [[nodiscard]] bool IsDtensorLinear(uint32_t use, uint32_t op);
  enum class Kernels { kAll, kAllButWeight, kWeightOnly };
  [[nodiscard]] const std::vector<KernelHandle>& Handles(uint32_t use, const LayerEvent& event, const std::vector<Kernel>& kernels);
  struct RingState {
    const std::vector<RingAction>& actions;
    size_t next = 0;
    std::array<TaskRef, 2> under_way{};         // by payload
  };
  void PlayRing(RingState& ring, size_t k);
  void PlayRun(uint32_t use, const LayerEvent& event, Kernels which);
  // product_pieces.cc: tensor_overlap
  [[nodiscard]] bool OverlapsAt(uint32_t use, uint32_t op, Boundary boundary) const;
  [[nodiscard]] bool StartPieces(uint32_t use, const LayerEvent& event);
  [[nodiscard]] bool PlayInPieces(uint32_t use, const LayerEvent& event, const Kernel& kernel);
  void AwaitPieces();
  [[nodiscard]] bool PutOff(State& state, const Layer& layer, const LayerEvent& event);
  [[nodiscard]] bool PutsOffWeights(const Layer& layer, uint32_t op) const;
  void PlayDeferred(uint32_t use, std::vector<Deferred>& deferred);
  void RecomputeHead(uint32_t use);
  void GatherAgain(State& state, const Layer& layer, const LayerEvent& event);
  void PlayEnterBackward(State& state, uint32_t use, const Operator& op);
  [[nodiscard]] bool KeepsOutput(const Layer& layer, uint32_t slot) const;
  [[nodiscard]] bool TrainerKeepsOutputs() const { return env_.scenario.training.loss_metrics > 0; }
  [[nodiscard]] static bool StaysInOutput(const State& state, const Layer& layer, uint32_t slot);
  void DropOutputs(const Layer& layer, const LayerEvent& event);
  void InputToHost(State& state, uint32_t use);
  void InputFromHost(State& state, uint32_t use);
  void CollectOutputGradients(int64_t micro_batch, uint32_t use, State& state, BackwardOptions& options);
  void FreeAllBut(State& state, const std::vector<Operator>& readers);
  void RunAfterBackward(int64_t micro_batch);
  void HandGradientsOver(int64_t micro_batch, uint32_t use, State& state, const BackwardPass& pass);

  Environment& env_;
  DataParallel& data_parallel_;
  std::map<uint32_t, std::vector<bool>> dtensor_linears_; // by layer and operator
  std::vector<std::vector<std::vector<KernelHandle>>> handles_;  // by layer, operator and direction: its kernels
  bool split_ = false;                                    // the backward being played leaves weight gradients
  bool consuming_ = false;                                // ... and has just met a product that reads what is freed now
  std::vector<TaskRef> pieces_;                           // passes under way round the tensor-parallel ring
  std::vector<bool> checkpointed_;                        // by use
  std::deque<BufferId> kept_outputs_;                     // logits that Python still has a name for, oldest first
  std::map<std::pair<uint32_t, ForwardMode>, std::vector<LayerEvent>> forward_plans_;
  std::map<std::pair<uint32_t, std::vector<bool>>, BackwardPass> backward_plans_;
  std::map<std::pair<int64_t, uint32_t>, State> states_;  // by micro-batch and use
};

}  // namespace simulate
