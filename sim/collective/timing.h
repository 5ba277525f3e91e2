// From traffic and hops to seconds.
//
//   time = base + chain + ramp + transfer
//
//   transfer  T = max over links of bytes / bandwidth, times what the protocol loses
//   chain     A = hops * (what the library adds per hop) + what the links' latency adds up to.
//             LL and LL128 flag every line, so a hop starts as soon as the first line is there: A.
//             Simple hands on slices, two of a chunk in flight: while one waits the other moves, so the
//             share of A that shows falls with T:  2A^2 / (2A + T).  Over the network a slice is stored
//             and forwarded by the NICs, which adds its own time to every such hop.
//   ramp      R*T / (R + T): a pipeline of chunks fills in time R.
//
// Everything but T is paid whatever the bandwidth; it is CollectiveCost::latency.
#pragma once

#include "sim/collective/traffic.h"
#include "sim/spec/cluster.h"
#include "sim/spec/collective.h"

namespace simulate {

// A of the formula above.
[[nodiscard]] Seconds ChainTime(const Chain& chain, const ProtocolSpec& protocol, Seconds slice);

// The part of a Simple chain of `chain` seconds that is not hidden behind `transfer` seconds.
[[nodiscard]] Seconds ExposedChain(Seconds chain, Seconds transfer);

// R*T / (R + T).
[[nodiscard]] Seconds Ramp(Seconds full, Seconds transfer);

}  // namespace simulate
