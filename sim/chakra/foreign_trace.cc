#include "sim/chakra/foreign_trace.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "sim/chakra/program_table.h"
#include "sim/chakra/rank_texts.h"
#include "sim/chakra/survey.h"
#include "sim/program/builder.h"

namespace simulate {
namespace {

constexpr uint32_t kNone = 0xFFFFFFFF;
constexpr size_t kMostStreams = 62;  // the engine keeps a bit for each, and one for the host

enum class Lane : uint8_t { kThread, kCompute, kLoad, kStore, kGroup, kOutbox, kInbox };

// Streams by what they are for: the i-th thread of one rank shares its stream number with that of another.
class Lanes {
 public:
  explicit Lanes(ProgramBuilder& builder) : builder_(builder) {}

  // kNone: there are more than the engine has.
  uint32_t Stream(Lane lane, size_t slot) {
    const auto found = streams_.find({lane, slot});
    if (found != streams_.end()) return found->second;
    if (streams_.size() >= kMostStreams) return kNone;
    const std::string number = slot == 0 ? "" : absl::StrCat(" ", slot + 1);
    const uint32_t stream = builder_.AddStream(Name(lane) + number, Kind(lane));
    streams_[{lane, slot}] = stream;
    return stream;
  }

 private:
  static std::string Name(Lane lane) {
    switch (lane) {
      case Lane::kThread: return "host thread";
      case Lane::kCompute: return "compute";
      case Lane::kLoad: return "memory load";
      case Lane::kStore: return "memory store";
      case Lane::kGroup: return "collectives";
      case Lane::kOutbox: return "send";
      case Lane::kInbox: return "receive";
    }
    return "";
  }
  static StreamKind Kind(Lane lane) {
    switch (lane) {
      case Lane::kThread: return StreamKind::kHost;
      case Lane::kCompute: return StreamKind::kCompute;
      case Lane::kLoad:
      case Lane::kStore: return StreamKind::kCopy;
      default: return StreamKind::kCommunication;
    }
  }

  ProgramBuilder& builder_;
  std::map<std::pair<Lane, size_t>, uint32_t> streams_;
};

// What the numbers of Chakra's collectives are here. Barriers are all-reduces of one element, as PyTorch makes them;
// gathers and scatters move a root's buffer and are priced as a reduce and a broadcast of it.
CollectiveOp OpOf(int64_t comm_type) {
  constexpr CollectiveOp kOps[] = {CollectiveOp::kAllReduce, CollectiveOp::kReduce,    CollectiveOp::kAllGather,     CollectiveOp::kReduce,
                                   CollectiveOp::kBroadcast, CollectiveOp::kBroadcast, CollectiveOp::kAllToAll,      CollectiveOp::kReduceScatter,
                                   CollectiveOp::kReduceScatter, CollectiveOp::kAllReduce};
  return kOps[comm_type];
}

// One file into one RankProgram.
class RankReader {
 public:
  RankReader(const TraceFile& file, const Survey& survey, const TraceOptions& options, CommunicatorId messages,
             ProgramBuilder& builder, Lanes& lanes, ProgramTable& table)
      : file_(file),
        survey_(survey),
        options_(options),
        messages_(messages),
        builder_(builder),
        lanes_(lanes),
        table_(table),
        ends_(file.nodes.size()) {}

  // False: it needs more streams than there are.
  bool Run() {
    PostReceives();
    for (const uint32_t n : file_.order) Take(n);
    return enough_;
  }

  RankProgram code;
  ProgramSource source;

 private:
  // What a node waits for, or what is over when it is over: the last instruction on each stream.
  using Ends = std::map<StreamId, uint32_t>;

  void Take(uint32_t n) {
    const TraceNode& node = file_.nodes[n];
    Ends waits;
    for (const uint32_t dep : file_.deps[n]) Merge(ends_[dep], waits);
    if (node.cpu && node.kind != TraceNodeKind::kMetadata) {
      return Launch(n, Lane::kThread, Slot(threads_, node.thread.value_or(0)), HostKernel(node), waits);
    }
    switch (node.kind) {
      case TraceNodeKind::kMetadata: ends_[n] = std::move(waits); return;
      case TraceNodeKind::kMemoryLoad: return Launch(n, Lane::kLoad, 0, MemoryKernel(node), waits);
      case TraceNodeKind::kMemoryStore: return Launch(n, Lane::kStore, 0, MemoryKernel(node), waits);
      case TraceNodeKind::kCompute: {
        const int64_t stream = node.stream ? *node.stream : node.thread.value_or(0);
        return Launch(n, Lane::kCompute, Slot(streams_, stream), ComputeKernel(node), waits);
      }
      case TraceNodeKind::kCollective: return TakeCollective(n, waits);
      case TraceNodeKind::kSend: return TakeSend(n, waits);
      case TraceNodeKind::kReceive: return TakeReceive(n, waits);
    }
  }

  template <typename Key>
  static size_t Slot(std::map<Key, size_t>& slots, const Key& key) {
    return slots.try_emplace(key, slots.size()).first->second;
  }

