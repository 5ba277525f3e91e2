// Changes a parsed scenario at a dotted key, as `--set` and `sweep` ask for, so that the change goes through the
// same readers as the file and a bad one is answered like a bad line.
#pragma once

#include <string>

#include "sim/config/file_loader.h"
#include "sim/config/node.h"

namespace simulate {

// Sets `path` (e.g. `training.micro_batch_size`) to `value`. Mappings on the way are made as needed; where the
// way leads through a name of another file (`model`, `cluster.hardware` and what that composes), a copy of that file's
// mapping takes the name's place. Errors stand at `where`. False after an error.
bool SetPath(Node* root, const std::string& path, const Node& value, const SourceLocation& where, FileLoader& loader);

// The value as YAML text on one line, e.g. `512` or `{encoder: 512, decoder: 150}`.
[[nodiscard]] std::string FlowText(const Node& node);

// The place of the value at `path`, or of the nearest mapping above it that exists.
[[nodiscard]] SourceLocation LocationOf(const Node& root, const std::string& path);

}  // namespace simulate
