// Where models, hardware and scenarios are looked for, in this order: the working directory, the folders of the
// environment variable SIMULATE_PATH (separated by `:`), the folder of the program and the one above it (a build
// tree), and the installed share folder (PREFIX/share/simulate, beside PREFIX/bin).
#pragma once

#include <string>

#include "sim/config/config.h"

namespace simulate {

// `program` is argv[0]; on Linux the running program's own path is used where the system tells it.
[[nodiscard]] SearchPath DiscoverSearchPath(const std::string& program);

}  // namespace simulate
