// Folding: which ranks must behave alike, so that one of each kind is simulated.
//
// Colour refinement (Weisfeiler-Leman, dimension 1) over ranks, groups and nodes. A rank starts with the
// colour (program, speed); where speeds differ and accelerators share NICs, also with its place in the node:
// a straggler's neighbour at the same NIC meets its late messages, the others of the node do not.
// In each round a group's colour is its communicator, its placement on the graph and the multiset of its
// members' colours; a node's is the multiset of the colours on it; a rank's
// new colour is its old one with those of its groups and its node, and for transfers those of its peers
// with the placement of the pair. Rounds go on until no class splits. Two ranks of one class then see
// the same programs, prices and peers, so they do the same things at the same times; ranks that share a
// node's links with a straggler differ from those that do not.
// Cost: O(rounds * (ranks * communicators)).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/costs.h"
#include "sim/program/program.h"

namespace simulate {

constexpr uint32_t kNoGroup = 0xFFFFFFFF;

struct RankClass {
  RankId representative = 0;  // the lowest rank of the class
  uint32_t weight = 0;
};

// Groups of one communicator whose members behave alike.
struct GroupClass {
  CommunicatorId communicator = 0;
  std::vector<uint32_t> copies;   // indices of Communicator::groups; the first is the representative
  std::vector<uint32_t> members;  // simulated ranks, each once
};

// Where every rank stands in one communicator; kNoGroup outside of it.
struct Membership {
  std::vector<uint32_t> group;  // by rank: index of Communicator::groups
  std::vector<uint32_t> place;  // by rank: position in that group
};
[[nodiscard]] std::vector<Membership> MembershipsOf(const Program& program);

struct Folding {
  std::vector<RankClass> classes;  // in order of representative
  std::vector<uint32_t> class_of_rank;
  std::vector<GroupClass> groups;
  std::vector<std::vector<uint32_t>> class_of_group;  // [communicator][group]: index of `groups`
};

// `compute[rank]` is the share of their speed at which a rank's kernels run.
[[nodiscard]] Folding Fold(const Program& program, const std::vector<Membership>& memberships,
                           const Costs& costs, std::span<const double> compute);
// Every rank a class of its own.
[[nodiscard]] Folding Unfolded(const Program& program);

}  // namespace simulate
