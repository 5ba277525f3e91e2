// Where models, hardware and scenarios are looked for: the working directory, the folders of SIMULATE_PATH (separated
// by colons), beside the program, above it (a build folder), and the installed share folder.
#pragma once

#include "sim/config/config.h"

namespace simulate {

[[nodiscard]] SearchPath DefaultSearchPath();

}  // namespace simulate
