// The constants of the collective libraries.
//
// NCCL's own tuning table gives the per-hop costs (NVIDIA/nccl@5067397 src/graph/tuning.cc: baseLat,
// hwLat); what was fitted to measurements instead says so beside the number in library.cc.
#pragma once

#include "sim/spec/cluster.h"

namespace simulate {

[[nodiscard]] LibrarySpec DefaultLibrary(LibraryKind kind);

}  // namespace simulate
