// The part of Replay that moves bytes: collectives gather, transfers meet, flows share links.
#include <algorithm>

#include "sim/base/check.h"
#include "sim/engine/replay.h"

namespace simulate {

// ------------------------------------------------------------------ collectives

// A member has reached its k-th call on a communicator.
void Replay::Arrive(uint32_t rank, const Task& task) {
  const CommunicatorId communicator = program_.collectives[task.object].communicator;
  const uint32_t group = plan_.group_of[communicator * plan_.ranks.size() + rank];
  ++arrivals_[plan_.groups[group].first_arrival + task.call];
  StartIfGathered(group);
}

// Calls of one communicator run one after the other, in the order in which hosts enqueued them.
void Replay::StartIfGathered(uint32_t id) {
  const PlanGroup& group = plan_.groups[id];
  GroupState& state = groups_[id];
  if (state.running || state.next_call >= group.call_count) return;
  if (arrivals_[group.first_arrival + state.next_call] < group.member_count) return;
  state.running = true;
  const auto members = plan_.MembersOf(group);
  const CallSite& first = ProgramOf(members[0]).calls[group.communicator][state.next_call];
  const FlowCost& cost = plan_.flows[group.first_cost + plan_.slot_of_collective[first.collective]];
  const uint32_t flow = StartFlow(cost);
  flows_[flow].group = id;
  for (const uint32_t member : members) {
    Occupy(member, ProgramOf(member).calls[group.communicator][state.next_call].stream, flow, cost);
  }
}

void Replay::EndCollective(uint32_t flow) {
  const uint32_t id = flows_[flow].group;
  const FlowCost& cost = *flows_[flow].cost;
  const PlanGroup& group = plan_.groups[id];
  const uint32_t call = groups_[id].next_call++;
  groups_[id].running = false;
  FreeFlow(flow);
  for (const uint32_t member : plan_.MembersOf(group)) {
    const StreamId stream = ProgramOf(member).calls[group.communicator][call].stream;
    Release(member, stream, flow, cost);
    Complete(member, stream);
  }
  StartIfGathered(id);
}

// ------------------------------------------------------------------ transfers

void Replay::ReachTransfer(uint32_t rank, StreamId stream, const Task& task) {
  const TransferPlan& transfer = plan_.transfers[rank * program_.transfers.size() + task.object];
  StreamState& state = At(rank, stream);
  state.halves = static_cast<uint8_t>((transfer.send_channel != kNoIndex ? 1 : 0) +
                                      (transfer.receive_channel != kNoIndex ? 1 : 0));
  SIM_CHECK(state.halves > 0, "a transfer that neither sends nor receives");
  if (transfer.send_channel != kNoIndex) {
    channels_[transfer.send_channel].sends.push_back({stream, transfer.send_cost});
    MatchChannel(transfer.send_channel);
  }
  if (transfer.receive_channel != kNoIndex) {
    channels_[transfer.receive_channel].receives.push_back({stream, 0});
    MatchChannel(transfer.receive_channel);
  }
}

void Replay::MatchChannel(uint32_t id) {
  ChannelState& channel = channels_[id];
  if (channel.sends.empty() || channel.receives.empty()) return;
  const ChannelState::End source = channel.sends.front();
  const ChannelState::End destination = channel.receives.front();
  channel.sends.erase(channel.sends.begin());
  channel.receives.erase(channel.receives.begin());
  const FlowCost& cost = plan_.flows[source.cost];
  const uint32_t flow = StartFlow(cost);
  flows_[flow].channel = id;
  flows_[flow].source_stream = source.stream;
  flows_[flow].destination_stream = destination.stream;
  Occupy(plan_.channels[id].source, source.stream, flow, cost);
  Occupy(plan_.channels[id].destination, destination.stream, flow, cost);
}

void Replay::EndTransferHalf(uint32_t flow) {
  const Flow ended = flows_[flow];
  const PlanChannel& channel = plan_.channels[ended.channel];
  FreeFlow(flow);
  Release(channel.source, ended.source_stream, flow, *ended.cost);
  Release(channel.destination, ended.destination_stream, flow, *ended.cost);
  HalfDone(channel.source, ended.source_stream);
  HalfDone(channel.destination, ended.destination_stream);
}

void Replay::HalfDone(uint32_t rank, StreamId stream) {
  if (--At(rank, stream).halves == 0) Complete(rank, stream);
}

// ------------------------------------------------------------------ flows

uint32_t Replay::StartFlow(const FlowCost& cost) {
  uint32_t id = 0;
  if (free_flows_.empty()) {
    id = static_cast<uint32_t>(flows_.size());
    flows_.emplace_back();
  } else {
    id = free_flows_.back();
    free_flows_.pop_back();
  }
  const uint32_t generation = flows_[id].generation + 1;  // what is left of the last user is stale
  const bool dirty = flows_[id].dirty;
  flows_[id] = Flow{.cost = &cost,
                    .generation = generation,
                    .remaining = static_cast<double>(cost.latency),
                    .updated = now_,
                    .dirty = dirty};
  ++flow_runs_[static_cast<size_t>(&cost - plan_.flows.data())];
  MarkFlow(id);
  return id;
}

void Replay::FreeFlow(uint32_t flow) {
  flows_[flow].cost = nullptr;
  free_flows_.push_back(flow);
}

// A flow begins on one of the devices that it joins.
void Replay::Occupy(uint32_t rank, StreamId stream, uint32_t flow, const FlowCost& cost) {
  StreamState& state = At(rank, stream);
  state.started = now_;
  state.flows[state.flows[0] == kNever ? 0 : 1] = flow;
  RankState& device = ranks_[rank];
  device.flows |= uint64_t{1} << stream;
  if (cost.cores == 0 && cost.memory_traffic == 0) return;
  device.cores += cost.cores;
  device.memory_traffic += cost.memory_traffic;
  device.pressure_changed = true;
  MarkRank(rank);
}

void Replay::Release(uint32_t rank, StreamId stream, uint32_t flow, const FlowCost& cost) {
  StreamState& state = At(rank, stream);
  state.flows[state.flows[0] == flow ? 0 : 1] = kNever;
  RankState& device = ranks_[rank];
  if (state.flows[0] == kNever && state.flows[1] == kNever) device.flows &= ~(uint64_t{1} << stream);
  if (cost.cores == 0 && cost.memory_traffic == 0) return;
  device.cores -= cost.cores;
  device.memory_traffic -= cost.memory_traffic;
  device.pressure_changed = true;
  MarkRank(rank);
}

void Replay::UpdatePressure(RankState& state) {
  state.pressure_changed = false;
  const auto [found, added] =
      pressure_ids_.try_emplace(std::pair<int32_t, int64_t>{state.cores, state.memory_traffic},
                                static_cast<uint32_t>(pressures_.size()));
  if (added) {
    pressures_.push_back({state.cores, BytesPerSecond(static_cast<double>(state.memory_traffic))});
    slowdowns_.emplace_back();
  }
  state.pressure = found->second;
}

void Replay::MarkFlow(uint32_t flow) {
  if (flows_[flow].dirty) return;
  flows_[flow].dirty = true;
  dirty_flows_.push_back(flow);
}

// The latency is over, or the transfer.
void Replay::NextPhase(uint32_t id) {
  Flow& flow = flows_[id];
  ++flow.generation;
  if (!flow.transferring && flow.cost->transfer > 0) {
    flow.transferring = true;
    flow.remaining = static_cast<double>(flow.cost->transfer);
    flow.stretch = 0.0;
    flow.updated = now_;
    network_.Add(id, plan_.DemandsOf(*flow.cost), flow.cost->growth);
    MarkFlow(id);
    return;
  }
  if (flow.transferring) network_.Remove(id);
  if (flow.group != kNever) {
    EndCollective(id);
  } else {
    EndTransferHalf(id);
  }
}

void Replay::SettleFlow(uint32_t id) {
  Flow& flow = flows_[id];
  flow.dirty = false;
  if (flow.cost == nullptr) return;  // it ended at this instant
  float worst = 1.0F;
  if (flow.group != kNever) {
    for (const uint32_t member : plan_.MembersOf(plan_.groups[flow.group])) {
      worst = std::max(worst, ranks_[member].collective_stretch);
    }
  } else if (flow.channel != kNever) {
    worst = std::max(ranks_[plan_.channels[flow.channel].source].collective_stretch,
                     ranks_[plan_.channels[flow.channel].destination].collective_stretch);
  }
  const double stretch = static_cast<double>(worst) / (flow.transferring ? network_.share(id) : 1.0);
  if (stretch == flow.stretch) return;
  if (flow.stretch > 0.0) {
    const auto elapsed = static_cast<double>((now_ - flow.updated).picoseconds());
    flow.remaining = std::max(0.0, flow.remaining - elapsed / flow.stretch);
    ++flow.generation;
  }
  flow.updated = now_;
  flow.stretch = stretch;
  const auto left = static_cast<int64_t>(flow.remaining * stretch + 0.5);
  events_.Push(now_ + SimTime(left), EventKind::kFlowPhase, {.subject = id, .generation = flow.generation});
}

}  // namespace simulate
