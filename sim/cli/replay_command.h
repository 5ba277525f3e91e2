// `simulate replay DIR --hardware X`: execution traces that someone else wrote, or an export of ours, on any hardware.
#pragma once

#include "sim/study/command.h"

namespace simulate {

void AddReplayCommand(CLI::App& app, Command& command);

}  // namespace simulate
