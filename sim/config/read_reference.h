// Reads the `reference` mapping of a scenario: published or measured points that it is held to.
//
//   reference:
//     source: "Zhao et al., ..."
//     points: [{where: {cluster.gpus: 8}, metric: step_time_s, value: 2.74, tolerance: 5%, note: ...}]
//
// or, for many runs, a table beside the scenario, each row of which is a point of the study:
//
//     table: runs.csv       # columns: id, dotted keys, expect.METRIC, tolerance, exclude, source, note
//     tolerance: 10%        # where a row has none
//
// An empty cell leaves the scenario's own value. A row with an `exclude` reason is kept and not run.
#pragma once

#include <string>
#include <vector>

#include "sim/config/file_loader.h"
#include "sim/config/node.h"
#include "sim/config/reader.h"
#include "sim/spec/scenario.h"

namespace simulate {

struct LocatedSetting {
  std::string key;
  SourceLocation where;   // of the key
  Node value;
};

struct LocatedPoint {
  ReferencePoint point;
  SourceLocation where;
};

// A row of a table that is run: what it sets, and what was measured there.
struct ReferenceRow {
  std::vector<LocatedSetting> settings;
  std::vector<ReferencePoint> points;
};

struct ReadReferenceResult {
  std::string source;
  std::vector<LocatedPoint> points;    // written in the scenario
  bool has_table = false;
  std::vector<ReferenceRow> rows;
  std::vector<ExcludedRow> excluded;
};

// False after an error.
bool ReadReference(ValueReader& value, FileLoader& loader, ReadReferenceResult* out);

// Whether the tree of a point has the settings that a reference point is for.
[[nodiscard]] bool Matches(const Node& tree, const ReferencePoint& point);

}  // namespace simulate
