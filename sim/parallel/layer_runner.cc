#include "sim/parallel/layer_runner.h"

#include <algorithm>

#include "sim/base/check.h"
#include "sim/model/layer_builder.h"
#include "sim/parallel/boundary.h"
#include "sim/parallel/offload.h"

namespace simulate {

namespace {

MemoryCategory CategoryOf(StorageUse use) {
  switch (use) {
    case StorageUse::kLogits: return MemoryCategory::kLogits;
    case StorageUse::kWorkspace: return MemoryCategory::kWorkspace;
    case StorageUse::kActivation:
    case StorageUse::kGradient: return MemoryCategory::kActivations;
  }
  return MemoryCategory::kActivations;
}

}  // namespace

std::vector<bool> CheckpointedUses(const Environment& env) {
  const TrainingSpec& training = env.scenario.training;
  std::vector<bool> checkpointed(env.model.uses.size(), false);
  if (!RecomputesBlocks(training.activation_checkpointing)) return checkpointed;
  int64_t block = 0;
  for (uint32_t use = 0; use < checkpointed.size(); ++use) {
    if (!env.model.uses[use].block) continue;
    checkpointed[use] = block++ % training.checkpoint_every == 0;
  }
  return checkpointed;
}

ForwardMode ForwardModeOf(const TrainingSpec& training, bool checkpointed) {
  const Checkpointing policy = training.activation_checkpointing;
  if (policy == Checkpointing::kSelective) return ForwardMode::kSelective;
  if (!checkpointed) return ForwardMode::kKeepSaved;
  return policy == Checkpointing::kFull ? ForwardMode::kKeepNothing : ForwardMode::kKeepSelected;
}

ForwardMode RecomputeModeOf(const TrainingSpec& training) {
  if (training.activation_checkpointing != Checkpointing::kFull) return ForwardMode::kRecomputeRest;
  return StopsEarly(training) ? ForwardMode::kRecompute : ForwardMode::kRecomputeAll;
}

LayerRunner::LayerRunner(Environment& environment, DataParallel& data_parallel)
    : env_(environment), data_parallel_(data_parallel), checkpointed_(CheckpointedUses(environment)) {}

LayerRunner::State& LayerRunner::StateOf(int64_t micro_batch, uint32_t use) {
  const auto [found, added] = states_.try_emplace({micro_batch, use});
  if (added) {
    const Layer& layer = env_.LayerOf(use);
    found->second.slots.assign(SlotCount(layer), kNoBuffer);
    found->second.output_gradients.assign(layer.outputs.size(), kNoBuffer);
  }
  return found->second;
}

BufferId& LayerRunner::Slot(State& state, uint32_t slot) {
  SIM_CHECK(slot < state.slots.size(), "slot ", slot, " of ", state.slots.size());
  return state.slots[slot];
}

bool LayerRunner::Checkpointed(uint32_t use) const { return checkpointed_[use]; }

const std::vector<LayerEvent>& LayerRunner::ForwardPlan(uint32_t layer, ForwardMode mode) {
  const auto [found, added] = forward_plans_.try_emplace({layer, mode});
  if (added) found->second = ForwardEvents(env_.model.layers[layer], mode);
  return found->second;
}

namespace {

// A product, so not a bias's or a norm's: those are made with the input's gradient.
bool IsWeightGradient(const Kernel& kernel) { return kernel.parameter_gradient && kernel.work.kind == KernelKind::kGemm; }

bool HasWeightGradient(const Operator& op) {
  return std::ranges::any_of(op.backward, IsWeightGradient);
}

}  // namespace

bool LayerRunner::PutsOffWeights(const Layer& layer, uint32_t op) const {
  if (!HasWeightGradient(layer.operators[op])) return false;
  if (split_) return true;
  const ParallelismSpec& parallelism = env_.scenario.parallelism;
  const bool beside = parallelism.sequence_parallel || parallelism.async_tensor_all_reduce;
  const bool overlaps = env_.scenario.training.runtime == Runtime::kMegatron && env_.wiring.tensor.size > 1 && beside;
  return overlaps && op > 0 && layer.operators[op - 1].boundary == Boundary::kTensorEnter;
}

// Whether this event of a backward waits. Put off are weight-gradient products, the gradients that they write, and
// the frees that follow such an operator: of what it saved and of the gradient that it read.
bool LayerRunner::PutOff(State& state, const Layer& layer, const LayerEvent& event) {
  std::vector<Deferred>& list = split_ ? state.deferred : state.held;
  switch (event.kind) {
    case LayerEventKind::kGradientAllocate:
    case LayerEventKind::kGradientReady:
      if (!PutsOffWeights(layer, event.op)) return false;
      list.push_back({event, kNoBuffer});
      return true;
    case LayerEventKind::kRun:
      consuming_ = event.backward && PutsOffWeights(layer, event.op);
      if (consuming_) list.push_back({event, kNoBuffer});
      return false;
    case LayerEventKind::kFree:
      if (!consuming_ || Slot(state, event.slot) == kNoBuffer) return false;
      list.push_back({event, std::exchange(Slot(state, event.slot), kNoBuffer)});
      return true;
    default: return false;
  }
}

void LayerRunner::PlayDeferred(uint32_t use, std::vector<Deferred>& deferred) {
  for (const Deferred& put_off : std::exchange(deferred, {})) {
    switch (put_off.event.kind) {
      case LayerEventKind::kGradientAllocate: data_parallel_.AllocateGradient(use, put_off.event.parameter); break;
      case LayerEventKind::kRun: PlayRun(use, put_off.event, Kernels::kWeightOnly); break;
      case LayerEventKind::kFree: env_.writer.Free(put_off.buffer); break;
      default: data_parallel_.GradientReady(use, put_off.event.parameter); break;
    }
  }
}

void LayerRunner::Weight(int64_t micro_batch, uint32_t use) {
  env_.writer.SetLayer(use);
  PlayDeferred(use, StateOf(micro_batch, use).deferred);
}

// One gather serves all products that read the same input; the gradients of the input are computed beside it.
void LayerRunner::GatherAgain(State& state, const Layer& layer, const LayerEvent& event) {
  const Operator& op = layer.operators[event.op];
  if (!event.backward || !op.boundary_again) return;
  if (!state.gathered_again.valid()) state.gathered_again = StartGatherAgain(env_, op);
  if (!consuming_) env_.writer.Wait(env_.wiring.compute, state.gathered_again);
}

// The backward collective into a column-parallel region, with the weight gradients beside it.
void LayerRunner::PlayEnterBackward(State& state, uint32_t use, const Operator& op) {
  consuming_ = false;
  const TaskRef reduced = StartBoundary(env_, op, true);
  env_.writer.Wait(env_.wiring.compute, std::exchange(state.gathered_again, {}));
  PlayDeferred(use, state.held);
  env_.writer.Wait(env_.wiring.compute, reduced);
}

// PyTorch's own tensor parallelism (parallelize_module) makes DTensors of the operands of every linear layer between
// an entry into and an exit from a parallel region; Megatron and Neuron have no such layer in between.
bool LayerRunner::IsDtensorLinear(uint32_t use, uint32_t op) {
  const Runtime runtime = env_.scenario.training.runtime;
  if (env_.wiring.tensor.size == 1 || runtime == Runtime::kMegatron || runtime == Runtime::kNeuron) return false;
  if (env_.scenario.parallelism.tensor_implementation == TensorImplementation::kPlain) return false;
  const auto [found, added] = dtensor_linears_.try_emplace(env_.model.uses[use].layer);
  if (added) {
    bool inside = false;
    for (const Operator& each : env_.LayerOf(use).operators) {
      if (each.boundary == Boundary::kTensorEnter) inside = true;
      found->second.push_back(inside && each.linear);
      if (each.boundary == Boundary::kTensorLeave) inside = false;
    }
  }
  return found->second[op];
}

const std::vector<KernelHandle>& LayerRunner::Handles(uint32_t use, const LayerEvent& event, const std::vector<Kernel>& kernels) {
  const uint32_t layer = env_.model.uses[use].layer;
  if (handles_.empty()) handles_.resize(env_.model.layers.size());
  if (handles_[layer].empty()) handles_[layer].resize(2 * env_.model.layers[layer].operators.size());
  std::vector<KernelHandle>& handles = handles_[layer][2 * event.op + (event.backward ? 1 : 0)];
  if (handles.empty()) {
    for (const Kernel& kernel : kernels) handles.push_back(env_.writer.program().Intern(kernel.name, kernel.work));
  }
  return handles;
}

// What goes round before kernel `k`.
void LayerRunner::PlayRing(RingState& ring, size_t k) {
  for (; ring.next < ring.actions.size() && ring.actions[ring.next].kernel <= k; ++ring.next) {
    const RingAction& action = ring.actions[ring.next];
    TaskRef& under_way = ring.under_way[static_cast<size_t>(action.what)];
    if (action.kind == RingAction::Kind::kWait) {
      env_.writer.Wait(env_.wiring.compute, under_way);
    } else {
      under_way = StartRing(env_, action);
    }
  }
}

void LayerRunner::PlayRun(uint32_t use, const LayerEvent& event, Kernels which) {
  const Operator& op = env_.LayerOf(use).operators[event.op];
  StepWriter& writer = env_.writer;
  if (!op.linear) AwaitPieces();
  writer.HostWork(event.backward ? HostCall::kAutogradView : HostCall::kView,
                  event.backward ? op.backward_views : op.forward_views);
  writer.HostWork(event.backward ? HostCall::kAutogradNode : HostCall::kOperator, event.backward ? op.backward_calls : op.forward_calls);
  if (IsDtensorLinear(use, event.op)) writer.HostWork(HostCall::kDtensor);
  const std::vector<Kernel>& kernels = event.backward ? op.backward : op.forward;
  const std::vector<KernelHandle>& handles = Handles(use, event, kernels);
  RingState ring{event.backward ? op.backward_ring : op.forward_ring};
  for (size_t k = 0; k < kernels.size(); ++k) {
    PlayRing(ring, k);
    const bool weight = event.backward && IsWeightGradient(kernels[k]);
    if (which == (weight ? Kernels::kAllButWeight : Kernels::kWeightOnly)) continue;
    if (env_.scenario.parallelism.tensor_overlap && PlayInPieces(use, event, kernels[k])) continue;
    writer.Kernel(env_.wiring.compute, handles[k], kernels[k].host);
  }
}

// The logits, which the loss reads first.
bool LayerRunner::KeepsOutput(const Layer& layer, uint32_t slot) const {
  if (env_.scenario.parallelism.pipeline.kept_outputs == 0 || layer.loss_from == 0) return false;
  return layer.operators[layer.loss_from].inputs[0] == slot;
}

// past_key_values: what the first forward made, not what a recomputation makes again.
bool LayerRunner::StaysInOutput(const State& state, const Layer& layer, uint32_t slot) {
  return !state.again && slot < layer.tensors.size() && layer.tensors[slot].in_output;
}

// Before the loss is computed the logits take the place of an earlier micro-batch's in the engine's or trainer's hands.
void LayerRunner::DropOutputs(const Layer& layer, const LayerEvent& event) {
  if (event.backward || layer.loss_from == 0 || event.op != layer.loss_from) return;
  const auto kept = static_cast<size_t>(std::max<int64_t>(env_.scenario.parallelism.pipeline.kept_outputs, 1));
  while (!kept_outputs_.empty() && kept_outputs_.size() >= kept) {
    env_.writer.Free(kept_outputs_.front());
    kept_outputs_.pop_front();
  }
}

void LayerRunner::AllocateMasks() {
  const ModelSpec& model = env_.scenario.model;
  if (!model.causal_mask_buffer) return;
  const int64_t longest = std::max(model.max_position_embeddings, env_.scenario.training.sequence_length);
  for (const uint32_t use : env_.uses) {
    if (!env_.model.uses[use].block) continue;
    env_.writer.Allocate(SizeOf(*model.causal_mask_buffer, longest * longest), MemoryCategory::kParameters, env_.wiring.compute,
                         "causal mask");
  }
}

void LayerRunner::AllocateState() {
  AllocateMasks();
  if (!TrainerKeepsOutputs()) return;
  for (const uint32_t use : env_.uses) {
    const Layer& layer = env_.LayerOf(use);
    if (layer.loss_from == 0) continue;
    const Tensor& logits = layer.tensors[layer.operators[layer.loss_from].inputs[0]];
    kept_outputs_.push_back(env_.writer.Allocate(logits.bytes, MemoryCategory::kLogits, env_.wiring.compute, logits.name));
  }
}

void LayerRunner::FreeKeptOutputs() {
  if (TrainerKeepsOutputs()) return;
  for (const BufferId buffer : std::exchange(kept_outputs_, {})) env_.writer.Free(buffer);
}

void LayerRunner::Play(State& state, uint32_t use, const std::vector<LayerEvent>& events) {
  const Layer& layer = env_.LayerOf(use);
  StepWriter& writer = env_.writer;
  for (const LayerEvent& event : events) {
    if (PutOff(state, layer, event)) continue;
    switch (event.kind) {
      case LayerEventKind::kAllocate: {
        SIM_CHECK(Slot(state, event.slot) == kNoBuffer, layer.name, ": slot ", event.slot, " is allocated twice");
        const bool tensor = event.use != StorageUse::kWorkspace;
        Slot(state, event.slot) = writer.Allocate(event.bytes, CategoryOf(event.use), env_.wiring.compute,
                                                  tensor ? layer.tensors[event.tensor].name : "workspace");
        break;
      }
      case LayerEventKind::kFree:
        if (Slot(state, event.slot) == kNoBuffer) break;  // the gradient of an output that nobody used
        if (KeepsOutput(layer, event.slot)) {
          kept_outputs_.push_back(Slot(state, event.slot));
        } else if (StaysInOutput(state, layer, event.slot)) {
          state.in_output.push_back(Slot(state, event.slot));
        } else {
          writer.Free(Slot(state, event.slot));
        }
        Slot(state, event.slot) = kNoBuffer;
        break;
      case LayerEventKind::kRun:
        DropOutputs(layer, event);
        GatherAgain(state, layer, event);
        data_parallel_.BeforeOperator(use, event.op);
        PlayRun(use, event, consuming_ ? Kernels::kAllButWeight : Kernels::kAll);
        data_parallel_.AfterOperator(use, event.op);
        break;
      case LayerEventKind::kAccumulate: {
        const Kernel add = AccumulateWork(layer.tensors[event.tensor], NumericsOf(env_.scenario.training).compiled);
        writer.Kernel(env_.wiring.compute, add.name, add.work, add.host);
        break;
      }
      case LayerEventKind::kGradientAllocate: data_parallel_.AllocateGradient(use, event.parameter); break;
      case LayerEventKind::kGradientReady: data_parallel_.GradientReady(use, event.parameter); break;
      case LayerEventKind::kBoundaryForward:
        if (!StartPieces(use, event)) EmitBoundary(env_, layer.operators[event.op], false);
        break;
      case LayerEventKind::kBoundaryBackward:
        if (StartPieces(use, event)) break;
        if (layer.operators[event.op].boundary == Boundary::kTensorEnter) {
          PlayEnterBackward(state, use, layer.operators[event.op]);
        } else {
          EmitBoundary(env_, layer.operators[event.op], true);
        }
        break;
    }
  }
}

void LayerRunner::Forward(int64_t micro_batch, uint32_t use) {
  const LayerUse& where = env_.model.uses[use];
  env_.writer.SetLayer(use);
  env_.writer.SetPhase(Phase::kForward);
  data_parallel_.BeforeForward(use);
  if (where.block) env_.writer.HostWork(HostCall::kModule, Checkpointed(use) ? 2 : 1);
  const ForwardMode mode = ForwardModeOf(env_.scenario.training, Checkpointed(use));
  State& state = StateOf(micro_batch, use);
  Play(state, use, ForwardPlan(where.layer, mode));
  if (mode == ForwardMode::kKeepNothing) InputToHost(state, use);
  data_parallel_.AfterForward(use);
  if (env_.scenario.training.host_waits == HostWaits::kLayers) env_.writer.Synchronize();

  // The hidden state moves on, unless the next use starts from tokens or lives on another rank.
  const uint32_t next = use + 1;
  if (next >= env_.model.uses.size() || env_.LayerOf(next).inputs.empty()) return;
  BufferId& hidden = Slot(state, env_.LayerOf(use).outputs[0]);
  SetInput(micro_batch, next, hidden);
  hidden = kNoBuffer;
}

void LayerRunner::EndForward(int64_t micro_batch) {
  for (const uint32_t use : env_.uses) {
    if (!Checkpointed(use)) continue;
    State& state = StateOf(micro_batch, use);
    for (const uint32_t slot : AutocastCopies(env_.LayerOf(use))) {
      if (Slot(state, slot) == kNoBuffer) continue;
      env_.writer.Free(Slot(state, slot));
      Slot(state, slot) = kNoBuffer;
    }
  }
}

// DeepSpeed's cpu_checkpointing: plain .to() calls, so that the stream waits for the copy both ways.
void LayerRunner::InputToHost(State& state, uint32_t use) {
  const Layer& layer = env_.LayerOf(use);
  BufferId& input = Slot(state, layer.inputs[0]);
  if (!env_.scenario.training.offload_activations || input == kNoBuffer) return;
  const Bytes bytes = layer.tensors[layer.inputs[0]].bytes;
  env_.writer.Wait(env_.wiring.compute, CopyToHost(env_, env_.wiring.compute, "checkpoint to the host", bytes));
  env_.writer.HoldOnHost(bytes);
  env_.writer.Free(std::exchange(input, kNoBuffer));
  state.on_host = true;
}

void LayerRunner::InputFromHost(State& state, uint32_t use) {
  if (!std::exchange(state.on_host, false)) return;
  const Layer& layer = env_.LayerOf(use);
  const Tensor& input = layer.tensors[layer.inputs[0]];
  Slot(state, layer.inputs[0]) = env_.writer.Allocate(input.bytes, MemoryCategory::kActivations, env_.wiring.compute, input.name);
  env_.writer.Wait(env_.wiring.compute, CopyFromHost(env_, env_.wiring.compute, "checkpoint from the host", input.bytes));
}

void LayerRunner::CollectOutputGradients(int64_t micro_batch, uint32_t use, State& state, BackwardOptions& options) {
  const Layer& layer = env_.LayerOf(use);
  const bool last = use + 1 == env_.model.uses.size();
  for (size_t i = 0; i < layer.outputs.size(); ++i) {
    const Tensor& tensor = layer.tensors[layer.outputs[i]];
    if (!tensor.differentiable) continue;
    BufferId& gradient = state.output_gradients[i];
    if (gradient == kNoBuffer && last && i == 0) {
      gradient = env_.writer.Allocate(tensor.bytes, MemoryCategory::kActivations, env_.wiring.compute, "loss gradient");
    }
    Slot(state, GradientSlot(layer, layer.outputs[i])) = gradient;
    gradient = kNoBuffer;
  }
  options.gradient_exists.assign(layer.inputs.size(), false);
  const auto& sources = env_.model.uses[use].extra_inputs;
  for (size_t i = 1; i < layer.inputs.size(); ++i) {
    BufferId& gradient = StateOf(micro_batch, sources[i - 1].use).output_gradients[sources[i - 1].output];
    if (gradient == kNoBuffer) continue;
    options.gradient_exists[i] = true;
    Slot(state, GradientSlot(layer, layer.inputs[i])) = gradient;
    gradient = kNoBuffer;
  }
}

void LayerRunner::HandGradientsOver(int64_t micro_batch, uint32_t use, State& state, const BackwardPass& pass) {
  const Layer& layer = env_.LayerOf(use);
  const auto take = [&](size_t input) {
    const uint32_t slot = pass.input_gradient_slots[input];
    if (slot == kNoSlot) return kNoBuffer;
    return std::exchange(Slot(state, slot), kNoBuffer);
  };
  if (!layer.inputs.empty()) {
    // Two inputs may share one gradient storage (an add passes its gradient to both).
    const BufferId hidden = take(0);
    if (use > 0 && env_.Owns(use - 1)) {
      StateOf(micro_batch, use - 1).output_gradients[0] = hidden;
    } else {
      state.input_gradient = hidden;
    }
  }
  const auto& sources = env_.model.uses[use].extra_inputs;
  for (size_t i = 1; i < layer.inputs.size(); ++i) {
    const BufferId gradient = take(i);
    if (gradient == kNoBuffer) continue;
    StateOf(micro_batch, sources[i - 1].use).output_gradients[sources[i - 1].output] = gradient;
  }
}

// A checkpointed head: time alone, since its backward follows its forward and the logits are there anyway.
void LayerRunner::RecomputeHead(uint32_t use) {
  const TrainingSpec& training = env_.scenario.training;
  if (training.activation_checkpointing != Checkpointing::kFull || !training.checkpoint_head) return;
  const Layer& layer = env_.LayerOf(use);
  env_.writer.SetPhase(Phase::kRecompute);
  for (uint32_t op = 0; op < layer.loss_from; ++op) {
    PlayRun(use, {.kind = LayerEventKind::kRun, .op = op}, Kernels::kAll);
    EmitBoundary(env_, layer.operators[op], false);
  }
  env_.writer.SetPhase(Phase::kBackward);
}

void LayerRunner::Backward(int64_t micro_batch, uint32_t use, bool split) {
  const LayerUse& where = env_.model.uses[use];
  StepWriter& writer = env_.writer;
  writer.SetLayer(use);
  writer.SetPhase(Phase::kBackward);
  data_parallel_.BeforeBackward(use);
  State& state = StateOf(micro_batch, use);
  if (Checkpointed(use)) {
    writer.SetPhase(Phase::kRecompute);
    state.again = true;
    InputFromHost(state, use);
    writer.HostWork(HostCall::kModule, 2);
    Play(state, use, ForwardPlan(where.layer, RecomputeModeOf(env_.scenario.training)));
    writer.SetPhase(Phase::kBackward);
  }
  RecomputeHead(use);
  BackwardOptions options;
  options.selective = env_.scenario.training.activation_checkpointing == Checkpointing::kSelective;
  CollectOutputGradients(micro_batch, use, state, options);
  const auto [found, added] = backward_plans_.try_emplace({where.layer, options.gradient_exists});
  if (added) found->second = BackwardEvents(env_.model.layers[where.layer], options);
  const BackwardPass& pass = found->second;
  split_ = split;
  Play(state, use, pass.events);
  SIM_CHECK(state.held.empty(), where.name, ": weight gradients are left over");
  split_ = consuming_ = false;
  HandGradientsOver(micro_batch, use, state, pass);
  FreeAllBut(state, env_.model.layers[where.layer].after_backward);
  data_parallel_.AfterBackward(use);
  if (env_.scenario.training.host_waits == HostWaits::kLayers) writer.Synchronize();
  state.again = false;
  if (use != env_.uses.front()) return;
  RunAfterBackward(micro_batch);
  for (const uint32_t each : env_.uses) {
    for (const BufferId buffer : std::exchange(StateOf(micro_batch, each).in_output, {})) writer.Free(buffer);
  }
}

void LayerRunner::FreeAllBut(State& state, const std::vector<Operator>& readers) {
  for (uint32_t slot = 0; slot < state.slots.size(); ++slot) {  // outputs that other uses read
    BufferId& buffer = state.slots[slot];
    const bool read = std::ranges::any_of(readers, [&](const Operator& op) { return std::ranges::find(op.inputs, slot) != op.inputs.end(); });
    if (buffer == kNoBuffer || read) continue;
    env_.writer.Free(buffer);
    buffer = kNoBuffer;
  }
}

void LayerRunner::RunAfterBackward(int64_t micro_batch) {
  StepWriter& writer = env_.writer;
  for (const uint32_t use : env_.uses) {
    const std::vector<Operator>& operators = env_.LayerOf(use).after_backward;
    if (operators.empty()) continue;
    writer.SetLayer(use);
    writer.SetPhase(Phase::kForward);
    for (const Operator& op : operators) {
      std::vector<BufferId> made;
      for (const TensorIndex t : op.outputs) {
        const Tensor& tensor = env_.LayerOf(use).tensors[t];
        made.push_back(writer.Allocate(tensor.bytes, MemoryCategory::kLogits, env_.wiring.compute, tensor.name));
      }
      for (const Kernel& kernel : op.forward) writer.Kernel(env_.wiring.compute, kernel.name, kernel.work, kernel.host);
      for (const BufferId buffer : made) writer.Free(buffer);
    }
    State& state = StateOf(micro_batch, use);
    kept_outputs_.push_back(std::exchange(Slot(state, operators.front().inputs[0]), kNoBuffer));
    FreeAllBut(state, {});
  }
}

void LayerRunner::SetInput(int64_t micro_batch, uint32_t use, BufferId hidden) {
  Slot(StateOf(micro_batch, use), env_.LayerOf(use).inputs[0]) = hidden;
}

BufferId LayerRunner::TakeOutput(int64_t micro_batch, uint32_t use) {
  return std::exchange(Slot(StateOf(micro_batch, use + 1), env_.LayerOf(use + 1).inputs[0]), kNoBuffer);
}

void LayerRunner::SetOutputGradient(int64_t micro_batch, uint32_t use, BufferId gradient) {
  StateOf(micro_batch, use).output_gradients[0] = gradient;
}

BufferId LayerRunner::TakeInputGradient(int64_t micro_batch, uint32_t use) {
  const BufferId gradient = std::exchange(StateOf(micro_batch, use).input_gradient, kNoBuffer);
  if (gradient != kNoBuffer || use == 0) return gradient;
  // This rank holds the use before, too, but for other micro-batches (DualPipe).
  return std::exchange(StateOf(micro_batch, use - 1).output_gradients[0], kNoBuffer);
}

const Tensor& LayerRunner::HiddenState(uint32_t use) const {
  const Layer& layer = env_.LayerOf(use);
  return layer.tensors[layer.outputs[0]];
}

}  // namespace simulate
