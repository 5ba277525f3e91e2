// What the builders of one rank program share: the scenario, the rank's part of the model, the streams
// and communicators, and the writer. Plain data; no logic beyond look-up.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "sim/model/model.h"
#include "sim/parallel/build_program.h"
#include "sim/parallel/writer.h"

namespace simulate {

inline constexpr BufferId kNoBuffer = 0xFFFFFFFF;

// A communicator and the stream that its calls run on. NCCL keeps the calls of one communicator in the
// order in which they were enqueued, whichever stream issued them, so one stream per communicator is right.
struct Channel {
  CommunicatorId communicator = 0;
  StreamId stream = 0;
  int64_t size = 1;  // members of a group
};

// Point to point between pipeline stages, in one direction of the data flow. Streams by direction of the neighbour:
// [0] the next stage, [1] the previous one, so that one slow neighbour does not hold up the other.
struct PipelineWire {
  CommunicatorId communicator = 0;
  std::array<StreamId, 2> send{};
  std::array<StreamId, 2> receive{};
};

// Streams and communicators of the whole program; shared by all rank programs.
struct Wiring {
  StreamId compute = 0;
  StreamId pre_unshard = 0;    // FSDP: casts the shard before it is gathered; FSDP2: all_gather_copy_in_stream
  StreamId unshard = 0;        // FSDP1: its memory pool holds the gathered units
  StreamId post_backward = 0;  // FSDP: reduces gradients
  StreamId all_reduce = 0;     // FSDP: hybrid sharding's reduction over replicas
  StreamId copy_in = 0;        // offload: from the host
  StreamId copy_out = 0;       // and to it; both ways at once
  Channel data;                // all ranks that hold the same parameters
  Channel shard;               // those that share one copy among them (equals `data` unless hybrid)
  Channel replica;             // hybrid sharding: equal shards
  Channel tensor;
  Channel context;
  PipelineWire forward;        // activations
  PipelineWire backward;       // their gradients
  Channel embedding;           // first and last stage, tied embeddings
  Channel expert;
  Channel expert_data;
  // The ranks that hold copies of a parameter: of an expert's, those at equal places of different sets of experts.
  [[nodiscard]] const Channel& Copies(bool of_expert) const { return of_expert && expert.size > 1 ? expert_data : data; }
};

// One parameter tensor of this rank. A tied weight is one parameter with several contributions.
struct ParameterInfo {
  uint32_t use = 0;           // its owner
  uint32_t index = 0;         // into Layer::parameters
  int64_t elements = 0;
  int contributions = 1;      // operators' layers that produce a gradient for it
  bool expert = false;
  bool block = false;         // belongs to a transformer block
  bool frozen = false;
  bool of_product = false;    // every gradient of it is a matrix product
  Bytes stored;               // if frozen and quantized
};

class ParameterTable {
 public:
  ParameterTable(const Model& model, const std::vector<uint32_t>& uses);
  [[nodiscard]] const std::vector<ParameterInfo>& all() const { return parameters_; }
  [[nodiscard]] uint32_t Id(uint32_t use, uint32_t index) const { return ids_[use][index]; }
  [[nodiscard]] int64_t elements() const;
  [[nodiscard]] int64_t elements(bool of_experts) const;
  [[nodiscard]] int64_t trained_elements() const;
  [[nodiscard]] int64_t trained_tensors() const;

 private:
  std::vector<ParameterInfo> parameters_;
  std::vector<std::vector<uint32_t>> ids_;  // [use][index]
};

struct Environment {
  const Scenario& scenario;
  const Model& model;
  Layout layout;
  Wiring wiring;
  std::vector<uint32_t> uses;  // of the model, that this rank computes, in execution order
  ParameterTable parameters;
  StepWriter& writer;

  [[nodiscard]] const Layer& LayerOf(uint32_t use) const { return model.layers[model.uses[use].layer]; }
  [[nodiscard]] bool Owns(uint32_t use) const { return std::ranges::find(uses, use) != uses.end(); }
  [[nodiscard]] const PrecisionSpec& precision() const { return scenario.training.precision; }
};

}  // namespace simulate
