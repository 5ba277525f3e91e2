// Small scenarios, and what one asks of the programs built from them.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "sim/parallel/build_program.h"

namespace simulate {

inline Scenario TinyGpt(int64_t gpus, int64_t blocks = 3) {
  Scenario s;
  s.gpus = gpus;
  s.model.name = "tiny";
  s.model.family = ModelFamily::kGpt2;
  s.model.hidden_size = 256;
  s.model.num_hidden_layers = blocks;
  s.model.num_attention_heads = 4;
  s.model.num_key_value_heads = 4;
  s.model.head_dim = 64;
  s.model.intermediate_size = 1024;
  s.model.vocab_size = 1024;
  s.model.max_position_embeddings = 128;
  s.model.attention_bias = s.model.mlp_bias = s.model.norm_bias = true;
  s.training.sequence_length = 128;
  s.training.micro_batch_size = 2;
  s.hardware.node.accelerators = 8;
  return s;
}

inline void UseBf16(Scenario& s) {
  s.training.precision = {.name = "bf16", .parameters = DType::kBf16, .compute = DType::kBf16, .gradients = DType::kBf16,
                          .gradient_reduction = DType::kBf16, .master_weights = {}, .optimizer = DType::kBf16};
}

// The collectives of one rank in the order in which its host enqueues them.
inline std::vector<CollectiveCall> Collectives(const Program& program, size_t rank_program = 0) {
  std::vector<CollectiveCall> calls;
  for (const Instruction& i : program.programs[rank_program].instructions) {
    if (i.kind == InstructionKind::kCollective) calls.push_back(program.collectives[i.object]);
  }
  return calls;
}

// ... as letters: A all_gather, R reduce_scatter, S all_reduce.
inline std::string Letters(const Program& program, size_t rank_program = 0) {
  std::string letters;
  for (const CollectiveCall& call : Collectives(program, rank_program)) {
    switch (call.op) {
      case CollectiveOp::kAllGather: letters += 'A'; break;
      case CollectiveOp::kReduceScatter: letters += 'R'; break;
      case CollectiveOp::kAllReduce: letters += 'S'; break;
      default: letters += '?'; break;
    }
  }
  return letters;
}

inline int64_t CountNamed(const Program& program, const std::string& name, size_t rank_program = 0) {
  return std::ranges::count_if(program.programs[rank_program].instructions,
                               [&](const Instruction& i) { return IsLaunch(i.kind) && program.names[i.name] == name; });
}

inline int64_t CountKind(const Program& program, InstructionKind kind, size_t rank_program = 0) {
  return std::ranges::count_if(program.programs[rank_program].instructions,
                               [&](const Instruction& i) { return i.kind == kind; });
}

inline Bytes BytesOf(const Program& program, CollectiveOp op, size_t rank_program = 0) {
  Bytes sum;
  for (const CollectiveCall& call : Collectives(program, rank_program)) {
    if (call.op == op) sum += call.bytes;
  }
  return sum;
}

struct MemoryTotals {
  std::map<MemoryCategory, Bytes> persistent;  // when the step begins
  Bytes at_begin;
  Bytes at_end;
  Bytes peak;
};

inline MemoryTotals MemoryOf(const Program& program, size_t rank_program = 0) {
  MemoryTotals totals;
  Bytes now;
  const RankProgram& rank = program.programs[rank_program];
  for (uint32_t n = 0; n < rank.instructions.size(); ++n) {
    const Instruction& i = rank.instructions[n];
    if (n == rank.step_begin) totals.at_begin = now;
    const bool memory = i.kind == InstructionKind::kAllocate || i.kind == InstructionKind::kFree;
    if (memory && rank.buffers[i.object].life == Life::kFirstStep) continue;  // a steady step does not know it
    if (i.kind == InstructionKind::kAllocate) {
      now += rank.buffers[i.object].bytes;
      if (n < rank.step_begin) totals.persistent[rank.buffers[i.object].category] += rank.buffers[i.object].bytes;
    }
    if (i.kind == InstructionKind::kFree) now -= rank.buffers[i.object].bytes;
    totals.peak = std::max(totals.peak, now);
  }
  totals.at_end = now;
  return totals;
}

inline int64_t ParameterCount(const Scenario& s) { return BuildModel(s.model, s.training).parameters; }

}  // namespace simulate
