#include "sim/engine/compile.h"

#include "sim/base/check.h"

namespace simulate {

HostCosts HostCostsOf(const Costs& costs) {
  HostCosts host;
  constexpr auto kLast = static_cast<size_t>(HostCall::kIteration);
  static_assert(kLast < std::tuple_size_v<decltype(host.call)>);
  for (size_t c = 0; c <= kLast; ++c) {
    host.call[c] = SimTime::FromSeconds(costs.Host(static_cast<HostCall>(c))).picoseconds();
  }
  host.launch_latency = SimTime::FromSeconds(costs.LaunchLatency()).picoseconds();
  host.launch_queue = costs.LaunchQueue();
  return host;
}

std::optional<uint32_t> DoneBeforeLaunch(size_t launched, int64_t queue) {
  constexpr int64_t kAtATime = 64;
  const int64_t done = static_cast<int64_t>(launched) + kAtATime - queue;
  if (queue == 0 || launched % kAtATime != 0 || done <= 0) return {};
  return static_cast<uint32_t>(done - 1);
}

namespace {

class Compiler {
 public:
  Compiler(const Program& program, const RankProgram& rank)
      : program_(program),
        rank_(rank),
        streams_(program.streams.size()),
        by_stream_(streams_),
        place_(rank.instructions.size()) {
    result_.calls.resize(program.communicators.size());
  }

  CompiledProgram Walk(const HostCosts& host, std::span<const HostStall> stalls) {
    int64_t offset = 0;
    auto stall = stalls.begin();
    for (uint32_t at = rank_.step_begin; at < rank_.instructions.size(); ++at) {
      const Instruction& i = rank_.instructions[at];
      offset += host.Of(i);
      for (; stall != stalls.end() && stall->instruction == at; ++stall) {
        if (stall->drains) {
          EndSegment(offset, AddDrain());
          offset = 0;
        }
        offset += stall->picoseconds;
      }
      if (i.kind == InstructionKind::kHostWait && i.wait_count > 0) {
        EndSegment(offset, AddWaits(i, kNotAStream));
        offset = 0;
      } else if (IsLaunch(i.kind)) {
        if (const auto done = DoneBeforeLaunch(by_stream_[i.stream].size(), host.launch_queue)) {
          result_.waits.push_back({*done, i.stream});
          EndSegment(offset, static_cast<uint32_t>(result_.waits.size() - 1));
          offset = 0;
        }
        Launch(at, offset);
      }
    }
    EndSegment(offset, static_cast<uint32_t>(result_.waits.size()));
    result_.stream_begin.push_back(0);
    for (const std::vector<Task>& tasks : by_stream_) {
      result_.tasks.insert(result_.tasks.end(), tasks.begin(), tasks.end());
      result_.stream_begin.push_back(static_cast<uint32_t>(result_.tasks.size()));
    }
    return std::move(result_);
  }

 private:
  static constexpr StreamId kNotAStream = 0xFF;

  // Waits on `own` are implied by its order; of several on one stream the last implies the others.
  uint32_t AddWaits(const Instruction& i, StreamId own) {
    const auto first = static_cast<uint32_t>(result_.waits.size());
    for (const uint32_t wait : rank_.Waits(i)) {
      const StreamWait& on = place_[wait];
      if (on.stream == own) continue;
      bool known = false;
      for (size_t w = first; w < result_.waits.size(); ++w) {
        if (result_.waits[w].stream != on.stream) continue;
        result_.waits[w].position = std::max(result_.waits[w].position, on.position);
        known = true;
      }
      if (!known) result_.waits.push_back(on);
    }
    return first;
  }

  void Launch(uint32_t at, int64_t offset) {
    const Instruction& i = rank_.instructions[at];
    std::vector<Task>& stream = by_stream_[i.stream];
    place_[at] = {static_cast<uint32_t>(stream.size()), i.stream};
    Task task{.offset = offset,
              .segment = static_cast<uint32_t>(result_.segments.size()),
              .first_wait = AddWaits(i, i.stream),
              .object = i.object,
              .launch = static_cast<uint32_t>(result_.launches.size()),
              .kind = i.kind};
    task.wait_count = static_cast<uint16_t>(result_.waits.size() - task.first_wait);
    if (i.kind == InstructionKind::kCollective) {
      std::vector<CallSite>& calls = result_.calls[program_.collectives[i.object].communicator];
      task.call = static_cast<uint32_t>(calls.size());
      calls.push_back({i.object, static_cast<uint32_t>(stream.size()), i.stream});
    }
    stream.push_back(task);
    result_.launches.push_back(at);
  }

  // For the last task of every stream but those of transfers.
  uint32_t AddDrain() {
    const auto first = static_cast<uint32_t>(result_.waits.size());
    for (size_t s = 0; s < streams_; ++s) {
      if (by_stream_[s].empty() || by_stream_[s].back().kind == InstructionKind::kTransfer) continue;
      result_.waits.push_back({static_cast<uint32_t>(by_stream_[s].size() - 1), static_cast<StreamId>(s)});
    }
    return first;
  }

  // `first_wait`: the waits added since end the segment.
  void EndSegment(int64_t length, uint32_t first_wait) {
    Segment segment{.length = length, .first_wait = first_wait};
    segment.wait_count = static_cast<uint32_t>(result_.waits.size()) - segment.first_wait;
    result_.segments.push_back(segment);
    for (const std::vector<Task>& tasks : by_stream_) {
      result_.enqueued.push_back(static_cast<uint32_t>(tasks.size()));
    }
  }

  const Program& program_;
  const RankProgram& rank_;
  size_t streams_;
  std::vector<std::vector<Task>> by_stream_;
  std::vector<StreamWait> place_;  // of every launch
  CompiledProgram result_;
};

}  // namespace

CompiledProgram Compile(const Program& program, const RankProgram& rank, const HostCosts& host,
                        std::span<const HostStall> stalls) {
  return Compiler(program, rank).Walk(host, stalls);
}

}  // namespace simulate
