#include "sim/output/trace_events.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/base/check.h"

namespace simulate {
namespace {

int64_t Nanoseconds(SimTime t) { return (t.picoseconds() + 500) / 1000; }

// Where a rank sits in the groups of each communicator, and how many messages went each way so far.
class FlowIds {
 public:
  FlowIds(const Program& program, const Timeline& timeline, bool every_rank)
      : program_(program), timeline_(timeline), every_rank_(every_rank) {}

  // Ids of the two halves of `rank`'s next transfer; 0 where there is no such half.
  std::pair<uint64_t, uint64_t> Next(RankId rank, const Transfer& transfer) {
    const auto [group, index] = Place(transfer.communicator, rank);
    uint64_t out = 0;
    uint64_t in = 0;
    if (transfer.send_bytes > Bytes(0)) {
      out = Id(transfer.communicator, rank, Peer(group, index, transfer.send_offset), sent_);
    }
    if (transfer.receive_bytes > Bytes(0)) {
      in = Id(transfer.communicator, Peer(group, index, transfer.receive_offset), rank, received_);
    }
    return {out, in};
  }

 private:
  using Group = const std::vector<RankId>*;
  using Pair = std::tuple<CommunicatorId, RankId, RankId>;

  std::pair<Group, int64_t> Place(CommunicatorId communicator, RankId rank) {
    if (rank != placed_rank_) places_.clear();  // a rank's transfers come together
    placed_rank_ = rank;
    const auto [it, fresh] = places_.try_emplace(communicator);
    if (fresh) it->second = Find(communicator, rank);
    return it->second;
  }
  std::pair<Group, int64_t> Find(CommunicatorId communicator, RankId rank) const {
    for (const auto& group : program_.communicators[communicator].groups) {
      const auto it = std::find(group.begin(), group.end(), rank);
      if (it != group.end()) return {&group, it - group.begin()};
    }
    SIM_CHECK(false, "rank ", rank, " is in no group of ", program_.communicators[communicator].name);
    return {};
  }

  // The member `offset` places on, or the simulated rank that stands for it.
  RankId Peer(Group group, int64_t index, int32_t offset) const {
    const auto size = static_cast<int64_t>(group->size());
    const RankId peer = (*group)[static_cast<size_t>(((index + offset) % size + size) % size)];
    return every_rank_ ? peer : timeline_.ranks[timeline_.entry_of_rank[peer]].rank;
  }

  static uint64_t Id(CommunicatorId communicator, RankId from, RankId to, std::map<Pair, uint64_t>& counts) {
    const uint64_t sequence = counts[{communicator, from, to}]++;
    uint64_t id = 0x9E3779B97F4A7C15ULL * (communicator + 1);
    for (const uint64_t part : {uint64_t{from}, uint64_t{to}, sequence}) {
      id = (id ^ part) * 0xBF58476D1CE4E5B9ULL;
      id ^= id >> 29;
    }
    return id | 1;  // never 0
  }

  const Program& program_;
  const Timeline& timeline_;
  bool every_rank_;
  RankId placed_rank_ = 0;
  std::map<CommunicatorId, std::pair<Group, int64_t>> places_;
  std::map<Pair, uint64_t> sent_;
  std::map<Pair, uint64_t> received_;
};

void DescribeKernel(const KernelWork& work, SimTime duration, TraceArguments& arguments) {
  if (work.kind == KernelKind::kGemm) {
    const GemmShape& g = work.gemm;
    arguments.emplace_back("shape", g.batch > 1 ? absl::StrFormat("%d x [%d, %d, %d]", g.batch, g.m, g.n, g.k)
                                                : absl::StrFormat("[%d, %d, %d]", g.m, g.n, g.k));
  } else if (work.kind == KernelKind::kAttention) {
    const AttentionShape& a = work.attention;
    arguments.emplace_back("shape", absl::StrFormat("batch %d, heads %d/%d, length %d x %d, head_dim %d", a.batch,
                                                    a.query_heads, a.key_value_heads, a.query_length, a.key_length,
                                                    a.head_dim) +
                                        (a.value_dim > 0 ? absl::StrFormat(", value_dim %d", a.value_dim) : ""));
  }
  arguments.emplace_back("dtype", std::string(Name(work.dtype)));
  if (work.flops > Flops(0)) {
    arguments.emplace_back("flops", work.flops.value());
    arguments.emplace_back("tflops_achieved", (work.flops / duration.seconds()).value() * 1e-12);
  }
  arguments.emplace_back("bytes", (work.read + work.written).value());
}

class RankTrace {
 public:
  RankTrace(const Program& program, const Timeline& timeline, FlowIds& flows, TraceSink& sink)
      : program_(program), timeline_(timeline), flows_(flows), sink_(sink) {}

