#include "sim/chakra/agreement.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"

namespace simulate {
namespace {

constexpr size_t kMostReports = 10;
constexpr uint32_t kNone = 0xFFFFFFFF;

class Agreement {
 public:
  Agreement(const Program& program, const std::vector<ProgramSource>& sources, Diagnostics& diagnostics)
      : program_(program), sources_(sources), diagnostics_(diagnostics) {
    calls_.resize(program.programs.size());
    for (size_t p = 0; p < program.programs.size(); ++p) {
      calls_[p].resize(program.communicators.size());
      const auto& code = program.programs[p].instructions;
      for (uint32_t i = 0; i < code.size(); ++i) {
        if (code[i].kind == InstructionKind::kCollective) {
          calls_[p][program.collectives[code[i].object].communicator].push_back(i);
        }
      }
    }
  }

  void CheckCollectives() {
    size_t reports = 0;
    std::set<std::vector<uint32_t>> seen;
    for (size_t c = 0; c < program_.communicators.size(); ++c) {
      for (const auto& group : program_.communicators[c].groups) {
        std::vector<uint32_t> kinds = {static_cast<uint32_t>(c)};
        for (const RankId rank : group) kinds.push_back(program_.program_of_rank[rank]);
        if (!seen.insert(kinds).second) continue;
        for (const RankId rank : group) {
          if (Same(c, group[0], rank)) continue;
          if (++reports <= kMostReports) ReportDifference(c, group[0], rank);
          break;
        }
      }
    }
  }

  // For communicators whose ranks are in no group: only an edited export of ours can have them.
  void CheckMembership() {
    for (size_t c = 0; c < program_.communicators.size(); ++c) {
      std::vector<uint8_t> member(program_.world_size(), 0);
      for (const auto& group : program_.communicators[c].groups) {
        for (const RankId rank : group) member[rank] = 1;
      }
      for (RankId rank = 0; rank < program_.world_size(); ++rank) {
        if (member[rank] != 0) continue;
        const uint32_t p = program_.program_of_rank[rank];
        if (calls_[p][c].empty() && !Transfers(p, c)) continue;
        diagnostics_.Error(absl::StrCat("rank ", rank, " communicates in ", program_.communicators[c].name,
                                        ", but is in none of its groups"),
                           {sources_[p].file});
        return;
      }
    }
  }

  void CheckTransfers() {
    size_t reports = 0;
    for (size_t c = 0; c < program_.communicators.size(); ++c) {
      std::set<std::vector<uint32_t>> seen;
      for (const auto& group : program_.communicators[c].groups) {
        std::vector<uint32_t> kinds;
        for (const RankId rank : group) kinds.push_back(program_.program_of_rank[rank]);
        if (seen.insert(kinds).second) CheckMessages(c, group, &reports);
      }
    }
  }

 private:
  [[nodiscard]] bool Transfers(uint32_t p, size_t communicator) const {
    const auto& code = program_.programs[p].instructions;
    return std::any_of(code.begin(), code.end(), [&](const Instruction& i) {
      return i.kind == InstructionKind::kTransfer && program_.transfers[i.object].communicator == communicator;
    });
  }

  [[nodiscard]] const std::vector<uint32_t>& Calls(RankId rank, size_t communicator) const {
    return calls_[program_.program_of_rank[rank]][communicator];
  }
  [[nodiscard]] uint32_t ObjectAt(RankId rank, uint32_t instruction) const {
    return program_.programs[program_.program_of_rank[rank]].instructions[instruction].object;
  }

  [[nodiscard]] bool Same(size_t c, RankId a, RankId b) const {
    if (program_.program_of_rank[a] == program_.program_of_rank[b]) return true;
    const auto& left = Calls(a, c);
    const auto& right = Calls(b, c);
    if (left.size() != right.size()) return false;
    for (size_t k = 0; k < left.size(); ++k) {
      if (ObjectAt(a, left[k]) != ObjectAt(b, right[k])) return false;
    }
    return true;
  }

  // "its call 3 is an all_gather of 1048576 bytes (node 12 `x`)"
  [[nodiscard]] std::string CallText(size_t c, RankId rank, size_t k) const {
    const auto& calls = Calls(rank, c);
    if (k >= calls.size()) return absl::StrCat("rank ", rank, " makes ", calls.size(), " calls only");
    const CollectiveCall& call = program_.collectives[ObjectAt(rank, calls[k])];
    return absl::StrCat("call ", k + 1, " of rank ", rank, " is ", Name(call.op), " of ", call.bytes.value(), " bytes: ",
                        Where(rank, calls[k]));
  }

