#include "sim/report/breakdown.h"

#include <algorithm>
#include <array>
#include <map>

namespace simulate {
namespace {

constexpr uint32_t kNoSpan = 0xFFFFFFFF;

enum class Part : uint8_t { kCompute, kOptimizer, kPipelineBubble, kHostBound, kIdle };

// One rank's spans with what the explanation of a gap needs: who came before on the stream, who is waited for.
class Walk {
 public:
  Walk(const Program& program, const RankTimeline& rank)
      : program_(program),
        code_(program.programs[program.program_of_rank[rank.rank]]),
        spans_(rank.spans),
        span_of_(code_.instructions.size(), kNoSpan),
        before_(spans_.size(), kNoSpan) {
    std::vector<uint32_t> last(program.streams.size(), kNoSpan);
    for (uint32_t i = 0; i < spans_.size(); ++i) {
      span_of_[spans_[i].instruction] = i;
      uint32_t& previous = last[At(i).stream];
      before_[i] = previous;
      previous = i;
    }
  }

  void Run(SimTime rank_end, SimTime host_end, SimTime end) {
    SimTime now;
    for (const uint32_t i : ComputeSpans()) {
      const Span& span = spans_[i];
      if (span.start > now) Explain(i, now, span.start);
      now = std::max(now, span.start);
      if (span.end <= now) continue;
      AddBusy(i, now, span.end);
      now = span.end;
    }
    const uint32_t last = LastSpan();
    if (last != kNoSpan && spans_[last].end > now) {
      Explain(last, now, std::min(end, spans_[last].end));
      now = std::min(end, spans_[last].end);
    }
    const SimTime host = std::min(end, std::max(host_end, rank_end));
    if (host > now) {
      Add(Part::kHostBound, now, host);
      now = host;
    }
    Add(HasPipeline() ? Part::kPipelineBubble : Part::kIdle, now, end);
  }

  [[nodiscard]] Breakdown Result() const {
    const auto part = [&](Part p) { return SimTime(parts_[static_cast<size_t>(p)]).seconds(); };
    Breakdown b;
    b.compute = part(Part::kCompute);
    b.optimizer = part(Part::kOptimizer);
    b.pipeline_bubble = part(Part::kPipelineBubble);
    b.host_bound = part(Part::kHostBound);
    b.idle = part(Part::kIdle);
    AddParts(&b);
    for (const auto& [kind, ps] : exposed_) b.exposed_communication.emplace_back(kind, SimTime(ps).seconds());
    return b;
  }

 private:
  [[nodiscard]] const Instruction& At(uint32_t span) const { return code_.instructions[spans_[span].instruction]; }
  [[nodiscard]] bool OnCompute(uint32_t span) const {
    return program_.streams[At(span).stream].kind == StreamKind::kCompute;
  }

  [[nodiscard]] std::vector<uint32_t> ComputeSpans() const {
    std::vector<uint32_t> order;
    for (uint32_t i = 0; i < spans_.size(); ++i) {
      if (OnCompute(i)) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](uint32_t a, uint32_t b) { return spans_[a].start < spans_[b].start; });
    return order;
  }

  [[nodiscard]] uint32_t LastSpan() const {
    uint32_t last = kNoSpan;
    for (uint32_t i = 0; i < spans_.size(); ++i) {
      if (last == kNoSpan || spans_[i].end > spans_[last].end) last = i;
    }
    return last;
  }

  [[nodiscard]] bool HasPipeline() const {
    return std::any_of(spans_.begin(), spans_.end(), [&](const Span& s) {
      const Instruction& i = code_.instructions[s.instruction];
      return i.kind == InstructionKind::kTransfer && IsPipeline(i);
    });
  }

  // Transfers of a communicator that is not the pipeline's are a ring's (context parallelism).
  [[nodiscard]] bool IsPipeline(const Instruction& i) const {
    const auto& communicator = program_.communicators[program_.transfers[i.object].communicator];
    return communicator.name.find("pipeline") != std::string::npos;
  }

  // The parts of compute: what kernels lost to others, and recomputation at full speed.
  void AddParts(Breakdown* b) const {
    SimTime lost;
    SimTime again;
    for (uint32_t i = 0; i < spans_.size(); ++i) {
      const Span& span = spans_[i];
      if (!OnCompute(i) || At(i).kind != InstructionKind::kKernel || At(i).phase == Phase::kOptimizer) continue;
      const SimTime alone = std::min(span.end - span.start, span.alone);
      lost += span.end - span.start - alone;
      if (At(i).phase == Phase::kRecompute) again += alone;
    }
    b->contention = lost.seconds();
    b->recompute = again.seconds();
  }

  void Add(Part part, SimTime from, SimTime to) {
    if (to > from) parts_[static_cast<size_t>(part)] += (to - from).picoseconds();
  }
  void AddExposed(const char* kind, SimTime from, SimTime to) {
    if (to > from) exposed_[kind] += (to - from).picoseconds();
  }

