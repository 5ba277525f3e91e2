// Files that are written wholly or not at all: into a temporary file beside, which takes the name at the end.
#pragma once

#include <fstream>
#include <functional>
#include <string>

#include "sim/base/diagnostics.h"

namespace simulate {

// Calls `write` with the open file. On failure (no such folder, full disk) adds a diagnostic, leaves what was there
// before and returns false. What is not a regular file (/dev/stdout, a pipe) is written to directly.
bool WriteFile(const std::string& path, const std::function<void(std::ostream&)>& write, Diagnostics& diagnostics);

// Whether WriteFile could begin; if not, adds the diagnostic that it would. Asked before long work.
bool CanWrite(const std::string& path, Diagnostics& diagnostics);

// The temporary file that stands for one being written now, nullptr if none: for a signal handler, which removes it.
[[nodiscard]] const char* FileBeingWritten();

}  // namespace simulate
