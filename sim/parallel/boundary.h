// What a divided layer communicates at the places that model/ marks with a Boundary: tensor and sequence
// parallelism (Shoeybi et al. 2019; Korthikanti et al. 2022, section 4.2), context and expert parallelism.
#pragma once

#include "sim/parallel/environment.h"

namespace simulate {

void EmitBoundary(Environment& environment, const Operator& op, bool backward);

}  // namespace simulate
