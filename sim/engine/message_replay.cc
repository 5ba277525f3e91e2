#include "sim/engine/message_replay.h"

#include <algorithm>
#include <limits>

#include "sim/base/check.h"
#include "sim/engine/event_queue.h"
#include "sim/engine/network.h"

namespace simulate {

namespace {

class MessageReplay {
 public:
  MessageReplay(const MessageSchedule& schedule, std::span<const double> bandwidth)
      : schedule_(schedule), states_(schedule.channels.size()) {
    FindSharedLinks(bandwidth);
    FindDependants();
    network_ = Network(capacity_);
  }

  MessageOutcome Run() {
    for (uint32_t c = 0; c < states_.size(); ++c) TryStart(c);
    Settle();
    while (!events_.empty()) {
      const EventQueue::Batch batch = events_.Pop();
      now_ = batch.time;
      for (const Event& event : batch.events) {
        if (batch.kind == EventKind::kFlowPhase && states_[event.subject].generation != event.generation) continue;
        ++outcome_.events;
        if (batch.kind == EventKind::kFlowPhase) {
          Sent(event.subject);
        } else {
          Arrive(event.subject);
        }
      }
      if (events_.empty() || events_.next_time() != now_) Settle();
    }
    for (uint32_t c = 0; c < states_.size(); ++c) {
      SIM_CHECK(states_[c].arrived == schedule_.channels[c].messages, "channel ", c, " is stuck after ",
                states_[c].arrived, " of ", schedule_.channels[c].messages, " messages");
    }
    return outcome_;
  }

 private:
  struct State {
    uint32_t started = 0, arrived = 0;
    int64_t latency = 0;
    int64_t alone = 0;     // ps that a message's bytes take with the links to themselves
    int64_t free_at = 0;   // when the last message has left
    bool shared = false;   // uses links that others use, too
    // Of shared channels:
    bool flowing = false;  // on the network
    uint32_t generation = 0;
    double remaining = 0.0;
    double share = 0.0;  // 0: just began to flow
    SimTime updated;
    double full_speed = 0.0;  // bytes per second
    uint32_t first_demand = 0, demand_count = 0;
    uint32_t first_dependant = 0, dependant_count = 0;
  };

  // Numbers the links that several channels use; the others only bound their channel's speed.
  void FindSharedLinks(std::span<const double> bandwidth) {
    std::vector<uint32_t> users(bandwidth.size(), 0);
    for (const MessageChannel& channel : schedule_.channels) {
      for (const LinkId link : LinksOf(channel)) ++users[link];
    }
    std::vector<uint32_t> resource(bandwidth.size(), 0);
    for (size_t link = 0; link < bandwidth.size(); ++link) {
      if (users[link] < 2) continue;
      resource[link] = static_cast<uint32_t>(capacity_.size());
      capacity_.push_back(bandwidth[link]);
    }
    for (uint32_t c = 0; c < states_.size(); ++c) {
      const MessageChannel& channel = schedule_.channels[c];
      State& state = states_[c];
      double speed = std::numeric_limits<double>::infinity();
      for (const LinkId link : LinksOf(channel)) speed = std::min(speed, bandwidth[link]);
      SIM_CHECK(speed > 0.0, "channel ", c, " has a link without bandwidth");
      state.latency = SimTime::FromSeconds(channel.latency).picoseconds();
      state.full_speed = speed;
      state.alone = SimTime::FromSeconds(Seconds(channel.bytes / speed)).picoseconds();
      state.first_demand = static_cast<uint32_t>(demands_.size());
      for (const LinkId link : LinksOf(channel)) {
        if (users[link] >= 2) demands_.push_back({resource[link], speed});
      }
      state.demand_count = static_cast<uint32_t>(demands_.size()) - state.first_demand;
      state.shared = state.demand_count > 0 && state.alone > 0;
    }
  }