  [[nodiscard]] std::string Where(RankId rank, uint32_t instruction) const {
    const uint32_t p = program_.program_of_rank[rank];
    const Instruction& i = program_.programs[p].instructions[instruction];
    const std::string name = i.name < program_.names.size() ? program_.names[i.name].substr(0, 60) : "";
    return absl::StrCat("node ", sources_[p].nodes[instruction], " `", name, "`");
  }

  void ReportDifference(size_t c, RankId a, RankId b) {
    size_t k = 0;
    const size_t both = std::min(Calls(a, c).size(), Calls(b, c).size());
    while (k < both && ObjectAt(a, Calls(a, c)[k]) == ObjectAt(b, Calls(b, c)[k])) ++k;
    Diagnostic& d = diagnostics_.Error(absl::StrCat("ranks ", a, " and ", b, " make different calls on the process group ",
                                                    program_.communicators[c].name),
                                       {sources_[program_.program_of_rank[b]].file});
    d.notes.push_back({CallText(c, b, k), {}});
    d.notes.push_back({CallText(c, a, k), {sources_[program_.program_of_rank[a]].file}});
    d.help.push_back("all members of a group must make the same calls, of the same sizes, in the same order");
  }

  struct Half {
    Bytes bytes;
    uint32_t instruction;
  };

  void CheckMessages(size_t c, const std::vector<RankId>& group, size_t* reports) {
    const auto size = static_cast<int64_t>(group.size());
    const auto place = [size](int64_t member) { return ((member % size) + size) % size; };
    std::map<std::pair<int64_t, int64_t>, std::pair<std::vector<Half>, std::vector<Half>>> by_pair;
    for (int64_t m = 0; m < size; ++m) {
      const auto& code = program_.programs[program_.program_of_rank[group[static_cast<size_t>(m)]]].instructions;
      for (uint32_t i = 0; i < code.size(); ++i) {
        if (code[i].kind != InstructionKind::kTransfer) continue;
        const Transfer& t = program_.transfers[code[i].object];
        if (t.communicator != c) continue;
        if (t.send_bytes > Bytes(0)) by_pair[{m, place(m + t.send_offset)}].first.push_back({t.send_bytes, i});
        if (t.receive_bytes > Bytes(0)) by_pair[{place(m + t.receive_offset), m}].second.push_back({t.receive_bytes, i});
      }
    }
    for (const auto& [pair, halves] : by_pair) {
      const auto& [sends, receives] = halves;
      size_t k = 0;
      while (k < sends.size() && k < receives.size() && sends[k].bytes == receives[k].bytes) ++k;
      if ((k == sends.size() && k == receives.size()) || ++*reports > kMostReports) continue;
      const RankId from = group[static_cast<size_t>(pair.first)];
      const RankId to = group[static_cast<size_t>(pair.second)];
      const bool unsent = k >= sends.size();
      const RankId at = unsent ? to : from;
      Diagnostic& d = diagnostics_.Error(
          absl::StrCat("message ", k + 1, " from rank ", from, " to rank ", to,
                       unsent ? " is never sent" : k >= receives.size() ? " is never received" : " changes its size on the way"),
          {sources_[program_.program_of_rank[at]].file});
      d.notes.push_back({Where(at, unsent ? receives[k].instruction : sends[k].instruction), {}});
    }
  }

  const Program& program_;
  const std::vector<ProgramSource>& sources_;
  Diagnostics& diagnostics_;
  std::vector<std::vector<std::vector<uint32_t>>> calls_;  // [program][communicator]: instructions
};

// Runs the program without time: hosts walk, streams go on, calls meet, until nothing moves.
class DryRun {
 public:
  explicit DryRun(const Program& program) : program_(program), streams_(program.streams.size()) {
    group_of_.resize(program.communicators.size(), std::vector<uint32_t>(program.world_size(), kNone));
    place_of_.resize(program.communicators.size(), std::vector<uint32_t>(program.world_size(), 0));
    for (size_t c = 0; c < program.communicators.size(); ++c) {
      const auto& groups = program.communicators[c].groups;
      arrived_.emplace_back(groups.size());
      for (uint32_t g = 0; g < groups.size(); ++g) {
        for (uint32_t m = 0; m < groups[g].size(); ++m) {
          group_of_[c][groups[g][m]] = g;
          place_of_[c][groups[g][m]] = m;
        }
      }
    }
    for (const RankProgram& code : program.programs) {
      std::vector<uint32_t> count(program.communicators.size(), 0);
      std::vector<uint32_t>& calls = call_of_.emplace_back();
      for (const Instruction& i : code.instructions) {
        const bool collective = i.kind == InstructionKind::kCollective;
        calls.push_back(collective ? count[program.collectives[i.object].communicator]++ : 0);
      }
    }
    ranks_.resize(program.world_size());
    for (RankId r = 0; r < program.world_size(); ++r) {
      ranks_[r].queues.resize(streams_);
      ranks_[r].done.resize(Code(r).instructions.size(), 0);
      ranks_[r].heads.resize(streams_, 0);
      ranks_[r].halves.resize(streams_, 0);
      work_.push_back(r);
    }
  }

