// Whether the ranks of a Program that came out of files fit together: the checks that program.h's Validate and the engine
// make for our own mistakes, as answers to bad input.
//
//   every member of a process group makes the same calls on it, in the same order;
//   every message that is sent is received, as large as it is sent (own exports; foreign ones are matched before);
//   the step can end: no rank waits for another that waits for it. Found by running the program without time.
#pragma once

#include <string>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/program/program.h"

namespace simulate {

// Where a RankProgram came from: the first of the files that say the same, and the node of every instruction in it.
struct ProgramSource {
  std::string file;
  std::vector<uint64_t> nodes;
};

[[nodiscard]] bool CheckAgreement(const Program& program, const std::vector<ProgramSource>& sources, Diagnostics& diagnostics);

}  // namespace simulate
