// What a run was told, as a list for the report page: [{"section", "key", "value", "source"}, ...].
#pragma once

#include <string>

#include "sim/spec/scenario.h"

namespace simulate {

[[nodiscard]] std::string RenderInputs(const Scenario& scenario, const ReferenceSpec& reference);

}  // namespace simulate
