// What FSDP1, FSDP2 and ZeRO-3 share: the units whose parameters are gathered together. One unit per
// transformer block, and the root unit (units[0]) with everything else: embeddings, final norm, head.
// Under expert parallelism a block's experts are a unit of their own, sharded over the ranks that hold the same experts
// (torchtitan: fully_shard(block.moe.experts, mesh=dp_mod_ep_mesh)); it is gathered, released and reduced with its block's.
#pragma once

#include <string>
#include <vector>

#include "sim/parallel/environment.h"

namespace simulate {

struct FsdpUnit {
  std::string name;
  std::vector<uint32_t> parameters;
  int64_t elements = 0;
  int64_t local = 0;   // of one shard, padding included
  int64_t padded = 0;  // local times shards
  Channel shard;
  Channel replica;
  uint32_t experts = 0;  // of a block: the unit of its experts; 0: none
};

struct FsdpUnits {
  std::vector<FsdpUnit> units;            // root first, then blocks in forward order, then experts
  size_t blocks_end = 1;
  std::vector<uint32_t> unit_of_use;
  std::vector<uint32_t> unit_of_parameter;

  explicit FsdpUnits(const Environment& environment);
  [[nodiscard]] int64_t local_elements() const;
};

// Number formats that FSDP's MixedPrecision (FSDP2: MixedPrecisionPolicy) distinguishes.
struct FsdpTypes {
  DType storage = DType::kFp32;  // the shards, their gradients: what the optimizer sees
  DType compute = DType::kBf16;  // gathered parameters, and the gradients that autograd makes
  DType reduce = DType::kBf16;   // reduction of gradients
};
[[nodiscard]] FsdpTypes FsdpTypesOf(const PrecisionSpec& precision);

// What both versions hold for good of `elements` of a shard, and their optimizer step over `tensors` tensors: clipping,
// optimizer (on the host if offloaded), zero_grad, which gives the units' gradients back or overwrites them.
void HoldShard(Environment& env, const FsdpTypes& types, int64_t elements);
void StepShards(Environment& env, const FsdpTypes& types, int64_t elements, int64_t tensors, std::vector<BufferId>& gradients);

// FSDP1 divides gradients by this before the sum and by the rest after it (_get_gradient_predivide_factor): about the
// square root of the world size, as a power of two that divides it.
[[nodiscard]] int64_t GradientPredivideFactor(int64_t world);

}  // namespace simulate
