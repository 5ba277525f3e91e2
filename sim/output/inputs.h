// What a run was told, as a list for the report page: [{"section", "key", "value", "source"}, ...].
#pragma once

#include <string>

#include "sim/spec/scenario.h"

namespace simulate {

[[nodiscard]] std::string RenderInputs(const Scenario& scenario, const ReferenceSpec& reference);

// The files that were read, as [{"path", "text"}, ...]; long ones are cut. Paths say no more than the folder by which
// models, hardware and scenarios are found.
[[nodiscard]] std::string FilesJson(const std::vector<InputFile>& files);

}  // namespace simulate
