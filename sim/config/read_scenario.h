// Reads one point of a study: the tree of a scenario file, with overrides and swept values already in it.
#pragma once

#include <map>
#include <string>

#include "sim/config/file_loader.h"
#include "sim/config/node.h"
#include "sim/spec/scenario.h"

namespace simulate {

// Hardware that a scenario only names is the same at every point, and costs time to read.
using HardwareCache = std::map<std::string, HardwareSpec>;

// False after an error. Fills everything but `settings` and `reference`.
bool ReadScenario(const Node& tree, FileLoader& loader, HardwareCache* cache, Scenario* out);

}  // namespace simulate
