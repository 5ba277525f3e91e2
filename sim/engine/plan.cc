#include "sim/engine/plan.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "sim/base/check.h"

namespace simulate {

namespace {

int64_t Picoseconds(Seconds s) { return SimTime::FromSeconds(s).picoseconds(); }

class Planner {
 public:
  Planner(const Program& program, const std::vector<Membership>& memberships, const Folding& folding,
          const Costs& costs)
      : program_(program), memberships_(memberships), folding_(folding), costs_(costs) {}

  Plan Make(std::span<const double> compute) {
    plan_.host = HostCostsOf(costs_);
    plan_.streams = static_cast<uint32_t>(program_.streams.size());
    for (const RankProgram& rank : program_.programs) {
      plan_.programs.push_back(Compile(program_, rank, plan_.host));
    }
    for (const RankClass& c : folding_.classes) {
      plan_.ranks.push_back(
          {c.representative, program_.program_of_rank[c.representative], 1.0 / compute[c.representative]});
    }
    for (const KernelWork& work : program_.kernels) {
      const KernelCost cost = costs_.Kernel(work);
      plan_.kernel_time.push_back(Picoseconds(cost.time));
      plan_.kernels.push_back({SimTime(plan_.kernel_time.back()), cost.confidence});
    }
    PlanCollectives();
    PlanTransfers();
    MergeLinks();
    return std::move(plan_);
  }

 private:
  void PlanCollectives() {
    const size_t rank_count = plan_.ranks.size();
    plan_.group_of.assign(program_.communicators.size() * rank_count, kNoIndex);
    std::vector<std::vector<CollectiveId>> by_communicator(program_.communicators.size());
    for (CollectiveId id = 0; id < program_.collectives.size(); ++id) {
      auto& slots = by_communicator[program_.collectives[id].communicator];
      plan_.slot_of_collective.push_back(static_cast<uint32_t>(slots.size()));
      slots.push_back(id);
    }
    plan_.collectives.resize(program_.collectives.size());
    priced_.assign(program_.collectives.size(), 0);
    for (const GroupClass& group : folding_.groups) {
      PlanGroup planned{.communicator = group.communicator,
                        .first_member = static_cast<uint32_t>(plan_.members.size()),
                        .member_count = static_cast<uint32_t>(group.members.size()),
                        .first_cost = static_cast<uint32_t>(plan_.flows.size()),
                        .first_arrival = plan_.arrivals};
      planned.size =
          static_cast<uint32_t>(program_.communicators[group.communicator].groups[group.copies[0]].size());
      for (const uint32_t member : group.members) {
        plan_.members.push_back(member);
        plan_.group_of[group.communicator * rank_count + member] = static_cast<uint32_t>(plan_.groups.size());
      }
      const auto& calls = plan_.programs[plan_.ranks[group.members[0]].program].calls[group.communicator];
      planned.call_count = static_cast<uint32_t>(calls.size());
      plan_.arrivals += planned.call_count;
      std::vector<uint8_t> used(by_communicator[group.communicator].size(), 0);
      for (const CallSite& call : calls) used[plan_.slot_of_collective[call.collective]] = 1;
      for (size_t slot = 0; slot < used.size(); ++slot) {
        const CollectiveId id = by_communicator[group.communicator][slot];
        if (used[slot] != 0 && planned.size > 1) {
          PriceCollective(group, id);
        } else {
          AddFlow(CollectiveCost{}, {}, 0.0);
        }
      }
      plan_.groups.push_back(planned);
    }
  }

  // One collective of all copies of a group: times are of one, loads of all.
  void PriceCollective(const GroupClass& group, CollectiveId id) {
    const CollectiveCall& call = program_.collectives[id];
    const auto& groups = program_.communicators[call.communicator].groups;
    CollectiveRequest request{.op = call.op, .bytes = call.bytes};
    request.groups.emplace_back(groups[group.copies[0]]);
    CollectiveCost cost = costs_.Collective(request);
    double heaviest = 0.0;
    for (const LinkLoad& load : cost.loads) heaviest = std::max(heaviest, load.bytes);
    if (priced_[id] == 0) {
      priced_[id] = 1;
      plan_.collectives[id] = {.alone = SimTime::FromSeconds(cost.time),
                               .latency = SimTime::FromSeconds(cost.latency),
                               .algorithm = cost.algorithm,
                               .protocol = cost.protocol,
                               .channels = cost.channels,
                               .bottleneck = cost.bottleneck,
                               .confidence = cost.confidence};
    }
    if (group.copies.size() > 1) {
      for (size_t copy = 1; copy < group.copies.size(); ++copy) {
        request.groups.emplace_back(groups[group.copies[copy]]);
      }
      cost.loads = costs_.Collective(request).loads;
    }
    AddFlow(cost, std::move(cost.loads), heaviest);
  }

