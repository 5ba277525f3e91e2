// Reads one point of a study: the tree of a scenario file, with overrides and swept values already in it.
#pragma once

#include <optional>

#include "sim/config/file_loader.h"
#include "sim/config/node.h"
#include "sim/spec/scenario.h"

namespace simulate {

// What is the same at every point of a sweep and costs time to read.
struct ReadCache {
  bool keep_hardware = false;               // no swept key changes it
  std::optional<HardwareSpec> hardware;
};

// False after an error. Fills everything but `settings` and `reference`.
bool ReadScenario(const Node& tree, FileLoader& loader, ReadCache* cache, Scenario* out);

}  // namespace simulate
