#include "sim/engine/fold.h"

#include <algorithm>
#include <bit>

#include "absl/container/flat_hash_map.h"
#include "sim/base/check.h"

namespace simulate {

namespace {

using Colour = uint64_t;

Colour Mix(Colour a, uint64_t b) {  // splitmix64's finaliser over a running hash
  uint64_t z = a * 0x9E3779B97F4A7C15ULL + b + 0x632BE59BD9B4E019ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

// A place that a transfer of some program names: `offset` places on in the rank's group.
struct PeerUse {
  CommunicatorId communicator = 0;
  int64_t offset = 0;
  bool sends = false;
  auto operator<=>(const PeerUse&) const = default;
};

std::vector<PeerUse> PeersOf(const Program& program, const RankProgram& rank) {
  std::vector<PeerUse> uses;
  std::vector<uint8_t> seen(program.transfers.size(), 0);
  for (const Instruction& i : rank.instructions) {
    if (i.kind != InstructionKind::kTransfer || seen[i.object] != 0) continue;
    seen[i.object] = 1;
    const Transfer& t = program.transfers[i.object];
    if (t.send_bytes > Bytes(0)) uses.push_back({t.communicator, t.send_offset, true});
    if (t.receive_bytes > Bytes(0)) uses.push_back({t.communicator, t.receive_offset, false});
  }
  std::sort(uses.begin(), uses.end());
  uses.erase(std::unique(uses.begin(), uses.end()), uses.end());
  return uses;
}

// A rank's peer and how the pair is placed.
struct Peer {
  RankId rank = 0;
  Colour placement = 0;
};

class Refiner {
 public:
  Refiner(const Program& program, const std::vector<Membership>& memberships, const Costs& costs,
          std::span<const double> compute)
      : program_(program), memberships_(memberships) {
    const uint32_t world = program.world_size();
    colours_.resize(world);
    const bool alike = std::all_of(compute.begin(), compute.end(), [&](double share) { return share == compute[0]; }) ||
                      !costs.SharesNics();
    std::vector<uint32_t> on_node;
    for (RankId r = 0; r < world; ++r) {
      nodes_.push_back(costs.Node(r));
      if (nodes_[r] >= on_node.size()) on_node.resize(nodes_[r] + 1, 0);
      const uint32_t place = on_node[nodes_[r]]++;
      colours_[r] = Mix(program.program_of_rank[r], std::bit_cast<uint64_t>(compute[r]));
      if (!alike) colours_[r] = Mix(colours_[r], place);
    }
    group_colours_.resize(program.communicators.size());
    for (size_t c = 0; c < program.communicators.size(); ++c) {
      for (const std::vector<RankId>& group : program.communicators[c].groups) {
        placements_.emplace_back(Mix(Mix(c, group.size()), costs.Placement(group)));
      }
      group_colours_[c].resize(program.communicators[c].groups.size());
    }
    FindPeers(costs);
  }

  // Refines until no class splits; leaves every rank's class number, in order of first rank.
  std::vector<uint32_t> Run() {
    std::vector<uint32_t> classes;
    for (size_t count = Number(classes);;) {
      Round();
      const size_t next = Number(classes);
      if (next == count) return classes;
      count = next;
    }
  }

  // Equal for groups of one communicator that are alike.
  [[nodiscard]] Colour group_colour(size_t communicator, size_t group) const {
    return group_colours_[communicator][group];
  }

 private:
  void FindPeers(const Costs& costs) {
    std::vector<std::vector<PeerUse>> uses;
    for (const RankProgram& rank : program_.programs) uses.push_back(PeersOf(program_, rank));
    first_peer_.push_back(0);
    for (RankId r = 0; r < program_.world_size(); ++r) {
      for (const PeerUse& use : uses[program_.program_of_rank[r]]) {
        const Membership& member = memberships_[use.communicator];
        const std::vector<RankId>& group = program_.communicators[use.communicator].groups[member.group[r]];
        const auto size = static_cast<int64_t>(group.size());
        const int64_t place = (((member.place[r] + use.offset) % size) + size) % size;
        const RankId peer = group[static_cast<size_t>(place)];
        const RankId pair[] = {use.sends ? r : peer, use.sends ? peer : r};
        peers_.push_back({peer, costs.Placement(pair)});
      }
      first_peer_.push_back(static_cast<uint32_t>(peers_.size()));
    }
  }

  void Round() {
    size_t at = 0;
    for (size_t c = 0; c < group_colours_.size(); ++c) {
      for (size_t g = 0; g < group_colours_[c].size(); ++g) {
        Colour sum = 0;  // commutative: a multiset
        for (const RankId member : program_.communicators[c].groups[g]) sum += Mix(1, colours_[member]);
        group_colours_[c][g] = Mix(placements_[at++], sum);
      }
    }
    node_colours_.clear();
    for (size_t r = 0; r < colours_.size(); ++r) {
      if (nodes_[r] >= node_colours_.size()) node_colours_.resize(nodes_[r] + 1, 0);
      node_colours_[nodes_[r]] += Mix(2, colours_[r]);
    }
    next_.resize(colours_.size());
    for (size_t r = 0; r < colours_.size(); ++r) {
      Colour colour = Mix(colours_[r], node_colours_[nodes_[r]]);
      for (size_t c = 0; c < group_colours_.size(); ++c) {
        const uint32_t group = memberships_[c].group[r];
        colour = Mix(colour, group == kNoGroup ? 0 : group_colours_[c][group]);
      }
      for (uint32_t p = first_peer_[r]; p < first_peer_[r + 1]; ++p) {
        colour = Mix(Mix(colour, colours_[peers_[p].rank]), peers_[p].placement);
      }
      next_[r] = colour;
    }
    colours_.swap(next_);
  }

  // Numbers the colours in order of first rank; returns how many there are.
  size_t Number(std::vector<uint32_t>& classes) const {
    absl::flat_hash_map<Colour, uint32_t> numbers;  // look-up only
    classes.resize(colours_.size());
    for (size_t r = 0; r < colours_.size(); ++r) {
      classes[r] = numbers.try_emplace(colours_[r], static_cast<uint32_t>(numbers.size())).first->second;
    }
    return numbers.size();
  }

  const Program& program_;
  const std::vector<Membership>& memberships_;
  std::vector<Colour> colours_, next_;
  std::vector<uint32_t> nodes_;
  std::vector<Colour> node_colours_;
  std::vector<Colour> placements_;  // of all groups, communicator after communicator
  std::vector<std::vector<Colour>> group_colours_;
  std::vector<uint32_t> first_peer_;
  std::vector<Peer> peers_;
};

// Classes and groups from every rank's class and every group's colour.
template <typename GroupColour>
Folding Assemble(const Program& program, std::vector<uint32_t> class_of_rank,
                 const GroupColour& group_colour) {
  Folding folding;
  for (RankId r = 0; r < class_of_rank.size(); ++r) {
    if (class_of_rank[r] == folding.classes.size()) folding.classes.push_back({.representative = r});
    ++folding.classes[class_of_rank[r]].weight;
  }
  folding.class_of_rank = std::move(class_of_rank);
  folding.class_of_group.resize(program.communicators.size());
  for (uint32_t c = 0; c < program.communicators.size(); ++c) {
    absl::flat_hash_map<Colour, uint32_t> numbers;  // look-up only
    const auto& groups = program.communicators[c].groups;
    for (uint32_t g = 0; g < groups.size(); ++g) {
      const auto [found, added] =
          numbers.try_emplace(group_colour(c, g), static_cast<uint32_t>(folding.groups.size()));
      if (added) {
        GroupClass fresh{.communicator = c};
        for (const RankId member : groups[g]) fresh.members.push_back(folding.class_of_rank[member]);
        std::sort(fresh.members.begin(), fresh.members.end());
        fresh.members.erase(std::unique(fresh.members.begin(), fresh.members.end()), fresh.members.end());
        folding.groups.push_back(std::move(fresh));
      }
      folding.groups[found->second].copies.push_back(g);
      folding.class_of_group[c].push_back(found->second);
    }
  }
  return folding;
}

}  // namespace

std::vector<Membership> MembershipsOf(const Program& program) {
  std::vector<Membership> memberships;
  for (const Communicator& communicator : program.communicators) {
    Membership& m = memberships.emplace_back();
    m.group.resize(program.world_size(), kNoGroup);
    m.place.resize(program.world_size(), 0);
    for (uint32_t g = 0; g < communicator.groups.size(); ++g) {
      for (uint32_t place = 0; place < communicator.groups[g].size(); ++place) {
        m.group[communicator.groups[g][place]] = g;
        m.place[communicator.groups[g][place]] = place;
      }
    }
  }
  return memberships;
}

Folding Fold(const Program& program, const std::vector<Membership>& memberships, const Costs& costs,
             std::span<const double> compute) {
  SIM_CHECK(compute.size() == program.world_size());
  Refiner refiner(program, memberships, costs, compute);
  std::vector<uint32_t> classes = refiner.Run();
  return Assemble(program, std::move(classes),
                  [&](uint32_t c, uint32_t g) { return refiner.group_colour(c, g); });
}

Folding Unfolded(const Program& program) {
  std::vector<uint32_t> classes(program.world_size());
  for (uint32_t r = 0; r < classes.size(); ++r) classes[r] = r;
  return Assemble(program, std::move(classes), [](uint32_t, uint32_t g) { return Colour{g}; });
}

}  // namespace simulate
