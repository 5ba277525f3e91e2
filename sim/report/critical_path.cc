#include "sim/report/critical_path.h"

#include <algorithm>
#include <map>
#include <memory>
#include <tuple>
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
      if (instruction.kind != InstructionKind::kKernel) by_ready_.emplace_back(rank.spans[next].ready, next);
      ++next;
    }
    std::stable_sort(by_ready_.begin(), by_ready_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
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
  // The first collective or transfer of this kind that its rank was ready for at that instant; -1 if none.
  [[nodiscard]] int64_t ReadyAt(SimTime time, InstructionKind kind) const {
    auto it = std::lower_bound(by_ready_.begin(), by_ready_.end(), time, [](const auto& a, SimTime t) { return a.first < t; });
    for (; it != by_ready_.end() && it->first == time; ++it) {
      if (instruction(static_cast<int64_t>(it->second)).kind == kind) return static_cast<int64_t>(it->second);
    }
    return -1;
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
  std::vector<std::pair<SimTime, size_t>> by_ready_;  // collectives and transfers
};

class Walk {
 public:
  Walk(const Program& program, const Timeline& timeline)
      : program_(program), timeline_(timeline), ranks_(timeline.ranks.size()) {}

  std::vector<PathStep> Steps() {
    uint32_t entry = 0;
    for (uint32_t i = 1; i < timeline_.ranks.size(); ++i) {
      if (timeline_.ranks[i].end > timeline_.ranks[entry].end) entry = i;
    }
    int64_t span = ranks_.empty() ? -1 : Index(entry).LastSpan();
    if (span >= 0 && timeline_.end > Index(entry).span(span).end) {
      Add(entry, PathStep::kHost, Index(entry).span(span).end, timeline_.end);  // the host ends the step
    }
    while (span >= 0) std::tie(entry, span) = Back(entry, span);
    std::reverse(steps_.begin(), steps_.end());
    return std::move(steps_);
  }

 private:
  using Place = std::pair<uint32_t, int64_t>;

  // Most of a large cluster's ranks are never asked for.
  const RankIndex& Index(uint32_t entry) {
    if (!ranks_[entry]) ranks_[entry] = std::make_unique<RankIndex>(program_, timeline_.ranks[entry]);
    return *ranks_[entry];
  }

  // Adds this piece of work and returns what it started after.
  Place Back(uint32_t entry, int64_t i) {
    const Span* span = &Index(entry).span(i);
    Add(entry, span->instruction, span->start, span->end);
    if (span->start > span->ready) {  // it waited for another rank
      const Place late = LatePartner(entry, i);
      if (late.second >= 0) {
        entry = late.first;
        i = late.second;
        span = &Index(entry).span(i);
      }
    }
    const SimTime started = Started();
    const int64_t cause = Index(entry).LastCause(i);
    const SimTime cause_end = cause < 0 ? SimTime(0) : Index(entry).span(cause).end;
    if (cause >= 0 && cause_end >= span->enqueued) {
      Add(entry, PathStep::kHost, cause_end, started);  // the launch latency, if any
      return {entry, cause};
    }
    const int64_t blocker = Index(entry).HostBlocker(i);
    const SimTime free = blocker < 0 ? SimTime(0) : Index(entry).span(blocker).end;
    Add(entry, PathStep::kHost, std::min(free, started), started);
    return {entry, blocker};
  }

  // The simulated rank whose arrival let this collective or transfer start.
  Place LatePartner(uint32_t entry, int64_t i) {
    const Instruction& mine = Index(entry).instruction(i);
    const SimTime start = Index(entry).span(i).start;
    for (const uint32_t other : Partners(entry, mine)) {
      if (other == entry) continue;
      const int64_t span = Index(other).ReadyAt(start, mine.kind);
      if (span >= 0) return {other, span};
    }
    return {entry, -1};
  }

  // The simulated ranks that take part in it, in order, each once.
  std::vector<uint32_t> Partners(uint32_t entry, const Instruction& instruction) const {
    const bool collective = instruction.kind == InstructionKind::kCollective;
    const CommunicatorId communicator = collective ? program_.collectives[instruction.object].communicator
                                                   : program_.transfers[instruction.object].communicator;
    std::vector<uint32_t> partners;
    for (const std::vector<RankId>& group : program_.communicators[communicator].groups) {
      if (std::find(group.begin(), group.end(), timeline_.ranks[entry].rank) == group.end()) continue;
      for (const RankId rank : group) partners.push_back(timeline_.entry_of_rank[rank]);
    }
    std::sort(partners.begin(), partners.end());
    partners.erase(std::unique(partners.begin(), partners.end()), partners.end());
    return partners;
  }

  [[nodiscard]] SimTime Started() const { return steps_.back().begin; }

  void Add(uint32_t entry, uint32_t instruction, SimTime begin, SimTime end) {
    if (end > begin) steps_.push_back({entry, instruction, begin, end});
    else if (steps_.empty() || instruction != PathStep::kHost) steps_.push_back({entry, instruction, begin, begin});
  }

  const Program& program_;
  const Timeline& timeline_;
  std::vector<std::unique_ptr<RankIndex>> ranks_;
  std::vector<PathStep> steps_;  // latest first
};

PathShare KindOf(const Program& program, const Timeline& timeline, const PathStep& step) {
  PathShare kind;
  if (step.instruction == PathStep::kHost) {
    kind.kind = "host";
    return kind;
  }
  const RankId rank = timeline.ranks[step.entry].rank;
  const Instruction& i = program.programs[program.program_of_rank[rank]].instructions[step.instruction];
  if (i.kind == InstructionKind::kCollective) {
    kind.kind = Name(program.collectives[i.object].op);
    kind.group = program.communicators[program.collectives[i.object].communicator].name;
    if (i.object < timeline.collectives.size()) kind.link = timeline.collectives[i.object].bottleneck;
  } else if (i.kind == InstructionKind::kTransfer) {
    kind.kind = "transfer";
    kind.group = program.communicators[program.transfers[i.object].communicator].name;
  } else {
    kind.kind = program.names[i.name];
  }
  return kind;
}

}  // namespace