  void FindDependants() {
    for (const MessageChannel& channel : schedule_.channels) {
      for (const MessageDependency& d : DependenciesOf(channel)) ++states_[d.channel].dependant_count;
    }
    uint32_t next = 0;
    for (State& state : states_) {
      state.first_dependant = next;
      next += state.dependant_count;
      state.dependant_count = 0;
    }
    dependants_.resize(next);
    for (uint32_t c = 0; c < states_.size(); ++c) {
      for (const MessageDependency& d : DependenciesOf(schedule_.channels[c])) {
        State& on = states_[d.channel];
        dependants_[on.first_dependant + on.dependant_count++] = c;
      }
    }
  }

  [[nodiscard]] bool Ready(const MessageChannel& channel, uint32_t message) const {
    for (const MessageDependency& d : DependenciesOf(channel)) {
      const int64_t chunk = d.mine == 1 ? message : message / d.mine;
      if (int64_t{states_[d.channel].arrived} <= chunk * d.theirs + d.offset) return false;
    }
    return true;
  }

  void TryStart(uint32_t c) {
    State& state = states_[c];
    const MessageChannel& channel = schedule_.channels[c];
    while (!state.flowing && state.started < channel.messages && Ready(channel, state.started)) {
      ++state.started;
      if (state.shared) {
        Flow(c);
      } else {
        state.free_at = std::max(state.free_at, now_.picoseconds()) + state.alone;
        events_.Push(SimTime(state.free_at + state.latency), EventKind::kWake, {.subject = c});
      }
    }
  }

  // The bytes of a channel with shared links begin to flow.
  void Flow(uint32_t c) {
    State& state = states_[c];
    state.flowing = true;
    state.remaining = static_cast<double>(state.alone);
    state.share = 0.0;
    state.updated = now_;
    network_.Add(c, std::span(demands_).subspan(state.first_demand, state.demand_count),
                 1.0 / state.full_speed);
    started_.push_back(c);
  }

  // They have left: the message is on its way, and the next may follow.
  void Sent(uint32_t c) {
    State& state = states_[c];
    network_.Remove(c);
    ++state.generation;
    state.flowing = false;
    events_.Push(now_ + SimTime(state.latency), EventKind::kWake, {.subject = c});
    TryStart(c);
  }

  void Arrive(uint32_t c) {
    State& state = states_[c];
    ++state.arrived;
    if (schedule_.channels[c].link_count > 0) ++outcome_.messages;
    outcome_.end = now_;  // what is popped later may be stale
    for (uint32_t d = 0; d < state.dependant_count; ++d) TryStart(dependants_[state.first_dependant + d]);
  }

  void Settle() {
    if (capacity_.empty()) return;
    for (const uint32_t c : network_.Update()) SetShare(c);
    for (const uint32_t c : started_) SetShare(c);
    started_.clear();
  }

  void SetShare(uint32_t c) {
    State& state = states_[c];
    if (!state.flowing) return;
    const double share = network_.share(c);
    if (share == state.share) return;
    if (state.share > 0.0) {
      const auto elapsed = static_cast<double>((now_ - state.updated).picoseconds());
      state.remaining = std::max(0.0, state.remaining - elapsed * state.share);
      ++state.generation;
    }
    state.share = share;
    state.updated = now_;
    events_.Push(now_ + SimTime(static_cast<int64_t>(state.remaining / share + 0.5)), EventKind::kFlowPhase,
                 {.subject = c, .generation = state.generation});
  }

  [[nodiscard]] std::span<const LinkId> LinksOf(const MessageChannel& channel) const {
    return std::span(schedule_.links).subspan(channel.first_link, channel.link_count);
  }
  [[nodiscard]] std::span<const MessageDependency> DependenciesOf(const MessageChannel& channel) const {
    return std::span(schedule_.dependencies).subspan(channel.first_dependency, channel.dependency_count);
  }

  const MessageSchedule& schedule_;
  std::vector<State> states_;  // by channel
  std::vector<uint32_t> dependants_;
  std::vector<double> capacity_;
  std::vector<Demand> demands_;
  std::vector<uint32_t> started_;
  EventQueue events_;
  Network network_{{}};
  SimTime now_;
  MessageOutcome outcome_;
};

}  // namespace

MessageOutcome ReplayMessages(const MessageSchedule& schedule, std::span<const double> bandwidth) {
  return MessageReplay(schedule, bandwidth).Run();
}

}  // namespace simulate
