// `simulate SCENARIO`: runs a scenario's points and prints the result. Also `simulate run SCENARIO`.
#pragma once

#include "sim/study/command.h"

namespace simulate {

void AddRunCommand(CLI::App& app, Command& command);

}  // namespace simulate
