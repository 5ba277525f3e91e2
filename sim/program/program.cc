#include "sim/program/program.h"

#include <map>

#include "sim/base/check.h"

namespace simulate {

const char* Name(MemoryCategory category) {
  switch (category) {
    case MemoryCategory::kParameters:
      return "parameters";
    case MemoryCategory::kGradients:
      return "gradients";
    case MemoryCategory::kOptimizerState:
      return "optimizer_state";
    case MemoryCategory::kMasterWeights:
      return "master_weights";
    case MemoryCategory::kActivations:
      return "activations";
    case MemoryCategory::kUnshardedParameters:
      return "unsharded_parameters";
    case MemoryCategory::kUnshardedGradients:
      return "unsharded_gradients";
    case MemoryCategory::kCommunicationBuffers:
      return "communication_buffers";
    case MemoryCategory::kLogits:
      return "logits";
    case MemoryCategory::kWorkspace:
      return "workspace";
    case MemoryCategory::kFramework:
      return "framework";
  }
  return "";
}

const char* Name(Phase phase) {
  switch (phase) {
    case Phase::kSetup:
      return "setup";
    case Phase::kForward:
      return "forward";
    case Phase::kRecompute:
      return "recompute";
    case Phase::kBackward:
      return "backward";
    case Phase::kOptimizer:
      return "optimizer";
  }
  return "";
}

namespace {

constexpr uint32_t kNobody = 0xFFFFFFFF;

// Sizes of the shared tables, by the kind of instruction that refers to them.
size_t ObjectCount(const Program& program, const RankProgram& rank, InstructionKind kind) {
  switch (kind) {
    case InstructionKind::kKernel:
      return program.kernels.size();
    case InstructionKind::kCollective:
      return program.collectives.size();
    case InstructionKind::kTransfer:
      return program.transfers.size();
    case InstructionKind::kAllocate:
    case InstructionKind::kFree:
      return rank.buffers.size();
    case InstructionKind::kHostWait:
    case InstructionKind::kHostWork:
      return 1;
  }
  return 0;
}

// Which instructions of one rank program may follow one another: invariants 1 and 3.
void ValidateRankProgram(const Program& program, size_t index) {
  const RankProgram& rank = program.programs[index];
  enum class Life : uint8_t { kUnborn, kAlive, kFreed };
  std::vector<Life> life(rank.buffers.size(), Life::kUnborn);
  SIM_CHECK(rank.step_begin <= rank.instructions.size(), "program ", index,
            ": the step begins beyond its end");
  for (size_t at = 0; at < rank.instructions.size(); ++at) {
    const Instruction& i = rank.instructions[at];
    SIM_CHECK(i.object < ObjectCount(program, rank, i.kind), "program ", index, ", instruction ", at,
              ": object ", i.object, " does not exist");
    SIM_CHECK(i.name == 0 || i.name < program.names.size(), "program ", index, ", instruction ", at,
              ": no such name");
    SIM_CHECK(size_t{i.first_wait} + i.wait_count <= rank.waits.size(), "program ", index, ", instruction ",
              at, ": waits beyond the table");
    for (const uint32_t wait : rank.Waits(i)) {
      SIM_CHECK(wait < at, "program ", index, ", instruction ", at, ": waits for instruction ", wait,
                ", which is not earlier");
      SIM_CHECK(IsLaunch(rank.instructions[wait].kind), "program ", index, ", instruction ", at,
                ": waits for instruction ", wait, ", which launches nothing");
    }
    if (IsLaunch(i.kind)) {
      SIM_CHECK(i.stream < program.streams.size(), "program ", index, ", instruction ", at,
                ": no such stream");
      SIM_CHECK(at >= rank.step_begin, "program ", index, ", instruction ", at,
                ": work launched during setup");
    }
    if (i.kind == InstructionKind::kAllocate) {
      SIM_CHECK(life[i.object] == Life::kUnborn, "program ", index, ", instruction ", at, ": buffer ",
                i.object, " is allocated twice");
      SIM_CHECK(rank.buffers[i.object].bytes >= Bytes(0), "program ", index, ": buffer of negative size");
      life[i.object] = Life::kAlive;
    } else if (i.kind == InstructionKind::kFree) {
      SIM_CHECK(life[i.object] == Life::kAlive, "program ", index, ", instruction ", at, ": buffer ",
                i.object, " is freed but not alive");
      life[i.object] = Life::kFreed;
    }
  }
}

// Group of every rank in one communicator (kNobody outside of it); checks that groups are disjoint.
std::vector<uint32_t> GroupOfRank(const Program& program, const Communicator& communicator) {
  std::vector<uint32_t> group_of(program.world_size(), kNobody);
  for (size_t g = 0; g < communicator.groups.size(); ++g) {
    SIM_CHECK(!communicator.groups[g].empty(), "communicator ", communicator.name, " has an empty group");
    for (const RankId rank : communicator.groups[g]) {
      SIM_CHECK(rank < program.world_size(), "communicator ", communicator.name, ": rank ", rank,
                " does not exist");
      SIM_CHECK(group_of[rank] == kNobody, "communicator ", communicator.name, ": rank ", rank,
                " is in two groups");
      group_of[rank] = static_cast<uint32_t>(g);
    }
  }
  return group_of;
}

// What one program does on one communicator; equal sequences get equal numbers.
struct CallsOfProgram {
  std::vector<uint32_t> collectives;
  std::vector<uint32_t> transfers;
};

// calls[communicator][program]
std::vector<std::vector<CallsOfProgram>> CollectCalls(const Program& program) {
  std::vector<std::vector<CallsOfProgram>> calls(program.communicators.size(),
                                                 std::vector<CallsOfProgram>(program.programs.size()));
  for (size_t p = 0; p < program.programs.size(); ++p) {
    for (const Instruction& i : program.programs[p].instructions) {
      if (i.kind == InstructionKind::kCollective) {
        const CollectiveCall& call = program.collectives[i.object];
        SIM_CHECK(call.communicator < calls.size(), "collective on communicator ", call.communicator,
                  ", which does not exist");
        calls[call.communicator][p].collectives.push_back(i.object);
      } else if (i.kind == InstructionKind::kTransfer) {
        const Transfer& transfer = program.transfers[i.object];
        SIM_CHECK(transfer.communicator < calls.size(), "transfer on communicator ", transfer.communicator,
                  ", which does not exist");
        calls[transfer.communicator][p].transfers.push_back(i.object);
      }
    }
  }
  return calls;
}

// Every send has its receive: the k-th send from a to b is as large as b's k-th receive from a.
// `program_of` names the members' programs, in ring order.
void ValidateTransfers(const Program& program, const Communicator& communicator,
                       const std::vector<CallsOfProgram>& calls, const std::vector<uint32_t>& program_of) {
  const auto size = static_cast<int64_t>(program_of.size());
  const auto place = [size](int64_t member) { return ((member % size) + size) % size; };
  std::map<std::pair<int64_t, int64_t>, std::pair<std::vector<Bytes>, std::vector<Bytes>>> by_pair;
  for (int64_t member = 0; member < size; ++member) {
    for (const uint32_t id : calls[program_of[static_cast<size_t>(member)]].transfers) {
      const Transfer& t = program.transfers[id];
      if (t.send_bytes > Bytes(0))
        by_pair[{member, place(member + t.send_offset)}].first.push_back(t.send_bytes);
      if (t.receive_bytes > Bytes(0)) {
        by_pair[{place(member + t.receive_offset), member}].second.push_back(t.receive_bytes);
      }
    }
  }
  for (const auto& [pair, halves] : by_pair) {
    SIM_CHECK(halves.first == halves.second, "communicator ", communicator.name, ": member ", pair.first,
              " sends ", halves.first.size(), " messages to member ", pair.second, ", which receives ",
              halves.second.size(), ", or their sizes differ");
  }
}

// Invariant 2, for collectives and transfers. Groups whose members run the same list of programs are
// checked once.
void ValidateCommunicator(const Program& program, size_t index, const std::vector<CallsOfProgram>& calls) {
  const Communicator& communicator = program.communicators[index];
  const std::vector<uint32_t> group_of = GroupOfRank(program, communicator);
  for (RankId rank = 0; rank < program.world_size(); ++rank) {
    const CallsOfProgram& own = calls[program.program_of_rank[rank]];
    SIM_CHECK(group_of[rank] != kNobody || (own.collectives.empty() && own.transfers.empty()), "rank ", rank,
              " calls communicator ", communicator.name, " but is in none of its groups");
  }
  std::map<std::vector<uint32_t>, bool> checked;
  std::vector<uint32_t> program_of;
  for (const std::vector<RankId>& group : communicator.groups) {
    program_of.clear();
    for (const RankId rank : group) program_of.push_back(program.program_of_rank[rank]);
    if (!checked.emplace(program_of, true).second) continue;
    for (size_t m = 1; m < group.size(); ++m) {
      SIM_CHECK(program_of[m] == program_of[0] ||
                    calls[program_of[m]].collectives == calls[program_of[0]].collectives,
                "ranks ", group[0], " and ", group[m], " make different collective calls on communicator ",
                communicator.name);
    }
    ValidateTransfers(program, communicator, calls, program_of);
  }
}

}  // namespace

void Validate(const Program& program) {
  SIM_CHECK(!program.program_of_rank.empty(), "the program has no ranks");
  for (const uint32_t index : program.program_of_rank) {
    SIM_CHECK(index < program.programs.size(), "rank program ", index, " does not exist");
  }
  for (size_t p = 0; p < program.programs.size(); ++p) ValidateRankProgram(program, p);
  const auto calls = CollectCalls(program);
  for (size_t c = 0; c < program.communicators.size(); ++c) ValidateCommunicator(program, c, calls[c]);
}

}  // namespace simulate
