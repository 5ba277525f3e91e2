// Writes a whole file or nothing: into a temporary file beside it, which then takes its name.
#pragma once

#include <string>

#include "sim/base/diagnostics.h"

namespace simulate {

// On failure adds a diagnostic, leaves what was there before and returns false. "/dev/..." is written to directly.
bool WriteFile(const std::string& path, const std::string& content, Diagnostics& diagnostics);

}  // namespace simulate
