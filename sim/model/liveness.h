// What one use of a layer does to memory and to the stream, in the order in which eager PyTorch does it.
//
// The rules are autograd's and CPython's reference counts:
//   forward    outputs are allocated before an operator's kernels; a tensor is freed after its last
//              reader unless an operator saved it, or it leaves the layer;
//   backward   operators in reverse; the gradient of a tensor is allocated when first produced; a second
//              gradient of the same tensor is added to it (torch/csrc/autograd/input_buffer.cpp: in place
//              when nothing else refers to it and it is not a view, else into a new tensor); it is freed once its producer's
//              backward has read it; what an operator saved is freed once its own backward has run;
//   checkpoint a checkpointed forward keeps only the layer's inputs; recomputation is a forward that stops
//              as soon as the last saved tensor is there again (torch.utils.checkpoint, use_reentrant=False,
//              early_stop: a last operator that saves inputs only does not launch its kernels), or, before PyTorch 2.1 and
//              in reentrant implementations (Megatron-LM, DeepSpeed), with the layer's end.
//
// Storage is named by slots, unique within one layer and the same in all passes over one use:
//   [0, T)        the layer's tensors (T = layer.tensors.size())
//   [T, 2T)       their gradients
//   [2T, ...)     sums of gradients that could not be done in place, and workspaces
// Hand-over between uses:
//   inputs[0]     the hidden state: belongs to this use from its forward on, and is freed by it (forward
//                 without saved tensors: never; in the backward: after its last saver). It is the slot of
//                 outputs[0] of the use before.
//   inputs[1..]   belong to the use that made them: never freed here. Their gradients (if differentiable)
//                 are allocated by the first consumer's backward and added to by the others, see
//                 BackwardOptions; the caller frees them after the producer's backward has run.
//   after_backward their inputs are freed by the caller, who also runs those operators.
//   outputs[0]    allocated here, belongs to the next use. outputs[1..] are allocated here and freed by the
//                 caller after this use's backward. Gradients of all outputs exist when the backward begins
//                 and are freed here.
// Absent on purpose: parameters (sharded or not is parallel/'s affair; their gradients are announced),
// streams, rounding of the caching allocator.
#pragma once

#include <cstdint>
#include <vector>

#include "sim/model/model.h"

namespace simulate {

enum class LayerEventKind : uint8_t {
  kAllocate,           // `slot`, `bytes`
  kFree,               // `slot`
  kRun,                // kernels of operators[op], its forward or its backward list
  kAccumulate,         // one elementwise add of two gradients: AccumulateWork(layer.tensors[tensor])
  kGradientAllocate,   // the gradient of parameters[parameter] is about to be written
  kGradientReady,      // and has been (AccumulateGrad: this is where hooks fire)
  kBoundaryForward,    // operators[op].boundary is reached going forward, after its forward kernels
  kBoundaryBackward,   // and going backward, before its backward kernels
};

enum class StorageUse : uint8_t { kActivation, kLogits, kGradient, kWorkspace };

struct LayerEvent {
  LayerEventKind kind = LayerEventKind::kRun;
  StorageUse use = StorageUse::kActivation;  // kAllocate
  bool backward = false;                     // kRun: which list of kernels
  uint32_t op = 0;                           // into Layer::operators
  uint32_t slot = 0;
  uint32_t tensor = 0;                       // kAccumulate, kAllocate of an activation or gradient
  uint32_t parameter = 0;                    // kGradientAllocate, kGradientReady
  Bytes bytes;                               // kAllocate
  auto operator<=>(const LayerEvent&) const = default;
};

enum class ForwardMode : uint8_t {
  kKeepSaved,    // an ordinary forward
  kKeepNothing,  // the forward of a checkpointed layer
  kRecompute,    // its recomputation: keeps what is saved, stops early; outputs are not made again
  kRecomputeAll, // its recomputation to the end: outputs[0] is made again and dropped
  kKeepSelected, // the forward of a layer checkpointed by operators: keeps the outputs of `kept_by_operator_policy`
  kRecomputeRest,// and its recomputation, which finds those outputs made
  kSelective,    // an ordinary forward that drops what `recomputed_selectively` operators saved
};

[[nodiscard]] std::vector<LayerEvent> ForwardEvents(const Layer& layer, ForwardMode mode);

struct BackwardOptions {
  // inputs[i] for i >= 1: whether a later use has already made its gradient. Missing entries: no.
  std::vector<bool> gradient_exists;
  bool selective = false;             // recompute `recomputed_selectively` operators first, just before they are needed
  bool input_gradient = true;         // false: nobody needs the gradient of inputs[0]
};
struct BackwardPass {
  std::vector<LayerEvent> events;
  // Where the gradient of Layer::inputs[i] is afterwards: often the storage of an output's gradient, which a
  // residual stream hands through. kNoSlot: none was made.
  std::vector<uint32_t> input_gradient_slots;
};
inline constexpr uint32_t kNoSlot = 0xFFFFFFFF;
[[nodiscard]] BackwardPass BackwardEvents(const Layer& layer, const BackwardOptions& options = {});

// Slot of a tensor's gradient when it is handed over (see above): outputs, and inputs that have one already.
[[nodiscard]] inline uint32_t GradientSlot(const Layer& layer, TensorIndex tensor) {
  return static_cast<uint32_t>(layer.tensors.size()) + tensor;
}

// The add kernel of kAccumulate. `compiled`: in the kernel that reads the sum, which reads one operand more.
[[nodiscard]] Kernel AccumulateWork(const Tensor& tensor, bool compiled = false);

// 16-bit copies of weights that autocast keeps in its cache until the forward of the whole model is over:
// a forward that keeps nothing does not free these slots; the caller does, after the loss's forward.
[[nodiscard]] std::vector<uint32_t> AutocastCopies(const Layer& layer);

// Upper bound of the slots the events of this layer use: 2T and the temporaries.
[[nodiscard]] uint32_t SlotCount(const Layer& layer);

// Bytes that stay allocated after an ordinary forward, inputs[0] included, inputs[1..] and outputs not.
[[nodiscard]] Bytes SavedBytes(const Layer& layer);

}  // namespace simulate
