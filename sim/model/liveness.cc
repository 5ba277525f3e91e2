#include "sim/model/liveness.h"

#include <algorithm>

#include "sim/base/check.h"

namespace simulate {
namespace {

constexpr uint32_t kNever = 0xFFFFFFFF;

bool Contains(const std::vector<TensorIndex>& list, TensorIndex t) {
  return std::find(list.begin(), list.end(), t) != list.end();
}

// Slots of one layer, as liveness.h lays them out.
struct Slots {
  uint32_t tensors;
  uint32_t operators;
  explicit Slots(const Layer& layer)
      : tensors(static_cast<uint32_t>(layer.tensors.size())), operators(static_cast<uint32_t>(layer.operators.size())) {}
  [[nodiscard]] uint32_t Gradient(TensorIndex t) const { return tensors + t; }
  [[nodiscard]] uint32_t ForwardWorkspace(uint32_t op) const { return 2 * tensors + op; }
  [[nodiscard]] uint32_t BackwardWorkspace(uint32_t op) const { return 2 * tensors + operators + op; }
  [[nodiscard]] uint32_t FirstTemporary() const { return 2 * tensors + 2 * operators; }
};

// First and one past the last operator of the group that is recomputed together with `op`.
std::pair<uint32_t, uint32_t> SelectiveGroup(const Layer& layer, uint32_t op) {
  uint32_t first = op, end = op + 1;
  while (first > 0 && layer.operators[first - 1].recomputed_selectively) --first;
  while (end < layer.operators.size() && layer.operators[end].recomputed_selectively) ++end;
  return {first, end};
}

// How many operators keep each tensor for their backward.
std::vector<uint32_t> SaversOf(const Layer& layer) {
  std::vector<uint32_t> savers(layer.tensors.size(), 0);
  for (const Operator& op : layer.operators)
    for (TensorIndex t : op.saved) ++savers[t];
  return savers;
}

// Whether each tensor outlives an ordinary forward because something saved it.
std::vector<bool> KeptAfterForward(const Layer& layer, bool selective) {
  std::vector<bool> kept(layer.tensors.size(), false);
  for (uint32_t i = 0; i < layer.operators.size(); ++i) {
    const Operator& op = layer.operators[i];
    if (!selective || !op.recomputed_selectively) {
      for (TensorIndex t : op.saved) kept[t] = true;
      continue;
    }
    // A dropped group keeps what it needs to run again: its inputs from outside.
    const auto [first, end] = SelectiveGroup(layer, i);
    for (TensorIndex t : op.inputs) {
      bool made_inside = false;
      for (uint32_t j = first; j < end; ++j) made_inside |= Contains(layer.operators[j].outputs, t);
      if (!made_inside) kept[t] = true;
    }
  }
  return kept;
}

// Where a recomputation stops: operators [0, full) run, and of operator `full` only what precedes its kernels.
uint32_t RecomputedOperators(const Layer& layer) {
  for (uint32_t i = static_cast<uint32_t>(layer.operators.size()); i > 0; --i) {
    const Operator& op = layer.operators[i - 1];
    if (op.saved.empty()) continue;
    const bool saves_output =
        std::any_of(op.saved.begin(), op.saved.end(), [&](TensorIndex t) { return Contains(op.outputs, t); });
    return saves_output ? i : i - 1;
  }
  return 0;
}

LayerEvent Allocate(uint32_t slot, Bytes bytes, StorageUse use, TensorIndex tensor = 0) {
  LayerEvent e;
  e.kind = LayerEventKind::kAllocate;
  e.slot = slot;
  e.bytes = bytes;
  e.use = use;
  e.tensor = tensor;
  return e;
}

LayerEvent Free(uint32_t slot) {
  LayerEvent e;
  e.kind = LayerEventKind::kFree;
  e.slot = slot;
  return e;
}

LayerEvent OperatorEvent(LayerEventKind kind, uint32_t op, bool backward) {
  LayerEvent e;
  e.kind = kind;
  e.op = op;
  e.backward = backward;
  return e;
}

LayerEvent ParameterEvent(LayerEventKind kind, uint32_t op, uint32_t parameter) {
  LayerEvent e;
  e.kind = kind;
  e.op = op;
  e.backward = true;
  e.parameter = parameter;
  return e;
}

StorageUse UseOf(const Tensor& tensor) { return tensor.logits ? StorageUse::kLogits : StorageUse::kActivation; }

// Runs operator `i` forward: outputs that `skip` does not name, workspace, kernels, boundary.
void RunForward(const Layer& layer, uint32_t i, const std::vector<bool>& skip, std::vector<LayerEvent>& events) {
  const Operator& op = layer.operators[i];
  const Slots slots(layer);
  for (TensorIndex t : op.outputs)
    if (!skip[t]) events.push_back(Allocate(t, layer.tensors[t].bytes, UseOf(layer.tensors[t]), t));
  const bool workspace = op.forward_workspace > Bytes(0);
  if (workspace)
    events.push_back(Allocate(slots.ForwardWorkspace(i), op.forward_workspace, StorageUse::kWorkspace));
  if (!op.forward.empty() || op.forward_views > 0)
    events.push_back(OperatorEvent(LayerEventKind::kRun, i, false));
  if (workspace) events.push_back(Free(slots.ForwardWorkspace(i)));
  if (op.boundary != Boundary::kNone) events.push_back(OperatorEvent(LayerEventKind::kBoundaryForward, i, false));
}

// Outputs of operators that a checkpoint by operators keeps.
std::vector<bool> KeptByPolicy(const Layer& layer) {
  std::vector<bool> kept(layer.tensors.size(), false);
  for (const Operator& op : layer.operators)
    if (op.kept_by_operator_policy)
      for (TensorIndex t : op.outputs) kept[t] = true;
  return kept;
}

// Last operator before `end` that reads, makes or holds each tensor.
std::vector<uint32_t> LastUses(const Layer& layer, uint32_t end) {
  std::vector<uint32_t> last(layer.tensors.size(), kNever);
  for (uint32_t i = 0; i < end; ++i) {
    const Operator& op = layer.operators[i];
    for (TensorIndex t : op.inputs) last[t] = i;
    for (TensorIndex t : op.outputs) last[t] = i;
    for (TensorIndex t : op.holds) last[t] = i;
  }
  return last;
}

// What outlives a forward of this kind.
std::vector<bool> KeptBy(const Layer& layer, ForwardMode mode) {
  switch (mode) {
    case ForwardMode::kKeepNothing: return std::vector<bool>(layer.tensors.size(), false);
    case ForwardMode::kKeepSelected: return KeptByPolicy(layer);
    case ForwardMode::kSelective: return KeptAfterForward(layer, true);
    case ForwardMode::kKeepSaved:
    case ForwardMode::kRecompute:
    case ForwardMode::kRecomputeAll:
    case ForwardMode::kRecomputeRest: return KeptAfterForward(layer, false);
  }
  return {};
}

}  // namespace

std::vector<LayerEvent> ForwardEvents(const Layer& layer, ForwardMode mode) {
  const auto count = static_cast<uint32_t>(layer.tensors.size());
  const bool first_time = mode == ForwardMode::kKeepNothing || mode == ForwardMode::kKeepSelected;
  const bool stops_early = mode == ForwardMode::kRecompute || mode == ForwardMode::kRecomputeRest;
  const bool recompute = stops_early || mode == ForwardMode::kRecomputeAll;
  const uint32_t end = stops_early ? RecomputedOperators(layer) : static_cast<uint32_t>(layer.operators.size());

  std::vector<bool> keep = KeptBy(layer, mode);
  std::vector<bool> made_before(count, false);  // a recomputation finds the layer's outputs made
  if (mode == ForwardMode::kRecomputeRest) made_before = KeptByPolicy(layer);
  const std::vector<bool> found = made_before;
  for (TensorIndex t : layer.outputs) {
    SIM_CHECK(first_time || keep[t] == false || layer.outputs[0] != t, layer.name, " saves its own output");
    const bool dropped = mode == ForwardMode::kRecomputeAll && layer.outputs[0] == t;  // the first one went with its reader
    keep[t] = !dropped;
    made_before[t] = recompute && !dropped;
  }
  for (const Operator& op : layer.after_backward)
    for (TensorIndex t : op.inputs) keep[t] = true;
  for (size_t i = 0; i < layer.inputs.size(); ++i)
    if (i > 0 || first_time) keep[layer.inputs[i]] = true;
  if (first_time)
    for (TensorIndex t = 0; t < count; ++t) keep[t] = keep[t] || layer.tensors[t].autocast_copy;

  const std::vector<uint32_t> last = LastUses(layer, end);
  std::vector<LayerEvent> events;
  for (uint32_t i = 0; i < end; ++i) {
    if (mode != ForwardMode::kRecomputeRest || !layer.operators[i].kept_by_operator_policy)
      RunForward(layer, i, made_before, events);
    for (TensorIndex t = 0; t < count; ++t)
      if (last[t] == i && !keep[t]) events.push_back(Free(t));
  }
  // Kept for nobody: what only operators after the last recomputed one read.
  for (TensorIndex t = 0; t < count; ++t)
    if (found[t] && last[t] == kNever && !keep[t]) events.push_back(Free(t));
  return events;
}

namespace {

// The state of a backward pass through one layer: which storage holds each tensor's gradient, and who shares it.
class BackwardWriter {
 public:
  BackwardWriter(const Layer& layer, const BackwardOptions& options);
  BackwardPass Write();

