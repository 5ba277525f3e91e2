// Folders that are written wholly or not at all: into a temporary folder beside, which takes the name at the end.
#pragma once

#include <functional>
#include <ostream>
#include <string>

#include "sim/base/diagnostics.h"

namespace simulate {

// Writes one file of the folder; false after an error, which is in the diagnostics.
using FolderFile = std::function<bool(const std::string& name, const std::function<void(std::ostream&)>& write)>;

// Calls `write`, which makes the files and returns false to give up. What was there before is replaced, provided that
// `replaceable` says yes to all of it; otherwise, and on failure, it stays as it was.
bool WriteFolder(const std::string& path, const std::function<bool(const std::string& name)>& replaceable,
                 const std::function<bool(const FolderFile& file)>& write, Diagnostics& diagnostics);

}  // namespace simulate
