#include "sim/chakra/own_trace.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "sim/chakra/program_table.h"
#include "sim/chakra/rank_texts.h"
#include "sim/chakra/write_trace.h"

namespace simulate {
namespace {

constexpr uint32_t kNone = 0xFFFFFFFF;

// One file into one RankProgram; the reverse of write_trace.cc's RankWriter.
class Rebuild {
 public:
  Rebuild(const TraceFile& file, const Description& description, ProgramTable& table)
      : file_(file), description_(description), table_(table), instruction_of_(file.nodes.size(), kNone) {}

  // The first node that is not what we write; nullptr: all are.
  const TraceNode* Run() {
    for (uint32_t n = 0; n < file_.nodes.size(); ++n) {
      if (file_.nodes[n].kind == TraceNodeKind::kMetadata) continue;
      if (!Take(n)) return &file_.nodes[n];
    }
    return host_pending_ ? &file_.nodes.back() : nullptr;
  }

  RankProgram code;
  ProgramSource source;

 private:
  bool Take(uint32_t n) {
    const TraceNode& node = file_.nodes[n];
    if (node.own.size() < 4) return false;
    const auto part = static_cast<TracePart>(node.own[0]);
    switch (part) {
      case TracePart::kHostWork:
      case TracePart::kHostWait:
      case TracePart::kEnqueue: return TakeHost(n, part);
      case TracePart::kKernel: return TakeLaunch(n, InstructionKind::kKernel, description_.tables.kernels.size());
      case TracePart::kCollective: return TakeLaunch(n, InstructionKind::kCollective, description_.tables.collectives.size());
      case TracePart::kSend: return TakeLaunch(n, InstructionKind::kTransfer, description_.tables.transfers.size());
      case TracePart::kReceive: return TakeReceive(n);
    }
    return false;
  }

  bool SetPlace(int64_t phase, int64_t layer, Instruction& i) const {
    if (phase < 0 || phase >= static_cast<int64_t>(description_.phases.size())) return false;
    if (layer < 0 || layer > std::numeric_limits<uint32_t>::max()) return false;
    i.phase = description_.phases[static_cast<size_t>(phase)];
    i.layer = static_cast<uint32_t>(layer);
    return true;
  }

  bool TakeHost(uint32_t n, TracePart part) {
    const std::vector<int64_t>& own = file_.nodes[n].own;
    if (host_pending_ || own.size() < 5) return false;
    if (own[1] < 0 || own[1] >= static_cast<int64_t>(description_.host_calls.size())) return false;
    if (own[2] < 0 || own[2] > std::numeric_limits<uint16_t>::max()) return false;
    Instruction i;
    i.host = description_.host_calls[static_cast<size_t>(own[1])];
    i.host_count = static_cast<uint16_t>(own[2]);
    if (!SetPlace(own[3], own[4], i)) return false;
    if (part == TracePart::kEnqueue) {
      host_pending_ = true;
      host_ = i;
      return true;
    }
    i.kind = part == TracePart::kHostWait ? InstructionKind::kHostWait : InstructionKind::kHostWork;
    if (part == TracePart::kHostWait) return AddWaits(n, 0xFF, i) && Append(n, i);
    return Append(n, i);
  }

  bool TakeLaunch(uint32_t n, InstructionKind kind, size_t table) {
    const TraceNode& node = file_.nodes[n];
    if (node.own[3] < 0 || node.own[3] >= static_cast<int64_t>(table)) return false;
    if (!node.stream || *node.stream < 0 || *node.stream >= static_cast<int64_t>(description_.tables.streams.size())) return false;
    Instruction i;
    i.kind = kind;
    i.stream = static_cast<StreamId>(*node.stream);
    i.object = static_cast<uint32_t>(node.own[3]);
    i.name = table_.Intern(node.name);
    i.host = host_pending_ ? host_.host : HostCall::kNone;
    i.host_count = host_pending_ ? host_.host_count : uint16_t{1};
    host_pending_ = false;
    return SetPlace(node.own[1], node.own[2], i) && AddWaits(n, i.stream, i) && Append(n, i);
  }

  // The second half of the exchange that the node before began, or a message that is only received.
  bool TakeReceive(uint32_t n) {
    const TraceNode& node = file_.nodes[n];
    if (node.own[3] < 0 || node.own[3] >= static_cast<int64_t>(description_.tables.transfers.size())) return false;
    if (description_.tables.transfers[static_cast<size_t>(node.own[3])].send_bytes == Bytes(0)) {
      return TakeLaunch(n, InstructionKind::kTransfer, description_.tables.transfers.size());
    }
    if (n == 0 || file_.nodes[n - 1].own.size() < 4 || instruction_of_[n - 1] == kNone) return false;
    const TraceNode& before = file_.nodes[n - 1];
    if (static_cast<TracePart>(before.own[0]) != TracePart::kSend || before.own[3] != node.own[3]) return false;
    instruction_of_[n] = instruction_of_[n - 1];
    return true;
  }

