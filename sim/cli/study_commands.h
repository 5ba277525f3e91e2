// The commands that run a scenario many times or look beside it: plan, compare, sensitivity, memory, list, show.
#pragma once

#include "sim/study/command.h"

namespace simulate {

void AddPlanCommand(CLI::App& app, Command& command);
void AddCompareCommand(CLI::App& app, Command& command);
void AddSensitivityCommand(CLI::App& app, Command& command);
void AddMemoryCommand(CLI::App& app, Command& command);
void AddListCommand(CLI::App& app, Command& command);
void AddShowCommand(CLI::App& app, Command& command);

}  // namespace simulate
