// Replays a model's events as one GPU without any parallelism would, and reports the peak of allocated bytes.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "sim/model/liveness.h"

namespace simulate::testing {

struct StepMemory {
  bool checkpoint = false;
  int64_t state_bytes_per_parameter = 6;     // weights and optimizer state
  int64_t gradient_bytes_per_parameter = 2;
};

class Replay {
 public:
  Replay(const Model& model, const StepMemory& settings) : model_(model), settings_(settings) {}

  int64_t Peak() {
    // The caching allocator hands out multiples of 512 bytes; cuBLAS keeps a workspace of 32 MiB on Hopper for each
    // thread that calls it: Python's and autograd's.
    Hold(settings_.state_bytes_per_parameter * model_.parameters + (int64_t{64} << 20));
    buffers_.resize(model_.uses.size());
    for (size_t u = 0; u < model_.uses.size(); ++u) Forward(u);
    for (size_t u = 0; u < model_.uses.size(); ++u)
      if (Checkpointed(u))
        for (uint32_t slot : AutocastCopies(LayerOf(u))) Free(u, slot);
    for (size_t u = model_.uses.size(); u > 0; --u) Backward(u - 1);
    return peak_;
  }
  int64_t now() const { return now_; }

 private:
  const Layer& LayerOf(size_t u) const { return model_.layers[model_.uses[u].layer]; }
  bool Checkpointed(size_t u) const { return settings_.checkpoint && model_.uses[u].block; }
  bool Chained(size_t u) const { return u + 1 < model_.uses.size() && !LayerOf(u + 1).inputs.empty(); }

  void Hold(int64_t bytes) {
    now_ += bytes;
    peak_ = std::max(peak_, now_);
  }
  void Allocate(size_t u, uint32_t slot, int64_t bytes) {
    bytes = RoundUp(std::max<int64_t>(bytes, 1), 512);
    buffers_[u][slot] = bytes;
    Hold(bytes);
  }
  void Free(size_t u, uint32_t slot) {
    now_ -= buffers_[u].at(slot);
    buffers_[u].erase(slot);
  }
  void Move(size_t from, uint32_t from_slot, size_t to, uint32_t to_slot) {
    buffers_[to][to_slot] = buffers_[from].at(from_slot);
    buffers_[from].erase(from_slot);
  }
  void Run(size_t u, const std::vector<LayerEvent>& events) {
    for (const LayerEvent& e : events) {
      if (e.kind == LayerEventKind::kAllocate) Allocate(u, e.slot, e.bytes.value());
      if (e.kind == LayerEventKind::kFree) Free(u, e.slot);
      if (e.kind == LayerEventKind::kGradientAllocate && !LayerOf(u).parameters[e.parameter].tied)
        Hold(settings_.gradient_bytes_per_parameter * LayerOf(u).parameters[e.parameter].elements);
    }
  }
  void Forward(size_t u) {
    const Layer& layer = LayerOf(u);
    if (!layer.inputs.empty()) Move(u - 1, LayerOf(u - 1).outputs[0], u, layer.inputs[0]);
    Run(u, ForwardEvents(layer, Checkpointed(u) ? ForwardMode::kKeepNothing : ForwardMode::kKeepSaved));
  }
  void Backward(size_t u) {
    const Layer& layer = LayerOf(u);
    if (u + 1 == model_.uses.size()) Allocate(u, GradientSlot(layer, layer.outputs[0]), 4);
    if (Checkpointed(u)) Run(u, ForwardEvents(layer, ForwardMode::kRecompute));
    BackwardOptions options;
    options.gradient_exists.assign(layer.inputs.size(), false);
    for (size_t i = 1; i < layer.inputs.size(); ++i) options.gradient_exists[i] = External(u, i).second;
    BorrowExternal(u, options);
    const BackwardPass pass = BackwardEvents(layer, options);
    Run(u, pass.events);
    ReturnExternal(u, pass);
    if (!layer.inputs.empty() && pass.input_gradient_slots[0] != kNoSlot)
      Move(u, pass.input_gradient_slots[0], u - 1, GradientSlot(LayerOf(u - 1), LayerOf(u - 1).outputs[0]));
    // What this use made for others and nobody chains on.
    for (size_t o = Chained(u) ? 1 : 0; o < layer.outputs.size(); ++o)
      if (buffers_[u].count(layer.outputs[o])) Free(u, layer.outputs[o]);
  }
  // The producer's gradient slot of an extra input, and whether it holds anything yet.
  std::pair<std::pair<size_t, uint32_t>, bool> External(size_t u, size_t input) {
    const LayerUse::Source source = model_.uses[u].extra_inputs[input - 1];
    const Layer& from = LayerOf(source.use);
    const uint32_t slot = GradientSlot(from, from.outputs[source.output]);
    return {{source.use, slot}, buffers_[source.use].count(slot) > 0};
  }
  void BorrowExternal(size_t u, const BackwardOptions& options) {
    for (size_t i = 1; i < LayerOf(u).inputs.size(); ++i)
      if (options.gradient_exists[i]) {
        const auto [where, exists] = External(u, i);
        Move(where.first, where.second, u, GradientSlot(LayerOf(u), LayerOf(u).inputs[i]));
      }
  }
  void ReturnExternal(size_t u, const BackwardPass& pass) {
    for (size_t i = 1; i < LayerOf(u).inputs.size(); ++i)
      if (pass.input_gradient_slots[i] != kNoSlot) {
        const auto where = External(u, i).first;
        Move(u, pass.input_gradient_slots[i], where.first, where.second);
      }
  }

  const Model& model_;
  StepMemory settings_;
  std::vector<std::map<uint32_t, int64_t>> buffers_;
  int64_t now_ = 0, peak_ = 0;
};

}  // namespace simulate::testing