 private:
  void RunOperator(uint32_t i);
  void RecomputeGroup(uint32_t op);
  void FreeSaved(const Operator& op);
  // Gradients that operator i's kernels write: tensor and the slot written to.
  std::vector<std::pair<TensorIndex, uint32_t>> AllocateInputGradients(const Operator& op);
  void Add(TensorIndex t, uint32_t slot);   // hands a reference to `slot` on as (part of) t's gradient
  void Release(uint32_t slot);
  uint32_t NewTemporary() { return next_temporary_++; }

  const Layer& layer_;
  const BackwardOptions& options_;
  Slots slots_;
  std::vector<uint32_t> gradient_;     // slot by tensor
  std::vector<uint32_t> references_;   // by slot
  std::vector<bool> view_;             // by slot: never added to in place
  std::vector<uint32_t> savers_;
  std::vector<bool> alive_;            // activation slots, under selective recomputation
  std::vector<bool> freed_elsewhere_;
  uint32_t next_temporary_;
  std::vector<LayerEvent> events_;
};

BackwardWriter::BackwardWriter(const Layer& layer, const BackwardOptions& options)
    : layer_(layer), options_(options), slots_(layer), gradient_(layer.tensors.size(), kNoSlot),
      references_(SlotCount(layer), 0), view_(SlotCount(layer), false), savers_(SaversOf(layer)), alive_(layer.tensors.size(), true),
      freed_elsewhere_(layer.tensors.size(), false), next_temporary_(slots_.FirstTemporary()) {
  if (options.selective) alive_ = KeptAfterForward(layer, true);
  for (const Operator& op : layer.after_backward)
    for (TensorIndex t : op.inputs) freed_elsewhere_[t] = alive_[t] = true;
  for (TensorIndex t : layer.outputs) {
    freed_elsewhere_[t] = true;
    alive_[t] = true;
    if (!layer.tensors[t].differentiable) continue;
    gradient_[t] = slots_.Gradient(t);
    references_[gradient_[t]] = 1;
  }
  for (size_t i = 1; i < layer.inputs.size(); ++i) {
    const TensorIndex t = layer.inputs[i];
    freed_elsewhere_[t] = true;
    alive_[t] = true;
    if (i >= options.gradient_exists.size() || !options.gradient_exists[i]) continue;
    gradient_[t] = slots_.Gradient(t);
    references_[gradient_[t]] = 1;
  }
}

void BackwardWriter::Release(uint32_t slot) {
  SIM_CHECK(references_[slot] > 0, layer_.name, ": gradient freed twice");
  if (--references_[slot] == 0) events_.push_back(Free(slot));
}

void BackwardWriter::Add(TensorIndex t, uint32_t slot) {
  if (gradient_[t] == kNoSlot) {
    gradient_[t] = slot;
    return;
  }
  const uint32_t old = gradient_[t];
  LayerEvent sum;
  sum.kind = LayerEventKind::kAccumulate;
  sum.tensor = t;
  sum.backward = true;
  if (references_[old] == 1 && !view_[old]) {
    sum.slot = old;
    events_.push_back(sum);
  } else {
    sum.slot = NewTemporary();
    events_.push_back(Allocate(sum.slot, layer_.tensors[t].bytes, StorageUse::kGradient, t));
    events_.push_back(sum);
    references_[sum.slot] = 1;
    gradient_[t] = sum.slot;
    Release(old);
  }
  Release(slot);
}

std::vector<std::pair<TensorIndex, uint32_t>> BackwardWriter::AllocateInputGradients(const Operator& op) {
  std::vector<std::pair<TensorIndex, uint32_t>> written;
  for (size_t k = 0; k < op.inputs.size(); ++k) {
    const TensorIndex t = op.inputs[k];
    if (!layer_.tensors[t].differentiable || Contains(op.passes_gradient_to, t)) continue;
    if (op.in_place && k == 0) continue;
    if (!layer_.inputs.empty() && t == layer_.inputs[0] && !options_.input_gradient) continue;
    // A slot is used once: a second gradient of the same tensor goes to a temporary.
    const bool first = gradient_[t] == kNoSlot && references_[slots_.Gradient(t)] == 0;
    const uint32_t slot = first ? slots_.Gradient(t) : NewTemporary();
    references_[slot] = 1;
    view_[slot] = op.input_gradient_is_view;
    events_.push_back(Allocate(slot, layer_.tensors[t].bytes, StorageUse::kGradient, t));
    written.emplace_back(t, slot);
  }
  return written;
}

void BackwardWriter::FreeSaved(const Operator& op) {
  for (TensorIndex t : op.saved)
    if (--savers_[t] == 0 && !freed_elsewhere_[t]) {
      alive_[t] = false;
      events_.push_back(Free(t));
    }
}

void BackwardWriter::RecomputeGroup(uint32_t op) {
  const auto [first, end] = SelectiveGroup(layer_, op);
  for (uint32_t i = first; i < end; ++i) {
    RunForward(layer_, i, alive_, events_);
    for (TensorIndex t : layer_.operators[i].outputs) alive_[t] = true;
  }
  // What nobody's backward needs goes again: results in between, and inputs that were kept only for this.
  for (uint32_t i = first; i < end; ++i)
    for (const auto* list : {&layer_.operators[i].inputs, &layer_.operators[i].outputs})
      for (TensorIndex t : *list)
        if (savers_[t] == 0 && alive_[t] && !freed_elsewhere_[t]) {
          alive_[t] = false;
          events_.push_back(Free(t));
        }
}

void BackwardWriter::RunOperator(uint32_t i) {
  const Operator& op = layer_.operators[i];
  // The gradient that comes in. An operator in place hands its own on.
  std::vector<uint32_t> incoming;
  for (TensorIndex t : op.outputs)
    if (gradient_[t] != kNoSlot) incoming.push_back(gradient_[t]);
  if (op.in_place && gradient_[op.inputs[0]] != kNoSlot) incoming.push_back(gradient_[op.inputs[0]]);
  const bool source = op.outputs.empty() && !op.in_place;
  if (incoming.empty() && !source) {
    FreeSaved(op);
    return;
  }
  if (options_.selective && op.recomputed_selectively) {
    const bool first_met = i + 1 == layer_.operators.size() || !layer_.operators[i + 1].recomputed_selectively;
    if (first_met) RecomputeGroup(i);
  }
  if (op.boundary != Boundary::kNone) events_.push_back(OperatorEvent(LayerEventKind::kBoundaryBackward, i, true));
  const auto allocate_parameters = [&] {
    for (uint32_t p : op.parameters) events_.push_back(ParameterEvent(LayerEventKind::kGradientAllocate, i, p));
  };
  if (op.parameter_gradients_first) allocate_parameters();
  const auto written = AllocateInputGradients(op);
  if (!op.parameter_gradients_first) allocate_parameters();
  const bool workspace = op.backward_workspace > Bytes(0);
  if (workspace)
    events_.push_back(Allocate(slots_.BackwardWorkspace(i), op.backward_workspace, StorageUse::kWorkspace));
  if (!op.backward.empty() || op.backward_views > 0) events_.push_back(OperatorEvent(LayerEventKind::kRun, i, true));
  if (workspace) events_.push_back(Free(slots_.BackwardWorkspace(i)));
  // The node's inputs go out of scope before its saved tensors are released.
  SIM_CHECK(op.passes_gradient_to.empty() || incoming.size() == 1, op.name, " passes on a gradient it has not one of");
  if (!incoming.empty()) references_[incoming[0]] += static_cast<uint32_t>(op.passes_gradient_to.size());
  if (!op.in_place)
    for (uint32_t slot : incoming) Release(slot);
  FreeSaved(op);
  for (uint32_t p : op.parameters) events_.push_back(ParameterEvent(LayerEventKind::kGradientReady, i, p));
  for (TensorIndex t : op.outputs) gradient_[t] = kNoSlot;
  for (TensorIndex t : op.passes_gradient_to) Add(t, incoming[0]);
  for (const auto& [t, slot] : written) Add(t, slot);
}

BackwardPass BackwardWriter::Write() {
  for (auto i = static_cast<uint32_t>(layer_.operators.size()); i > 0; --i) RunOperator(i - 1);
  BackwardPass pass;
  for (TensorIndex t : layer_.inputs) pass.input_gradient_slots.push_back(gradient_[t]);
  pass.events = std::move(events_);
  return pass;
}

}  // namespace

BackwardPass BackwardEvents(const Layer& layer, const BackwardOptions& options) {
  return BackwardWriter(layer, options).Write();
}

Kernel AccumulateWork(const Tensor& tensor, bool compiled) {
  Kernel kernel;
  kernel.name = "gradient_sum";
  kernel.host = HostCall::kOperator;
  kernel.work.kind = KernelKind::kMemory;
  kernel.work.dtype = tensor.dtype;
  kernel.work.access = MemoryAccess::kElementwise;
  kernel.work.rows = 1;
  kernel.work.columns = tensor.bytes.value() / SizeOf(tensor.dtype, 1).value();
  kernel.work.read = 2 * tensor.bytes;
  kernel.work.written = tensor.bytes;
  if (compiled) {
    kernel.host = HostCall::kNone;
    kernel.work.read = tensor.bytes;
    kernel.work.written = Bytes(0);
  }
  return kernel;
}

std::vector<uint32_t> AutocastCopies(const Layer& layer) {
  std::vector<uint32_t> slots;
  for (uint32_t t = 0; t < layer.tensors.size(); ++t)
    if (layer.tensors[t].autocast_copy) slots.push_back(t);
  return slots;
}

uint32_t SlotCount(const Layer& layer) {
  uint32_t temporaries = 0;
  for (const Operator& op : layer.operators)
    temporaries += static_cast<uint32_t>(op.inputs.size() + op.passes_gradient_to.size()) * 2;
  return Slots(layer).FirstTemporary() + temporaries;
}

Bytes SavedBytes(const Layer& layer) {
  Bytes total;
  const std::vector<uint32_t> savers = SaversOf(layer);
  for (TensorIndex t = 0; t < layer.tensors.size(); ++t) {
    const bool outside = (!layer.inputs.empty() && Contains({layer.inputs.begin() + 1, layer.inputs.end()}, t)) ||
                         Contains(layer.outputs, t);
    if (savers[t] > 0 && !outside) total += layer.tensors[t].bytes;
  }
  return total;
}

}  // namespace simulate
