// `simulate calibrate measurements.json`: fits an accelerator's constants and prints the fit error by class.
#pragma once

#include "sim/study/command.h"

namespace simulate {

void AddCalibrateCommand(CLI::App& app, Command& command);

}  // namespace simulate
