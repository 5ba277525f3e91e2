#include "sim/report/critical_path.h"

#include <algorithm>
#include <map>
#include <utility>

#include "sim/base/check.h"

namespace simulate {
namespace {

// One rank's spans, found by instruction and by what precedes them.
class RankIndex {
 public:
  RankIndex(const Program& program, const RankTimeline& rank)
      : code_(&program.programs[program.program_of_rank[rank.rank]]), rank_(&rank), span_of_(code_->instructions.size(), -1),
        before_(rank.spans.size(), -1), host_wait_(rank.spans.size(), -1) {
    std::vector<int64_t> last_on_stream(program.streams.size(), -1);
    int64_t last_wait = -1;
    size_t next = 0;
    for (uint32_t i = 0; i < code_->instructions.size(); ++i) {
      const Instruction& instruction = code_->instructions[i];
      if (instruction.kind == InstructionKind::kHostWait) last_wait = i;
      if (next >= rank.spans.size() || rank.spans[next].instruction != i) continue;
      span_of_[i] = static_cast<int64_t>(next);
      before_[next] = std::exchange(last_on_stream[instruction.stream], static_cast<int64_t>(next));
      host_wait_[next] = last_wait;
      ++next;
    }
  }

  [[nodiscard]] const Span& span(int64_t i) const { return rank_->spans[static_cast<size_t>(i)]; }
  [[nodiscard]] const Instruction& instruction(int64_t i) const { return code_->instructions[span(i).instruction]; }
  [[nodiscard]] int64_t span_of(uint32_t instruction) const { return span_of_[instruction]; }
  // The work before it on its stream, or one that it waits for: whichever ends last; -1 if none.
  [[nodiscard]] int64_t LastCause(int64_t i) const {
    int64_t best = before_[static_cast<size_t>(i)];
    for (const uint32_t w : code_->Waits(instruction(i))) best = Later(best, span_of_[w]);
    return best;
  }
  // The work whose end let the host go on, before it enqueued this; -1 if it never blocked.
  [[nodiscard]] int64_t HostBlocker(int64_t i) const {
    const int64_t wait = host_wait_[static_cast<size_t>(i)];
    if (wait < 0) return -1;
    int64_t best = -1;
    for (const uint32_t w : code_->Waits(code_->instructions[static_cast<size_t>(wait)])) best = Later(best, span_of_[w]);
    return best;
  }
  [[nodiscard]] int64_t LastSpan() const {
    int64_t best = -1;
    for (size_t i = 0; i < rank_->spans.size(); ++i) best = Later(best, static_cast<int64_t>(i));
    return best;
  }

 private:
  [[nodiscard]] int64_t Later(int64_t a, int64_t b) const {
    if (a < 0) return b;
    if (b < 0) return a;
    return span(b).end > span(a).end ? b : a;
  }

  const RankProgram* code_;
  const RankTimeline* rank_;
  std::vector<int64_t> span_of_;
  std::vector<int64_t> before_;
  std::vector<int64_t> host_wait_;
};

class Walk {
 public:
  Walk(const Program& program, const Timeline& timeline) : program_(program), timeline_(timeline) {
    for (const RankTimeline& rank : timeline.ranks) ranks_.emplace_back(program, rank);
  }

  std::vector<PathStep> Steps() {
    uint32_t entry = 0;
    for (uint32_t i = 1; i < timeline_.ranks.size(); ++i) {
      if (timeline_.ranks[i].end > timeline_.ranks[entry].end) entry = i;
    }
    int64_t span = ranks_.empty() ? -1 : ranks_[entry].LastSpan();
    if (span >= 0 && timeline_.end > ranks_[entry].span(span).end) {
      Add(entry, PathStep::kHost, ranks_[entry].span(span).end, timeline_.end);  // the host ends the step
    }
    while (span >= 0) std::tie(entry, span) = Back(entry, span);
    std::reverse(steps_.begin(), steps_.end());
    return std::move(steps_);
  }

