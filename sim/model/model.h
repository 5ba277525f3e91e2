// model/ - a transformer as layers of operators: what each launches, reads, writes and keeps.
//
// BuildModel turns a ModelSpec into the slice of it that one rank computes, for one micro-batch.
// An operator is what autograd sees: the kernels it launches forward, the kernels of its backward
// node, its inputs and outputs, and which tensors it saves in between. From that alone follow FLOPs,
// traffic, host calls and the exact lifetime of every activation.
//
// Absent on purpose: rates, seconds, accelerators, ranks. A Slice only says by how much dimensions
// are divided; operators marked with a Boundary are where whoever divided them must communicate.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/units.h"
#include "sim/spec/kernel_work.h"
#include "sim/spec/model.h"
#include "sim/spec/parallelism.h"
#include "sim/spec/training.h"

namespace simulate {

struct Kernel {
  std::string name;  // "q_proj", "softmax", "gelu_backward"
  KernelWork work;
  HostCall host = HostCall::kOperator;
  bool parameter_gradient = false;  // of a backward: makes (part of) a parameter's gradient and nothing else
};

using TensorIndex = uint32_t;

struct Tensor {
  std::string name;
  Bytes bytes;
  DType dtype = DType::kBf16;
  bool logits = false;          // reported as logits rather than activations
  bool differentiable = true;   // false: no gradient flows into it (tokens, masks, statistics)
  bool autocast_copy = false;   // a weight's 16-bit copy in autocast's cache, which lasts to the end of the forward
  bool in_output = false;       // named by the model's output: what the forward made lasts until the micro-batch's backward is over
};

struct Parameter {
  std::string name;      // "mlp.w1.weight"
  int64_t elements = 0;  // of this slice
  bool tied = false;     // another layer's weight used again: counted there, its gradient adds up
  bool expert = false;   // divided by Slice::expert: its gradient is reduced over fewer ranks
  bool frozen = false;   // not trained: no gradient, no optimizer state
  bool of_product = false;  // a matrix whose gradient is a product: it may be added to a buffer by that product
  Bytes stored;          // of a frozen weight that is quantized, scales included; 0: in the precision's type
};

// Where a divided layer must communicate. Bytes are of the whole tensor, activations' type.
enum class Boundary : uint8_t {
  kNone,
  kTensorEnter,     // into a column-parallel region: nothing forward (sequence parallel: all_gather), all_reduce (reduce_scatter) backward
  kTensorLeave,     // out of a row-parallel region: all_reduce forward (reduce_scatter), nothing backward (all_gather)
  kVocabReduce,     // vocabulary-parallel embedding or cross-entropy: all_reduce forward
  kVocabGather,     // logits of all ranks: all_gather forward, nothing backward
  kContextKeyValue, // keys and values of the other context-parallel ranks are needed here
  kContextHeads,    // positions of all heads are exchanged for all positions of a part of the heads, and back
  kExpertDispatch,  // all_to_all of tokens to their experts
  kExpertCombine,   // and back
};

// What goes round between the kernels of ring attention (model/ring_attention.h).
enum class RingPayload : uint8_t { kKeysAndValues, kGradients };
struct RingAction {
  enum class Kind : uint8_t {
    kPass,    // to the next context-parallel rank, while the same comes from the one before
    kGather,  // of all context-parallel ranks; `bytes` together
    kWait,    // until the last pass or gather of this payload is over
  };
  Kind kind = Kind::kPass;
  RingPayload what = RingPayload::kKeysAndValues;
  uint32_t kernel = 0;  // before this one of the operator's kernels
  Bytes bytes;
};

struct Operator {
  std::string name;
  std::vector<Kernel> forward;
  std::vector<Kernel> backward;          // in launch order
  std::vector<TensorIndex> inputs;       // into Layer::tensors
  std::vector<TensorIndex> outputs;      // allocated before `forward` runs; a view lists none
  std::vector<TensorIndex> saved;        // kept until `backward` has run: inputs or outputs
  std::vector<TensorIndex> passes_gradient_to;  // inputs whose gradient is the output's itself (adds, views): no kernel, no memory
  std::vector<uint32_t> parameters;      // whose gradients `backward` produces
  bool parameter_gradients_first = false;// they are made before the inputs' (products without bias)
  bool input_gradient_is_view = false;   // of the product's result: PyTorch then adds a second one out of place
  int forward_views = 0;                 // operators around it that launch nothing (view, transpose): host time only
  int backward_views = 0;                // autograd nodes that launch nothing
  int forward_calls = 0;                 // Python around it as long as so many operators: host time only
  int backward_calls = 0;                // as so many autograd nodes
  std::vector<TensorIndex> holds;        // not read, but Python still has a name for them until `forward` has run
  Bytes forward_workspace;               // live only while `forward` runs
  Bytes backward_workspace;
  bool linear = false;                   // a product with a weight (aten::mm, addmm), frozen or not
  bool in_place = false;                 // writes into inputs[0], lists no output; gradients pass through inputs[0]
  bool recomputed_selectively = false;   // dropped and recomputed under selective checkpointing (attention core)
  bool kept_by_operator_policy = false;  // keeps its outputs when everything else of a block is recomputed
  std::vector<RingAction> forward_ring;  // in order, between the kernels of `forward`
  std::vector<RingAction> backward_ring;
  Boundary boundary = Boundary::kNone;
  Bytes boundary_bytes;
  Bytes gather_bytes;                    // of this boundary's all_gathers, if they move fp8 where boundary_bytes counts 16-bit ones
  bool boundary_again = false;           // backward repeats a preceding all_gather of boundary_bytes (Megatron's sequence parallelism does not keep the gathered input)
  Flops model_flops;                     // forward FLOPs that count as model FLOPs (matmuls and attention)
  [[nodiscard]] Bytes gathered() const { return gather_bytes > Bytes(0) ? gather_bytes : boundary_bytes; }
};

struct Layer {
  std::string name;                      // "encoder.block"
  std::vector<Tensor> tensors;
  std::vector<Parameter> parameters;
  std::vector<Operator> operators;
  std::vector<Operator> after_backward;  // launched when the whole micro-batch's backward is over; their inputs live until then
  std::vector<TensorIndex> inputs;       // [0] is the hidden state; others live outside (encoder output, shared bias); none: starts from tokens
  std::vector<TensorIndex> outputs;      // [0] is the hidden state
  uint32_t loss_from = 0;                // the head: from this operator on it is the loss; 0: no loss
  [[nodiscard]] int64_t parameter_count() const;
  [[nodiscard]] Flops forward_flops() const;      // model FLOPs forward
};

// One use of a layer in the model; equal layers share one description.
struct LayerUse {
  uint32_t layer = 0;                    // into Model::layers
  std::string name;                      // "encoder.block.7"
  bool block = false;                    // a transformer block: an FSDP unit, a unit of checkpointing and of pipelining
  // For each Layer::inputs[1..]: the use that produced it and which of its outputs.
  struct Source { uint32_t use = 0; uint32_t output = 0; };
  std::vector<Source> extra_inputs;
};

struct Model {
  std::string name;
  std::vector<Layer> layers;
  std::vector<LayerUse> uses;            // embedding, blocks, head with loss: in execution order
  bool tied_embedding = false;           // the head's weight is the embedding's
  int64_t parameters = 0;                // of the whole, undivided model; tied weights once
  int64_t embedding_parameters = 0;
  int64_t tokens_per_sample = 0;         // encoder-decoder: both sides together
  Flops forward_flops_per_sample;        // whole model, no division, model FLOPs forward
};

// The part of every layer that one rank computes.
struct Slice {
  int64_t tensor = 1;                    // heads, intermediate_size and vocabulary are divided by this
  bool sequence_parallel = false;        // outside of tensor-parallel regions the sequence is divided too
  bool divide_vocabulary = true;
  bool gather_logits = false;            // every rank computes the loss of all of the vocabulary
  bool shared_entry = true;              // column-parallel layers that read one input sum its gradient once
  int64_t context = 1;                   // the sequence is divided everywhere
  ContextImplementation context_implementation = ContextImplementation::kAllGather;
  int64_t expert = 1;                    // experts are divided
};

// REQUIRES: the slice divides the model (config/ checks it).
[[nodiscard]] Model BuildModel(const ModelSpec& spec, const TrainingSpec& training, const Slice& slice = {});

}  // namespace simulate
