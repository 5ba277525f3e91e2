// Reads the `reference` mapping of a scenario: published or measured points that it is held to.
#pragma once

#include <vector>

#include "sim/config/node.h"
#include "sim/config/reader.h"
#include "sim/spec/scenario.h"

namespace simulate {

struct ReadReferencePoint {
  ReferencePoint point;
  SourceLocation where;
};

// False after an error. Keys: source, points: [{where: {key: value}, metric, value, tolerance, note}].
bool ReadReference(ValueReader& value, std::string* source, std::vector<ReadReferencePoint>* out);

// Whether the tree of a point has the settings that a reference point is for.
[[nodiscard]] bool Matches(const Node& tree, const ReferencePoint& point);

}  // namespace simulate
