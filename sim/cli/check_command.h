// `simulate check PATH...`: holds scenarios to their reference points; exit code 1 when one falls short.
#pragma once

#include "sim/study/command.h"

namespace simulate {

void AddCheckCommand(CLI::App& app, Command& command);

}  // namespace simulate