 private:
  using Place = std::pair<uint32_t, int64_t>;

  // Adds this piece of work and returns what it started after.
  Place Back(uint32_t entry, int64_t i) {
    const Span* span = &ranks_[entry].span(i);
    Add(entry, span->instruction, span->start, span->end);
    if (span->start > span->ready) {  // it waited for another rank
      const Place late = LatePartner(entry, i);
      if (late.second >= 0) {
        entry = late.first;
        i = late.second;
        span = &ranks_[entry].span(i);
      }
    }
    const SimTime started = Started();
    const int64_t cause = ranks_[entry].LastCause(i);
    const SimTime cause_end = cause < 0 ? SimTime(0) : ranks_[entry].span(cause).end;
    if (cause >= 0 && cause_end >= span->enqueued) {
      Add(entry, PathStep::kHost, cause_end, started);  // the launch latency, if any
      return {entry, cause};
    }
    const int64_t blocker = ranks_[entry].HostBlocker(i);
    const SimTime free = blocker < 0 ? SimTime(0) : ranks_[entry].span(blocker).end;
    Add(entry, PathStep::kHost, std::min(free, started), started);
    return {entry, blocker};
  }

  // The simulated rank whose arrival let this collective or transfer start.
  Place LatePartner(uint32_t entry, int64_t i) {
    const Span& mine = ranks_[entry].span(i);
    const InstructionKind kind = ranks_[entry].instruction(i).kind;
    for (uint32_t other = 0; other < ranks_.size(); ++other) {
      if (other == entry) continue;
      const auto& spans = timeline_.ranks[other].spans;
      for (size_t s = 0; s < spans.size(); ++s) {
        if (spans[s].ready != mine.start) continue;
        if (ranks_[other].instruction(static_cast<int64_t>(s)).kind == kind) return {other, static_cast<int64_t>(s)};
      }
    }
    return {entry, -1};
  }

  [[nodiscard]] SimTime Started() const { return steps_.back().begin; }

  void Add(uint32_t entry, uint32_t instruction, SimTime begin, SimTime end) {
    if (end > begin) steps_.push_back({entry, instruction, begin, end});
    else if (steps_.empty() || instruction != PathStep::kHost) steps_.push_back({entry, instruction, begin, begin});
  }

  const Program& program_;
  const Timeline& timeline_;
  std::vector<RankIndex> ranks_;
  std::vector<PathStep> steps_;  // latest first
};

std::string KindOf(const Program& program, const Timeline& timeline, const PathStep& step) {
  if (step.instruction == PathStep::kHost) return "host";
  const RankId rank = timeline.ranks[step.entry].rank;
  const Instruction& i = program.programs[program.program_of_rank[rank]].instructions[step.instruction];
  if (i.kind == InstructionKind::kCollective) return Name(program.collectives[i.object].op);
  if (i.kind == InstructionKind::kTransfer) return "transfer";
  return program.names[i.name];
}

}  // namespace

CriticalPath FindCriticalPath(const Program& program, const Timeline& timeline) {
  CriticalPath path;
  path.steps = Walk(program, timeline).Steps();
  std::map<std::string, std::pair<SimTime, uint64_t>> sums;
  for (const PathStep& step : path.steps) {
    auto& [time, count] = sums[KindOf(program, timeline, step)];
    time += step.end - step.begin;
    ++count;
  }
  for (const auto& [kind, sum] : sums) {
    if (sum.first == SimTime(0)) continue;
    const Seconds seconds = sum.first.seconds();
    path.shares.push_back({kind, seconds, seconds / timeline.end.seconds(), sum.second, 0.1 * seconds});
  }
  std::stable_sort(path.shares.begin(), path.shares.end(),
                   [](const PathShare& a, const PathShare& b) { return a.seconds > b.seconds; });
  return path;
}

}  // namespace simulate