  // As if `rank` were one that fared as `entry`; `weight`: for how many it stands.
  void Emit(const RankTimeline& entry, RankId rank, uint32_t weight, uint64_t base, int32_t pid) {
    rank_ = &entry;
    id_ = rank;
    code_ = &program_.programs[program_.program_of_rank[entry.rank]];
    base_ = base;
    tflops_.clear();
    link_use_.clear();
    AnnounceTracks(pid, weight);
    HostSlices();
    StreamSlices();
    MemoryCounters();
    Steps(tflops(), tflops_);
    Steps(link_use(), link_use_);  // the busier direction
  }

  static uint64_t TracksPerRank(const Program& program) { return 6 + program.streams.size(); }

 private:
  uint64_t process() const { return base_; }
  uint64_t host() const { return base_ + 1; }
  uint64_t allocated() const { return base_ + 2; }
  uint64_t reserved() const { return base_ + 3; }
  uint64_t tflops() const { return base_ + 4; }
  uint64_t link_use() const { return base_ + 5; }
  uint64_t stream(StreamId id) const { return base_ + 6 + id; }

  void AnnounceTracks(int32_t pid, uint32_t weight) {
    std::string name = absl::StrCat("rank ", id_);
    if (weight > 1) absl::StrAppend(&name, " (stands for ", weight, ")");
    sink_.Process(process(), pid, name);
    sink_.Thread(host(), process(), pid, 1, "host");
    std::vector<bool> used(program_.streams.size());
    for (const Span& span : rank_->spans) used[code_->instructions[span.instruction].stream] = true;
    for (size_t i = 0; i < used.size(); ++i) {
      if (used[i]) {
        sink_.Thread(stream(static_cast<StreamId>(i)), process(), pid, static_cast<int32_t>(i) + 2,
                     program_.streams[i].name);
      }
    }
    sink_.CounterTrack(allocated(), process(), pid, "memory allocated", CounterUnit::kBytes);
    sink_.CounterTrack(reserved(), process(), pid, "memory reserved", CounterUnit::kBytes);
    sink_.CounterTrack(tflops(), process(), pid, "achieved TFLOPS", CounterUnit::kNone);
    sink_.CounterTrack(link_use(), process(), pid, "link use GB/s", CounterUnit::kNone);
  }

  std::string NameOf(const Instruction& instruction) const { return program_.names[instruction.name]; }

  // The host's track: from one enqueued piece of work to the next; waits of the host are part of it.
  void HostSlices() {
    SimTime previous;
    for (const Span& span : rank_->spans) {
      const Instruction& instruction = code_->instructions[span.instruction];
      if (span.enqueued > previous) {
        TraceSlice slice;
        slice.track = host();
        slice.name = NameOf(instruction);
        slice.category = "host";
        slice.begin_ns = Nanoseconds(previous);
        slice.end_ns = Nanoseconds(span.enqueued);
        sink_.Slice(slice);
      }
      previous = std::max(previous, span.enqueued);
    }
  }

  void StreamSlices() {
    for (const Span& span : rank_->spans) {
      const Instruction& instruction = code_->instructions[span.instruction];
      TraceSlice slice;
      slice.track = stream(instruction.stream);
      slice.name = NameOf(instruction);
      slice.category = Name(instruction.phase);
      slice.begin_ns = Nanoseconds(span.start);
      slice.end_ns = Nanoseconds(span.end);
      slice.arguments.emplace_back("layer", int64_t{instruction.layer});
      Describe(span, instruction, slice);
      const SimTime shared = span.end - span.start - span.alone;
      if (shared > SimTime(0)) slice.arguments.emplace_back("slowed_by_us", shared.seconds().value() * 1e6);
      sink_.Slice(slice);
    }
  }

