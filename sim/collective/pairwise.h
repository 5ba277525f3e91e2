// Pairwise exchange: every member sends S/n straight to every other one (NCCL's all-to-all), and
// point-to-point messages.
//
// Between nodes each message leaves by the NICs nearest to its sender and arrives on the same rail
// (PXN: a neighbour on the right rail forwards it, NCCL 2.12). Beyond kExactNodes nodes the pattern of
// destinations is sampled evenly; what each NIC carries stays exact.
#pragma once

#include "sim/collective/traffic.h"

namespace simulate {

// Exchanges go on side by side, but a proxy thread starts those over the network one after the other, about two
// in the time of a hop (16 B200 on 2 nodes: 38 us for 8 remote peers, one message 15 us): a member's remote messages
// together take the time of so many hops.
[[nodiscard]] double ProxyHops(const Placement& placement);

// `network_inflation`: how much worse than rings single messages use a NIC.
Chain AddAllToAll(const Placement& placement, double network_inflation, Traffic& traffic);

// Every member sends S to the next one and receives S from the one before (nccl-tests' sendrecv).
Chain AddShift(const Placement& placement, double network_inflation, Traffic& traffic);

// One message between two accelerators, per byte.
Chain AddSend(uint32_t from, uint32_t to, double network_inflation, Traffic& traffic);

// All-gather or reduce-scatter by an exchange of all with all in one hop; an all-reduce is both, one after the other.
Chain AddMesh(CollectiveOp op, const Placement& placement, Traffic& traffic);

// Hierarchical all-reduce: reduce-scatter in the node, all-reduce of each part along its rail,
// all-gather in the node: 2(r-1)/r*S on scale-up links, 2(N-1)/N*S/r per member on the network,
// 2(r-1) + 2(N-1) hops. All-gather and reduce-scatter: half of it.
Chain AddHierarchical(CollectiveOp op, const Placement& placement, Traffic& traffic);

}  // namespace simulate
