// `simulate SCENARIO --chakra DIR`: one step as execution traces, a file per rank and comm_groups.json.
#pragma once

#include <string>

#include "sim/base/diagnostics.h"
#include "sim/cli/terminal.h"
#include "sim/study/simulate.h"

namespace simulate {

struct ChakraOptions {
  std::string folder;
  std::string ranks;  // "", all, kinds, or a set such as 0-7,12
};

// Files are named PREFIX.<rank>.et after the scenario file. False after an error, which is in the diagnostics.
bool ExportChakra(const ChakraOptions& options, const Scenario& scenario, const Simulation& simulation, Progress& progress,
                  Diagnostics& diagnostics);

}  // namespace simulate