  // `heaviest`: bytes that one copy puts on its most loaded link.
  uint32_t AddFlow(const CollectiveCost& cost, std::vector<LinkLoad> loads, double heaviest) {
    FlowCost flow;
    flow.latency = Picoseconds(cost.latency);
    flow.transfer = std::max<int64_t>(0, Picoseconds(cost.time) - flow.latency);
    flow.cores = cost.cores;
    flow.memory_traffic = std::llround(cost.memory_traffic.value());
    flow.bytes_scale = static_cast<double>(flow.transfer) * 1e-12;
    if (heaviest > 0.0 && flow.transfer > 0) flow.growth = flow.bytes_scale / heaviest;
    plan_.flows.push_back(flow);
    loads_.push_back(std::move(loads));
    return static_cast<uint32_t>(plan_.flows.size() - 1);
  }

  // ------------------------------------------------------------------ transfers
  RankId PeerOf(RankId rank, CommunicatorId communicator, int64_t offset) const {
    const Membership& member = memberships_[communicator];
    const auto& group = program_.communicators[communicator].groups[member.group[rank]];
    const auto size = static_cast<int64_t>(group.size());
    return group[static_cast<size_t>((((member.place[rank] + offset) % size) + size) % size)];
  }

  // Sends from one kind of rank to another by one offset; in an unfolded run: from one rank to another.
  uint32_t Channel(CommunicatorId communicator, RankId from, RankId to, int64_t offset) {
    const auto& groups = program_.communicators[communicator].groups;
    const auto size = static_cast<int64_t>(groups[memberships_[communicator].group[from]].size());
    const uint32_t source = folding_.class_of_rank[from];
    const uint32_t destination = folding_.class_of_rank[to];
    const auto [found, added] =
        channel_ids_.try_emplace({communicator, source, destination, ((offset % size) + size) % size},
                                 static_cast<uint32_t>(plan_.channels.size()));
    if (added) plan_.channels.push_back({source, destination});
    return found->second;
  }

  void PlanTransfers() {
    const size_t count = program_.transfers.size();
    if (count == 0) return;
    std::vector<std::vector<uint8_t>> used(program_.programs.size(), std::vector<uint8_t>(count, 0));
    for (size_t p = 0; p < program_.programs.size(); ++p) {
      for (const Instruction& i : program_.programs[p].instructions) {
        if (i.kind == InstructionKind::kTransfer) used[p][i.object] = 1;
      }
    }
    std::vector<std::vector<RankId>> ranks_of_class(folding_.classes.size());
    for (RankId r = 0; r < program_.world_size(); ++r) ranks_of_class[folding_.class_of_rank[r]].push_back(r);
    plan_.transfers.resize(plan_.ranks.size() * count);
    for (size_t rank = 0; rank < plan_.ranks.size(); ++rank) {
      const RankId self = plan_.ranks[rank].rank;
      for (size_t t = 0; t < count; ++t) {
        if (used[plan_.ranks[rank].program][t] == 0) continue;
        const Transfer& transfer = program_.transfers[t];
        TransferPlan& planned = plan_.transfers[rank * count + t];
        if (transfer.send_bytes > Bytes(0)) {
          const RankId to = PeerOf(self, transfer.communicator, transfer.send_offset);
          planned.send_channel = Channel(transfer.communicator, self, to, transfer.send_offset);
          planned.send_cost = PriceSend(transfer, ranks_of_class[rank]);
        }
        if (transfer.receive_bytes > Bytes(0)) {
          const RankId from = PeerOf(self, transfer.communicator, transfer.receive_offset);
          planned.receive_channel =
              Channel(transfer.communicator, from, self, -int64_t{transfer.receive_offset});
          planned.receive_cost = AddFlow(
              from == self ? CollectiveCost{} : costs_.Send(from, self, transfer.receive_bytes), {}, 0.0);
        }
      }
    }
  }