  // Waits for the work before on its own stream are implied.
  bool AddWaits(uint32_t n, StreamId own, Instruction& i) {
    i.first_wait = static_cast<uint32_t>(code.waits.size());
    for (const uint32_t dep : file_.deps[n]) {
      const uint32_t on = instruction_of_[dep];
      if (on == kNone) {
        if (dep >= n) return false;
        continue;
      }
      if (!IsLaunch(code.instructions[on].kind) || code.instructions[on].stream == own) continue;
      const auto first = code.waits.begin() + i.first_wait;
      if (std::find(first, code.waits.end(), on) == code.waits.end()) code.waits.push_back(on);
    }
    const size_t count = code.waits.size() - i.first_wait;
    i.wait_count = static_cast<uint16_t>(count);
    return count <= std::numeric_limits<uint16_t>::max();
  }

  bool Append(uint32_t n, const Instruction& i) {
    instruction_of_[n] = static_cast<uint32_t>(code.instructions.size());
    code.instructions.push_back(i);
    source.nodes.push_back(file_.nodes[n].id);
    return true;
  }

  const TraceFile& file_;
  const Description& description_;
  ProgramTable& table_;
  std::vector<uint32_t> instruction_of_;  // by node
  bool host_pending_ = false;
  Instruction host_;
};

class OwnTraces {
 public:
  OwnTraces(Description description, std::string text, Diagnostics& diagnostics)
      : description_(std::move(description)), text_(std::move(text)), diagnostics_(diagnostics) {
    result_.program.program_of_rank.assign(static_cast<size_t>(description_.world_size), kNone);
  }

  void Take(const TraceFile& file) {
    if (file.description != text_) {
      Diagnostic& d = diagnostics_.Error("the trace is of another run than the first one of its folder", {file.path});
      d.help.push_back("export into an empty folder");
      return;
    }
    const std::string ranks_text = file.ranks.empty() ? absl::StrCat(file.rank) : file.ranks;
    const auto ranks = ReadRanks(ranks_text, description_.world_size);
    if (!ranks) {
      diagnostics_.Error(absl::StrCat("`simulate.ranks` is `", ranks_text, "`, no set of the ", description_.world_size, " ranks"), {file.path});
      return;
    }
    Rebuild rebuild(file, description_, table_);
    if (const TraceNode* wrong = rebuild.Run()) {
      Diagnostic& d = diagnostics_.Error(absl::StrCat(NodeText(*wrong), " is not as simulate writes it"), {file.path});
      d.help.push_back("--recorded replays an edited export by its plain attributes");
      return;
    }
    rebuild.source.file = file.path;
    const uint32_t program = table_.Add(std::move(rebuild.code), std::move(rebuild.source));
    for (const RankId rank : *ranks) {
      uint32_t& assigned = result_.program.program_of_rank[rank];
      if (assigned != kNone && assigned != program) {
        diagnostics_.Error(absl::StrCat("another file stands for rank ", rank, " already"), {file.path});
      }
      assigned = program;
    }
  }

  bool Finish(const TraceFolder& folder) {
    std::vector<RankId> missing;
    for (RankId r = 0; r < result_.program.program_of_rank.size(); ++r) {
      if (result_.program.program_of_rank[r] == kNone) missing.push_back(r);
    }
    if (!missing.empty() && !diagnostics_.HasErrors()) {
      diagnostics_.Error(absl::StrCat("no file in `", folder.folder, "` stands for ", missing.size() == 1 ? "rank " : "ranks ", ShowRanks(missing),
                                      " of ", result_.program.world_size()));
    }
    if (diagnostics_.HasErrors()) return false;
    Program& program = result_.program;
    program.streams = std::move(description_.tables.streams);
    program.kernels = std::move(description_.tables.kernels);
    program.collectives = std::move(description_.tables.collectives);
    program.transfers = std::move(description_.tables.transfers);
    program.communicators = std::move(description_.tables.communicators);
    program.totals = description_.tables.totals;
    table_.MoveInto(program);
    result_.own = true;
    result_.context = description_.context;
    result_.name = folder.prefix;
    if (!CheckAgreement(program, table_.sources(), diagnostics_)) return false;
    Validate(program);
    return true;
  }

  TraceProgram& result() { return result_; }

 private:
  Description description_;
  std::string text_;
  Diagnostics& diagnostics_;
  ProgramTable table_;
  TraceProgram result_;
};

}  // namespace

std::optional<TraceProgram> ReadOwnTraces(const TraceFolder& folder, const TraceFile& first, Diagnostics& diagnostics) {
  std::string why;
  std::optional<Description> description = ReadDescription(first.description, &why);
  if (!description) {
    Diagnostic& d = diagnostics.Error(absl::StrCat("the metadata `simulate.program` is not what simulate writes: ", why), {first.path});
    d.help.push_back("--recorded replays the trace by its plain attributes");
    return std::nullopt;
  }
  OwnTraces traces(std::move(*description), first.description, diagnostics);
  traces.Take(first);
  for (size_t f = 1; f < folder.files.size(); ++f) {
    const auto file = ReadTraceFile(folder.files[f].second, folder.files[f].first, diagnostics);
    if (file) traces.Take(*file);
  }
  if (!traces.Finish(folder)) return std::nullopt;
  return std::move(traces.result());
}

}  // namespace simulate
