// YAML text to a Node tree, with guards against what yaml-cpp 0.7 lets through. The only user of yaml-cpp,
// and the only place where its exceptions are caught.
//
// Refused, each with its own diagnostic: text that is too long (4 MiB), binary or not UTF-8; an empty file;
// a second document; duplicate keys; anchors, aliases and tags (so no alias can be a bomb); merge keys `<<`;
// keys that are not plain text; nesting deeper than 32.
#pragma once

#include <string>

#include "sim/base/diagnostics.h"
#include "sim/config/node.h"

namespace simulate {

inline constexpr int64_t kMaxFileBytes = int64_t{4} << 20;
inline constexpr int kMaxDepth = 32;

// False after an error if `text` is too long, binary or not UTF-8.
[[nodiscard]] bool CheckText(const std::string& file, const std::string& text, Diagnostics& diagnostics);

// Registers `text` as the source of `file` with `diagnostics`. False after an error; `out` is then unusable.
[[nodiscard]] bool ParseYaml(const std::string& file, const std::string& text, Diagnostics& diagnostics, Node* out);

// A value written outside a file: `--set key=value`. Flow YAML, e.g. `8`, `[1, 2]`, `{encoder: 512, decoder: 512}`.
// Every location in it is `where`.
[[nodiscard]] bool ParseYamlValue(const std::string& text, const SourceLocation& where, Diagnostics& diagnostics,
                                  Node* out);

}  // namespace simulate