  // The send half of a transfer by all ranks of a class at once.
  uint32_t PriceSend(const Transfer& transfer, const std::vector<RankId>& senders) {
    CollectiveCost cost;
    double heaviest = 0.0;
    std::vector<LinkLoad> loads;
    for (const RankId from : senders) {
      const RankId to = PeerOf(from, transfer.communicator, transfer.send_offset);
      if (from == to) continue;
      CollectiveCost one = costs_.Send(from, to, transfer.send_bytes);
      loads.insert(loads.end(), one.loads.begin(), one.loads.end());
      if (from != senders[0]) continue;
      for (const LinkLoad& load : one.loads) heaviest = std::max(heaviest, load.bytes);
      cost = std::move(one);
    }
    std::stable_sort(loads.begin(), loads.end(),
                     [](const LinkLoad& a, const LinkLoad& b) { return a.link < b.link; });
    size_t kept = 0;
    for (size_t l = 0; l < loads.size(); ++l) {
      if (kept > 0 && loads[kept - 1].link == loads[l].link) {
        loads[kept - 1].bytes += loads[l].bytes;
      } else {
        loads[kept++] = loads[l];
      }
    }
    loads.resize(kept);
    return AddFlow(cost, std::move(loads), heaviest);
  }

  // ------------------------------------------------------------------ links
  // Links of equal capacity that every flow loads alike become one resource.
  void MergeLinks() {
    std::vector<uint64_t> signature;
    for (size_t f = 0; f < loads_.size(); ++f) {
      if (plan_.flows[f].transfer == 0) loads_[f].clear();
      for (const LinkLoad& load : loads_[f]) {
        if (load.link >= signature.size()) signature.resize(load.link + size_t{1}, 0);
        uint64_t& s = signature[load.link];
        s = (s ^ f) * 0x9E3779B97F4A7C15ULL;
        s = (s ^ (s >> 29) ^ std::bit_cast<uint64_t>(load.bytes)) * 0xBF58476D1CE4E5B9ULL;
        s ^= s >> 32;
        s |= 1;  // never 0 once loaded
      }
    }
    plan_.resource_of_link.assign(signature.size(), kNoIndex);
    absl::flat_hash_map<std::pair<uint64_t, uint64_t>, uint32_t> resources;  // look-up only
    for (LinkId link = 0; link < signature.size(); ++link) {
      if (signature[link] == 0) continue;
      const double capacity = costs_.LinkBandwidth(link).value();
      SIM_CHECK(capacity > 0.0, "link ", link, " carries traffic but has no bandwidth");
      const auto [found, added] = resources.try_emplace({signature[link], std::bit_cast<uint64_t>(capacity)},
                                                        static_cast<uint32_t>(plan_.capacity.size()));
      if (added) plan_.capacity.push_back(capacity);
      plan_.resource_of_link[link] = found->second;
    }
    std::vector<uint32_t> last_flow(plan_.capacity.size(), kNoIndex);
    for (uint32_t f = 0; f < loads_.size(); ++f) {
      FlowCost& flow = plan_.flows[f];
      flow.first_demand = static_cast<uint32_t>(plan_.demands.size());
      for (const LinkLoad& load : loads_[f]) {
        const uint32_t resource = plan_.resource_of_link[load.link];
        if (last_flow[resource] == f || load.bytes <= 0.0) continue;
        last_flow[resource] = f;
        plan_.demands.push_back({resource, load.bytes / flow.bytes_scale});
      }
      flow.demand_count = static_cast<uint32_t>(plan_.demands.size()) - flow.first_demand;
    }
  }

  const Program& program_;
  const std::vector<Membership>& memberships_;
  const Folding& folding_;
  const Costs& costs_;
  Plan plan_;
  std::vector<std::vector<LinkLoad>> loads_;  // by flow
  std::vector<uint8_t> priced_;
  std::map<std::tuple<CommunicatorId, uint32_t, uint32_t, int64_t>, uint32_t> channel_ids_;
};

}  // namespace

Plan MakePlan(const Program& program, const std::vector<Membership>& memberships, const Folding& folding,
              const Costs& costs, std::span<const double> compute) {
  return Planner(program, memberships, folding, costs).Make(compute);
}

}  // namespace simulate