  void Describe(const Span& span, const Instruction& instruction, TraceSlice& slice) {
    const SimTime duration = span.end - span.start;
    switch (instruction.kind) {
      case InstructionKind::kKernel: {
        const KernelWork& work = program_.kernels[instruction.object];
        DescribeKernel(work, duration, slice.arguments);
        if (work.flops > Flops(0) && work.kind != KernelKind::kMemory) {
          Pulse(tflops_, slice, (work.flops / duration.seconds()).value() * 1e-12, 0.0);
        }
        break;
      }
      case InstructionKind::kCollective: {
        const CollectiveCall& call = program_.collectives[instruction.object];
        slice.arguments.emplace_back("op", std::string(Name(call.op)));
        slice.arguments.emplace_back("bytes", call.bytes.value());
        slice.arguments.emplace_back("communicator", program_.communicators[call.communicator].name);
        const CollectiveUse& use = timeline_.collectives[instruction.object];
        slice.arguments.emplace_back("algorithm", absl::StrCat(Name(use.algorithm), "/", Name(use.protocol)));
        const double algbw = (call.bytes / duration.seconds()).value() * 1e-9;
        const double busbw = algbw * BusFactor(call);
        slice.arguments.emplace_back("algbw_GBps", algbw);
        slice.arguments.emplace_back("busbw_GBps", busbw);
        Pulse(link_use_, slice, busbw, busbw);
        break;
      }
      case InstructionKind::kTransfer: {
        const Transfer& transfer = program_.transfers[instruction.object];
        slice.arguments.emplace_back("send_bytes", transfer.send_bytes.value());
        slice.arguments.emplace_back("receive_bytes", transfer.receive_bytes.value());
        Pulse(link_use_, slice, (transfer.send_bytes / duration.seconds()).value() * 1e-9,
              (transfer.receive_bytes / duration.seconds()).value() * 1e-9);
        const auto [out, in] = flows_.Next(id_, transfer);
        if (out != 0) slice.flows_out.push_back(out);
        if (in != 0) slice.flows_in.push_back(in);
        break;
      }
      case InstructionKind::kAllocate:
      case InstructionKind::kFree:
      case InstructionKind::kHostWait:
      case InstructionKind::kHostWork: break;
    }
  }

  // Bus bandwidth over algorithm bandwidth, as nccl-tests' PERFORMANCE.md defines them.
  double BusFactor(const CollectiveCall& call) const {
    const auto n = static_cast<double>(program_.communicators[call.communicator].groups.front().size());
    switch (call.op) {
      case CollectiveOp::kAllReduce: return 2.0 * (n - 1.0) / n;
      case CollectiveOp::kAllGather:
      case CollectiveOp::kReduceScatter:
      case CollectiveOp::kAllToAll: return (n - 1.0) / n;
      default: return 1.0;
    }
  }

  // What a counter gains at an instant, outwards and inwards; `open`: slices that begin less those that end.
  struct Change {
    int64_t at_ns = 0;
    int open = 0;
    double out = 0.0;
    double in = 0.0;
  };
  using Changes = std::vector<Change>;

  // So much more while the slice lasts.
  static void Pulse(Changes& changes, const TraceSlice& slice, double out, double in) {
    if (slice.end_ns <= slice.begin_ns) return;
    changes.push_back({slice.begin_ns, 1, out, in});
    changes.push_back({slice.end_ns, -1, -out, -in});
  }

  // A counter's values in order of time: the larger of both sums of all changes so far.
  void Steps(uint64_t track, Changes& changes) {
    std::stable_sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) { return a.at_ns < b.at_ns; });
    Change sum;
    for (size_t i = 0; i < changes.size(); ++i) {
      sum.open += changes[i].open;
      sum.out += changes[i].out;
      sum.in += changes[i].in;
      if (i + 1 < changes.size() && changes[i + 1].at_ns == changes[i].at_ns) continue;
      if (sum.open == 0) sum = {};  // no residue of rounding
      sink_.Counter(track, changes[i].at_ns, std::max({0.0, sum.out, sum.in}));
    }
  }

  void MemoryCounters() {
    for (const MemorySample& sample : rank_->memory.samples) {
      sink_.Counter(allocated(), Nanoseconds(sample.time), static_cast<double>(sample.allocated.value()));
      sink_.Counter(reserved(), Nanoseconds(sample.time), static_cast<double>(sample.reserved.value()));
    }
  }

  const Program& program_;
  const Timeline& timeline_;
  FlowIds& flows_;
  TraceSink& sink_;
  const RankTimeline* rank_ = nullptr;
  const RankProgram* code_ = nullptr;
  RankId id_ = 0;
  uint64_t base_ = 0;
  Changes tflops_;
  Changes link_use_;
};

}  // namespace

void EmitTrace(const Program& program, const Timeline& timeline, bool every_rank, TraceSink& sink) {
  FlowIds flows(program, timeline, every_rank);
  RankTrace trace(program, timeline, flows, sink);
  uint64_t base = 1;
  int32_t pid = 1;
  const auto emit = [&](const RankTimeline& entry, RankId rank, uint32_t weight) {
    trace.Emit(entry, rank, weight, base, pid++);
    base += RankTrace::TracksPerRank(program);
  };
  if (!every_rank) {
    for (const RankTimeline& entry : timeline.ranks) emit(entry, entry.rank, entry.weight);
    return;
  }
  for (RankId rank = 0; rank < timeline.entry_of_rank.size(); ++rank) {
    emit(timeline.ranks[timeline.entry_of_rank[rank]], rank, 1);
  }
}

}  // namespace simulate
