// Streams and communicators of a program.
#pragma once

#include "sim/parallel/environment.h"

namespace simulate {

[[nodiscard]] Wiring MakeWiring(ProgramBuilder& program, const Scenario& scenario, const Layout& layout);

// Ranks that share one copy of the sharded state: all of the data-parallel group, or as the scenario says
// (hybrid sharding: one node unless stated; no_shard: 1).
[[nodiscard]] int64_t ShardSize(const Scenario& scenario, const Layout& layout);

}  // namespace simulate
