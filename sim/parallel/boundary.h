// What a divided layer communicates at the places that model/ marks with a Boundary: tensor and sequence
// parallelism (Shoeybi et al. 2019; Korthikanti et al. 2022, section 4.2), context and expert parallelism.
#pragma once

#include "sim/parallel/environment.h"

namespace simulate {

// Issues the boundary's collective from the compute stream, which does not wait yet. Not valid: there is none.
[[nodiscard]] TaskRef StartBoundary(Environment& environment, const Operator& op, bool backward);

// ... and lets the compute stream wait for it.
void EmitBoundary(Environment& environment, const Operator& op, bool backward);

// One pass round a channel's ring, to the next rank and from the one before; issued like a boundary's collective.
[[nodiscard]] TaskRef StartExchange(Environment& environment, const Channel& channel, const char* name, Bytes bytes);

// Issues a pass or a gather of ring attention from the compute stream, which does not wait yet.
[[nodiscard]] TaskRef StartRing(Environment& environment, const RingAction& action);

// Sequence parallelism does not keep a product's gathered input: its backward gathers it again.
[[nodiscard]] TaskRef StartGatherAgain(Environment& environment, const Operator& op);

}  // namespace simulate