  // What is at the head of a stream and never ends, or keeps a host.
  struct Stuck {
    RankId rank = 0;
    uint32_t instruction = 0;
    bool reached = false;  // it waits for others, not for work of its own rank
  };
  std::vector<Stuck> Run() {
    while (!work_.empty()) {
      const RankId r = work_.back();
      work_.pop_back();
      Move(r);
    }
    std::vector<Stuck> stuck;
    for (RankId r = 0; r < program_.world_size(); ++r) {
      for (size_t s = 0; s < streams_; ++s) {
        if (ranks_[r].heads[s] >= ranks_[r].queues[s].size()) continue;
        const uint32_t at = ranks_[r].queues[s][ranks_[r].heads[s]];
        stuck.push_back({r, at, ranks_[r].done[at] == 2});
      }
      if (stuck.empty() && ranks_[r].host < Code(r).instructions.size()) stuck.push_back({r, ranks_[r].host});
    }
    return stuck;
  }

 private:
  struct RankState {
    uint32_t host = 0;
    std::vector<std::vector<uint32_t>> queues;  // by stream: launches that the host has enqueued
    std::vector<size_t> heads;
    std::vector<uint8_t> done;    // by instruction; 2: reached, and others have to come
    std::vector<uint8_t> halves;  // of the transfer at the head
  };
  struct Call {
    size_t next = 0;
    std::vector<std::vector<std::pair<RankId, StreamId>>> waiting;  // by call: who has come
  };

  [[nodiscard]] const RankProgram& Code(RankId r) const { return program_.programs[program_.program_of_rank[r]]; }

  [[nodiscard]] bool WaitsDone(RankId r, const Instruction& i) const {
    const auto waits = Code(r).Waits(i);
    return std::all_of(waits.begin(), waits.end(), [&](uint32_t w) { return ranks_[r].done[w] == 1; });
  }

  void Move(RankId r) {
    RankState& rank = ranks_[r];
    for (bool moved = true; moved;) {
      moved = false;
      const auto& code = Code(r).instructions;
      for (; rank.host < code.size(); ++rank.host, moved = true) {
        const Instruction& i = code[rank.host];
        if (i.kind == InstructionKind::kHostWait && !WaitsDone(r, i)) break;
        if (IsLaunch(i.kind)) rank.queues[i.stream].push_back(rank.host);
      }
      for (size_t s = 0; s < streams_; ++s) {
        while (rank.heads[s] < rank.queues[s].size() && Head(r, static_cast<StreamId>(s))) moved = true;
      }
    }
  }

  // Whether the head of the stream is over.
  bool Head(RankId r, StreamId s) {
    RankState& rank = ranks_[r];
    const uint32_t at = rank.queues[s][rank.heads[s]];
    const Instruction& i = Code(r).instructions[at];
    if (rank.done[at] == 2 || !WaitsDone(r, i)) return false;
    if (i.kind == InstructionKind::kKernel) {
      Finish(r, s);
      return true;
    }
    rank.done[at] = 2;
    if (i.kind == InstructionKind::kCollective) {
      Arrive(r, s, program_.collectives[i.object].communicator, call_of_[program_.program_of_rank[r]][at]);
    } else {
      Reach(r, s, program_.transfers[i.object]);
    }
    return false;  // Finish has put the rank on the list if it is over
  }

  void Finish(RankId r, StreamId s) {
    RankState& rank = ranks_[r];
    rank.done[rank.queues[s][rank.heads[s]++]] = 1;
  }

  void Arrive(RankId r, StreamId s, CommunicatorId c, size_t k) {
    const uint32_t g = group_of_[c][r];
    Call& call = arrived_[c][g];
    if (call.waiting.size() <= k) call.waiting.resize(k + 1);
    call.waiting[k].emplace_back(r, s);
    const size_t size = program_.communicators[c].groups[g].size();
    while (call.next < call.waiting.size() && call.waiting[call.next].size() == size) {
      for (const auto& [member, stream] : call.waiting[call.next]) {
        Finish(member, stream);
        work_.push_back(member);
      }
      ++call.next;
    }
  }

