// Ring: every member passes on what it received, n-1 times (twice that for an all-reduce).
//
//   all_gather, reduce_scatter   (n-1)/n * S out of every member,   n-1 steps
//   all_reduce                   2(n-1)/n * S,                      2(n-1) steps
//   broadcast, reduce            S,                                 n-1 steps, pipelined in chunks
//
// (Patarasuk, Yuan 2009; nccl-tests doc/PERFORMANCE.md.) A ring over several nodes enters and leaves
// each node once per channel; with as many channels as NICs, each in its own rotation, a node's NICs
// carry one ring's bytes together and each of its r members puts (r-1)/r of them on its scale-up links.
// On meshes and tori the channels together use all links between members (several rings, or the
// multi-dimensional ring of a torus).
#pragma once

#include "sim/collective/traffic.h"

namespace simulate {

// Adds the traffic of one group's ring, per byte of the collective's size; returns its chain of hops.
// `network_inflation`: how much worse than its best the library's rings use the NICs.
Chain AddRing(CollectiveOp op, const Placement& placement, double network_inflation, Traffic& traffic);

}  // namespace simulate