  static void Merge(const Ends& from, Ends& into) {
    for (const auto& [stream, instruction] : from) {
      uint32_t& last = into.try_emplace(stream, instruction).first->second;
      last = std::max(last, instruction);
    }
  }

  // The names of instructions and the objects of calls are those of the shared tables.
  uint32_t Append(uint64_t node, const std::string& name, Lane lane, size_t slot, InstructionKind kind, uint32_t object, const Ends& waits) {
    const uint32_t stream = lanes_.Stream(lane, slot);
    enough_ = enough_ && stream != kNone;
    Instruction i;
    i.kind = kind;
    i.stream = static_cast<StreamId>(stream == kNone ? 0 : stream);
    i.object = object;
    i.name = table_.Intern(name);
    i.first_wait = static_cast<uint32_t>(code.waits.size());
    for (const auto& [on, instruction] : waits) {
      if (on != i.stream) code.waits.push_back(instruction);
    }
    i.wait_count = static_cast<uint16_t>(code.waits.size() - i.first_wait);
    code.instructions.push_back(i);
    source.nodes.push_back(node);
    return static_cast<uint32_t>(code.instructions.size() - 1);
  }

  void Launch(uint32_t n, Lane lane, size_t slot, const KernelWork& work, const Ends& waits) {
    const TraceNode& node = file_.nodes[n];
    SetEnd(n, Append(node.id, node.name, lane, slot, InstructionKind::kKernel, builder_.Intern(work), waits));
  }

  void SetEnd(uint32_t n, uint32_t instruction) { ends_[n] = {{code.instructions[instruction].stream, instruction}}; }

  static Seconds Recorded(const TraceNode& node, double scale) {
    return Microseconds(static_cast<double>(node.duration_us)) * scale;
  }

  KernelWork HostKernel(const TraceNode& node) const {
    KernelWork work;
    work.kind = KernelKind::kRecorded;
    work.recorded = Recorded(node, options_.host_scale);
    return work;
  }

  KernelWork ComputeKernel(const TraceNode& node) const {
    KernelWork work;
    work.kind = KernelKind::kRecorded;
    work.flops = Flops(node.num_ops);
    work.read = Bytes(std::clamp<int64_t>(node.tensor_size.value_or(0), 0, int64_t{1} << 50));
    const bool counted = node.num_ops > 0.0 || work.read > Bytes(0);
    if (!(options_.roofline && counted)) work.recorded = Recorded(node, options_.compute_scale);
    return work;
  }

  KernelWork MemoryKernel(const TraceNode& node) const {
    KernelWork work = ComputeKernel(node);
    if (work.recorded.value() <= 0.0 && options_.host_link.value() > 0.0) work.recorded = work.read / options_.host_link;
    return work;
  }

  void TakeCollective(uint32_t n, const Ends& waits) {
    const TraceNode& node = file_.nodes[n];
    const std::vector<RankId>& members = *survey_.Members(file_, node);
    CollectiveCall call;
    call.op = OpOf(*node.comm_type);
    call.communicator = survey_.CommunicatorOf(node.group, members);
    call.bytes = Bytes(std::max<int64_t>(node.comm_size.value_or(4), 1));
    // Chakra counts one rank's input, nccl-tests the gathered output.
    if (call.op == CollectiveOp::kAllGather) call.bytes = call.bytes * static_cast<int64_t>(members.size());
    const size_t slot = Slot(groups_, call.communicator);
    SetEnd(n, Append(node.id, node.name, Lane::kGroup, slot, InstructionKind::kCollective, builder_.Intern(call), waits));
  }

  [[nodiscard]] int32_t OffsetTo(RankId peer) const {
    const auto world = static_cast<int64_t>(survey_.world_size());
    return static_cast<int32_t>((int64_t{peer} - int64_t{file_.rank} + world) % world);
  }

  // Receives are posted when the step begins, so that no send waits for one: a stream per sender, in its order.
  void PostReceives() {
    for (const auto& [pair, channel] : survey_.channels()) {
      if (pair.second != file_.rank) continue;
      std::vector<uint64_t> receiver(channel.sends.size(), 0);
      for (size_t r = 0; r < channel.receives.size(); ++r) receiver[channel.send_of_receive[r]] = channel.receives[r].node;
      Transfer transfer{.communicator = messages_, .receive_offset = OffsetTo(pair.first)};
      const size_t slot = Slot(inboxes_, transfer.receive_offset);
      for (size_t s = 0; s < channel.sends.size(); ++s) {
        transfer.receive_bytes = Bytes(std::max<int64_t>(1, channel.sends[s].bytes));
        arrival_[receiver[s]] = Append(receiver[s], "message", Lane::kInbox, slot, InstructionKind::kTransfer, builder_.Intern(transfer), {});
      }
    }
  }