  void Reach(RankId r, StreamId s, const Transfer& t) {
    const auto& group = program_.communicators[t.communicator].groups[group_of_[t.communicator][r]];
    const auto size = static_cast<int64_t>(group.size());
    const auto peer = [&](int64_t offset) {
      const int64_t place = int64_t{place_of_[t.communicator][r]} + offset;
      return group[static_cast<size_t>(((place % size) + size) % size)];
    };
    ranks_[r].halves[s] = static_cast<uint8_t>((t.send_bytes > Bytes(0) ? 1 : 0) + (t.receive_bytes > Bytes(0) ? 1 : 0));
    if (t.send_bytes > Bytes(0)) Meet({t.communicator, r, peer(t.send_offset)}, true, r, s);
    if (t.receive_bytes > Bytes(0)) Meet({t.communicator, peer(t.receive_offset), r}, false, r, s);
  }

  using Channel = std::tuple<CommunicatorId, RankId, RankId>;
  void Meet(const Channel& channel, bool sends, RankId r, StreamId s) {
    auto& [count, ends] = channels_[channel];  // ends: of the side that is ahead
    if (count == 0 || (count > 0) == sends) {
      count += sends ? 1 : -1;
      ends.emplace_back(r, s);
      return;
    }
    count += sends ? 1 : -1;
    const auto [other, stream] = ends.front();
    ends.erase(ends.begin());
    HalfDone(r, s);
    HalfDone(other, stream);
  }

  void HalfDone(RankId r, StreamId s) {
    if (--ranks_[r].halves[s] > 0) return;
    Finish(r, s);
    work_.push_back(r);
  }

  const Program& program_;
  size_t streams_;
  std::vector<std::vector<uint32_t>> group_of_, place_of_;
  std::vector<std::vector<Call>> arrived_;
  std::map<Channel, std::pair<int64_t, std::vector<std::pair<RankId, StreamId>>>> channels_;
  std::vector<RankState> ranks_;
  std::vector<std::vector<uint32_t>> call_of_;  // [program][instruction]: calls on its communicator before it
  std::vector<RankId> work_;
};

void CheckProgress(const Program& program, const std::vector<ProgramSource>& sources, Diagnostics& diagnostics) {
  constexpr size_t kShown = 8;
  constexpr size_t kMostSteps = 100'000'000;  // beyond: exports of ours, of many thousand ranks
  size_t steps = 0;
  for (const uint32_t p : program.program_of_rank) steps += program.programs[p].instructions.size();
  if (steps > kMostSteps) return;
  const auto stuck = DryRun(program).Run();
  if (stuck.empty()) return;
  Diagnostic& d = diagnostics.Error(
      "the step never ends: ranks wait for one another",
      {sources[program.program_of_rank[stuck[0].rank]].file});
  for (size_t i = 0; i < stuck.size() && i < kShown; ++i) {
    const auto [rank, instruction, reached] = stuck[i];
    const uint32_t p = program.program_of_rank[rank];
    const Instruction& at = program.programs[p].instructions[instruction];
    std::string what = "waits for other work of its own";
    if (reached && at.kind == InstructionKind::kCollective) {
      what = absl::StrCat("waits in ", program.communicators[program.collectives[at.object].communicator].name);
    }
    if (reached && at.kind == InstructionKind::kTransfer) what = "waits for its peer";
    if (at.kind == InstructionKind::kHostWait) what = "waits for the device";
    d.notes.push_back({absl::StrCat("rank ", rank, ", node ", sources[p].nodes[instruction], " `",
                                    program.names[at.name].substr(0, 60), "` ", what), {}});
  }
  if (stuck.size() > kShown) d.notes.push_back({absl::StrCat("and ", stuck.size() - kShown, " more streams"), {}});
}

}  // namespace

bool CheckAgreement(const Program& program, const std::vector<ProgramSource>& sources, Diagnostics& diagnostics) {
  const int64_t before = diagnostics.errors();
  Agreement agreement(program, sources, diagnostics);
  agreement.CheckMembership();
  if (diagnostics.errors() > before) return false;
  agreement.CheckCollectives();
  agreement.CheckTransfers();
  if (diagnostics.errors() > before) return false;
  CheckProgress(program, sources, diagnostics);
  return diagnostics.errors() == before;
}

}  // namespace simulate