  // Span `i` occupies [from, to).
  void AddBusy(uint32_t i, SimTime from, SimTime to) {
    const Instruction& instruction = At(i);
    switch (instruction.kind) {
      case InstructionKind::kCollective:
        return AddExposed(Name(program_.collectives[instruction.object].op), from, to);
      case InstructionKind::kTransfer: {
        // One half of an exchange may be on the wire while the other waits for its peer: what a message takes
        // alone is the wire's, the rest is the peer's.
        const SimTime wire = IsPipeline(instruction) ? std::clamp(spans_[i].end - spans_[i].alone, from, to) : from;
        Add(Part::kPipelineBubble, from, wire);
        return AddExposed(Name(CollectiveOp::kSendRecv), wire, to);
      }
      default: break;
    }
    if (program_.streams[instruction.stream].kind == StreamKind::kHost) {
      return Add(instruction.phase == Phase::kOptimizer ? Part::kOptimizer : Part::kHostBound, from, to);
    }
    if (!OnCompute(i)) return AddExposed("copy", from, to);
    const bool optimizer = instruction.phase == Phase::kOptimizer;
    Add(optimizer ? Part::kOptimizer : Part::kCompute, from, to);
  }

  // The span that kept `i` from starting: of its waits and its stream's predecessor the one that ended last.
  [[nodiscard]] uint32_t Cause(uint32_t i) const {
    uint32_t cause = before_[i];
    for (const uint32_t wait : code_.Waits(At(i))) {
      const uint32_t candidate = span_of_[wait];
      if (candidate == kNoSpan) continue;
      if (cause == kNoSpan || spans_[candidate].end > spans_[cause].end) cause = candidate;
    }
    return cause;
  }

  // Explains [from, to), in which span `i` was what the rank waited for: running, or not yet begun.
  void Explain(uint32_t i, SimTime from, SimTime to) {
    while (from < to) {
      const Span& span = spans_[i];
      if (span.start < to) {
        AddBusy(i, std::max(from, span.start), to);
        to = std::max(from, span.start);
      }
      const uint32_t cause = Cause(i);
      const SimTime free = cause == kNoSpan ? SimTime() : spans_[cause].end;
      const SimTime ready = std::max(free, span.enqueued);
      if (ready < to) {
        Add(WaitPart(i), std::max(from, ready), to);
        to = std::max(from, ready);
      }
      if (free < to) {
        ExplainHost(spans_[i].instruction, std::max(from, free), to);
        to = std::max(from, free);
      }
      if (cause == kNoSpan) break;
      i = cause;
    }
  }

  // What a span waits for that was enqueued and had its turn: peers, or the launch itself.
  [[nodiscard]] Part WaitPart(uint32_t i) const {
    switch (At(i).kind) {
      case InstructionKind::kTransfer: return Part::kPipelineBubble;
      case InstructionKind::kCollective: return Part::kIdle;
      default: return Part::kHostBound;
    }
  }

  // Explains [from, to), in which the host had not yet enqueued `instruction`.
  void ExplainHost(uint32_t instruction, SimTime from, SimTime to) {
    uint32_t cause = kNoSpan;
    for (uint32_t i = instruction; i-- > code_.step_begin;) {
      const Instruction& earlier = code_.instructions[i];
      if (span_of_[i] != kNoSpan && spans_[span_of_[i]].enqueued <= from) break;
      if (earlier.kind != InstructionKind::kHostWait) continue;
      for (const uint32_t wait : code_.Waits(earlier)) {
        const uint32_t candidate = span_of_[wait];
        if (candidate == kNoSpan) continue;
        if (cause == kNoSpan || spans_[candidate].end > spans_[cause].end) cause = candidate;
      }
    }
    if (cause != kNoSpan && spans_[cause].end > from) {
      const SimTime woken = std::min(to, spans_[cause].end);
      Explain(cause, from, woken);
      from = woken;
    }
    Add(Part::kHostBound, from, to);
  }

  const Program& program_;
  const RankProgram& code_;
  const std::vector<Span>& spans_;
  std::vector<uint32_t> span_of_;  // by instruction
  std::vector<uint32_t> before_;   // by span: the one before it on its stream
  std::array<int64_t, 5> parts_{};
  std::map<std::string, int64_t> exposed_;
};

}  // namespace

Seconds Breakdown::exposed() const {
  Seconds sum;
  for (const auto& [kind, seconds] : exposed_communication) sum += seconds;
  return sum;
}

Seconds Breakdown::total() const {
  return compute + exposed() + pipeline_bubble + host_bound + optimizer + idle;
}

Breakdown BreakDown(const Program& program, const RankTimeline& rank, SimTime end) {
  Walk walk(program, rank);
  walk.Run(rank.end, rank.host_end, end);
  return walk.Result();
}

Communication SumCommunication(const Program& program, const Timeline& timeline, const RankTimeline& rank) {
  const RankProgram& code = program.programs[program.program_of_rank[rank.rank]];
  Communication sum;
  for (const Span& span : rank.spans) {
    const Instruction& instruction = code.instructions[span.instruction];
    const bool collective = instruction.kind == InstructionKind::kCollective;
    if (!collective && instruction.kind != InstructionKind::kTransfer) continue;
    sum.busy += (span.end - span.start).seconds();
    sum.alone += span.alone.seconds();
    if (collective) sum.latency += timeline.collectives[instruction.object].latency.seconds();
    ++sum.calls;
  }
  return sum;
}

}  // namespace simulate