  void TakeSend(uint32_t n, const Ends& waits) {
    const TraceNode& node = file_.nodes[n];
    Transfer transfer{.communicator = messages_, .send_offset = OffsetTo(static_cast<RankId>(*node.comm_dst))};
    transfer.send_bytes = Bytes(std::max<int64_t>(1, *node.comm_size));
    const size_t slot = Slot(outboxes_, transfer.send_offset);
    SetEnd(n, Append(node.id, node.name, Lane::kOutbox, slot, InstructionKind::kTransfer, builder_.Intern(transfer), waits));
  }

  // A receive is over when its message has arrived and what it depends on is over.
  void TakeReceive(uint32_t n, Ends& waits) {
    const uint32_t arrival = arrival_.at(file_.nodes[n].id);
    Merge({{code.instructions[arrival].stream, arrival}}, waits);
    ends_[n] = std::move(waits);
  }

  const TraceFile& file_;
  const Survey& survey_;
  const TraceOptions& options_;
  CommunicatorId messages_;
  ProgramBuilder& builder_;
  Lanes& lanes_;
  ProgramTable& table_;
  std::vector<Ends> ends_;  // by node
  std::map<int64_t, size_t> threads_, streams_;
  std::map<CommunicatorId, size_t> groups_;
  std::map<int32_t, size_t> outboxes_, inboxes_;
  std::map<uint64_t, uint32_t> arrival_;  // by node that receives
  bool enough_ = true;
};

bool CheckRanks(const TraceFolder& folder, Diagnostics& diagnostics) {
  const RankId last = folder.files.back().first;
  if (last >= kMostRanks) {
    diagnostics.Error(absl::StrCat("rank ", last, " is more than can be replayed"), {folder.files.back().second});
    return false;
  }
  std::vector<RankId> missing;
  RankId next = 0;
  for (const auto& [rank, path] : folder.files) {
    for (; next < rank; ++next) missing.push_back(next);
    if (rank < next) diagnostics.Error(absl::StrCat("there is another file for rank ", rank), {path});
    next = rank + 1;
  }
  if (missing.empty()) return !diagnostics.HasErrors();
  Diagnostic& d = diagnostics.Error(absl::StrCat(missing.size() == 1 ? "rank " : "ranks ", ShowRanks(missing), " of ", last + 1, " have no file in `",
                                                 folder.folder, "`"));
  d.notes.push_back({absl::StrCat("the last one is ", folder.prefix, ".", last, ".et"), {}});
  return false;
}

}  // namespace

std::optional<TraceProgram> ReadForeignTraces(const TraceFolder& folder, const TraceOptions& options, Diagnostics& diagnostics) {
  if (!CheckRanks(folder, diagnostics)) return std::nullopt;
  Survey survey(folder, diagnostics);
  std::vector<std::string> ignored;
  for (const auto& [rank, path] : folder.files) {
    const auto file = ReadTraceFile(path, rank, diagnostics);
    if (file) survey.Take(*file);
    if (file && file->control_ignored) ignored.push_back(path);
  }
  if (!ignored.empty()) {
    Diagnostic& d = diagnostics.Warning("control dependencies are left aside: they name nodes that the trace lacks, or run in a circle", {ignored[0]});
    if (ignored.size() > 1) d.notes.push_back({absl::StrCat("so do those of ", ignored.size() - 1, " more files"), {}});
  }
  if (diagnostics.HasErrors()) return std::nullopt;  // what a file that cannot be read sends is not known
  survey.Finish();
  if (diagnostics.HasErrors()) return std::nullopt;

  TraceProgram result;
  result.name = folder.prefix;
  ProgramBuilder builder;
  for (const Communicator& c : survey.communicators()) builder.AddCommunicator(c.name, c.groups);
  std::vector<RankId> everybody(survey.world_size());
  for (RankId r = 0; r < everybody.size(); ++r) everybody[r] = r;
  const CommunicatorId messages = builder.AddCommunicator("messages", {everybody});
  Lanes lanes(builder);
  ProgramTable table;
  std::vector<uint32_t> program_of_rank;
  double flops = 0.0;
  for (const auto& [rank, path] : folder.files) {
    Diagnostics again;  // has been said
    const auto file = ReadTraceFile(path, rank, again);
    if (!file) {
      diagnostics.Error("the trace changed while it was read", {path});
      return std::nullopt;
    }
    for (const TraceNode& node : file->nodes) flops += node.num_ops;
    RankReader reader(*file, survey, options, messages, builder, lanes, table);
    if (!reader.Run()) {
      Diagnostic& d = diagnostics.Error("the trace has more threads, streams, process groups and peers than can be replayed", {path});
      d.notes.push_back({absl::StrCat(kMostStreams, " together on one rank"), {}});
      return std::nullopt;
    }
    reader.source.file = path;
    program_of_rank.push_back(table.Add(std::move(reader.code), std::move(reader.source)));
  }
  const std::vector<ProgramSource> sources = table.sources();
  builder.AssignRanks(program_of_rank);
  builder.SetTotals({.model_flops = Flops(flops), .hardware_flops = Flops(flops)});
  result.program = std::move(builder).Release();
  table.MoveInto(result.program);
  if (!CheckAgreement(result.program, sources, diagnostics)) return std::nullopt;
  Validate(result.program);
  return result;
}

}  // namespace simulate