CriticalPath FindCriticalPath(const Program& program, const Timeline& timeline) {
  CriticalPath path;
  path.steps = Walk(program, timeline).Steps();
  struct Sum {
    PathShare kind;
    SimTime time;
    uint64_t count = 0;
  };
  std::map<std::pair<std::string, std::string>, Sum> sums;  // collectives by communicator
  for (const PathStep& step : path.steps) {
    PathShare kind = KindOf(program, timeline, step);
    Sum& sum = sums[{kind.kind, kind.group}];
    if (sum.count++ == 0) sum.kind = std::move(kind);
    sum.time += step.end - step.begin;
  }
  for (auto& [key, sum] : sums) {
    if (sum.time == SimTime(0)) continue;
    PathShare share = std::move(sum.kind);
    share.seconds = sum.time.seconds();
    share.share = share.seconds / timeline.end.seconds();
    share.count = sum.count;
    share.gain_of_ten_percent = 0.1 * share.seconds;
    path.shares.push_back(std::move(share));
  }
  std::stable_sort(path.shares.begin(), path.shares.end(),
                   [](const PathShare& a, const PathShare& b) { return a.seconds > b.seconds; });
  return path;
}

std::vector<PathShare> ByOperator(const std::vector<PathShare>& shares) {
  std::vector<PathShare> merged;
  for (const PathShare& share : shares) {
    const std::string name = share.kind.substr(0, share.kind.find('.'));
    const auto same = std::find_if(merged.begin(), merged.end(),
                                   [&](const PathShare& m) { return m.kind == name && m.group == share.group; });
    if (same == merged.end()) {
      merged.push_back(share);
      merged.back().kind = name;
      continue;
    }
    same->seconds += share.seconds;
    same->share += share.share;
    same->count += share.count;
    same->gain_of_ten_percent += share.gain_of_ten_percent;
  }
  std::stable_sort(merged.begin(), merged.end(), [](const PathShare& a, const PathShare& b) { return a.seconds > b.seconds; });
  return merged;
}

}  // namespace simulate
