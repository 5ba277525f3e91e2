// Everything that does not change while a program is replayed, in flat tables: the simulated ranks and
// their compiled programs, groups and channels, what each kernel and each flow costs, and the links.
//
// A flow is a collective of one group class or one half of a transfer: a latency that nothing but kernels
// beside it stretches, then a transfer that shares links. Links that every flow loads alike are one
// resource, so a ring through 64 nodes costs the sharing no more than a ring through one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sim/engine/compile.h"
#include "sim/engine/costs.h"
#include "sim/engine/fold.h"
#include "sim/engine/max_min.h"
#include "sim/engine/timeline.h"

namespace simulate {

constexpr uint32_t kNoIndex = 0xFFFFFFFF;

struct SimRank {
  RankId rank = 0;
  uint32_t program = 0;
  double stretch = 1.0;  // its kernels take this many times as long
};

struct FlowCost {
  int64_t latency = 0;   // ps
  int64_t transfer = 0;  // ps, alone
  int cores = 0;
  int64_t memory_traffic = 0;  // bytes per second on every member
  double growth = 1.0;        // see max_min.h: flows that share a bottleneck get equal bytes per second of it
  uint32_t first_demand = 0;  // into Plan::demands
  uint32_t demand_count = 0;
  double bytes_scale = 0.0;  // seconds of the transfer: demand * this = bytes on the link
};

struct PlanGroup {
  CommunicatorId communicator = 0;
  uint32_t size = 0;          // real members
  uint32_t first_member = 0;  // into Plan::members: simulated ranks
  uint32_t member_count = 0;
  uint32_t first_cost = kNoIndex;  // its flow costs by collective slot
  uint32_t first_arrival = 0;      // its calls in the engine's count of arrivals
  uint32_t call_count = 0;
};

// The sends of one simulated rank to another, in order.
struct PlanChannel {
  uint32_t source = 0;
  uint32_t destination = 0;
};

// What one simulated rank does in one transfer of the program; kNoIndex: no such half.
struct TransferPlan {
  uint32_t send_channel = kNoIndex;
  uint32_t receive_channel = kNoIndex;
  uint32_t send_cost = kNoIndex;
  uint32_t receive_cost = kNoIndex;  // of the peer's send, for the record
};

struct Plan {
  std::vector<CompiledProgram> programs;
  std::vector<SimRank> ranks;
  HostCosts host;
  uint32_t streams = 0;
  std::vector<int64_t> kernel_time;  // ps, by KernelId
  std::vector<PlanGroup> groups;
  std::vector<uint32_t> members;
  std::vector<uint32_t> group_of;            // [communicator * ranks + rank]
  std::vector<uint32_t> slot_of_collective;  // by CollectiveId: its place among its communicator's
  std::vector<PlanChannel> channels;
  std::vector<TransferPlan> transfers;  // [rank * program's transfers + transfer]
  std::vector<FlowCost> flows;
  std::vector<Demand> demands;             // bytes per second at full speed
  std::vector<double> capacity;            // of each resource, bytes per second
  std::vector<uint32_t> resource_of_link;  // kNoIndex: carries nothing
  uint32_t arrivals = 0;
  std::vector<KernelUse> kernels;
  std::vector<CollectiveUse> collectives;

  [[nodiscard]] std::span<const uint32_t> MembersOf(const PlanGroup& g) const {
    return {members.data() + g.first_member, g.member_count};
  }
  [[nodiscard]] std::span<const Demand> DemandsOf(const FlowCost& f) const {
    return {demands.data() + f.first_demand, f.demand_count};
  }
};

[[nodiscard]] Plan MakePlan(const Program& program, const std::vector<Membership>& memberships,
                            const Folding& folding, const Costs& costs, std::span<const double> compute);

}  // namespace simulate
