// config/ - YAML text to a typed, checked Study. The only user of yaml-cpp.
//
// Every key is checked; every value knows its file, line and column; all errors are collected.
// Guards against yaml-cpp 0.7: duplicate keys, octal numbers, `<<`, anchors used as bombs, further
// documents, 0-based marks. Library code never prints and never exits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/spec/scenario.h"

namespace simulate {

// Where models, hardware and scenarios are looked for by name, in order: as a path (from the
// including file and from the working directory), SIMULATE_PATH, beside the program, the share folder.
struct SearchPath {
  std::vector<std::string> roots;  // each holds models/, hardware/, scenarios/
};

// Reads a scenario file and everything it names. `overrides` are `--set` pairs. On errors returns
// nullopt, and `diagnostics` says why.
[[nodiscard]] std::optional<Study> LoadStudy(const std::string& path, const SearchPath& search,
                                             const std::vector<Setting>& overrides, Diagnostics& diagnostics);

// The same for a scenario that is not in a file; `file` is the name that the diagnostics give it.
[[nodiscard]] std::optional<Study> LoadStudyText(const std::string& file, const std::string& text,
                                                 const SearchPath& search, const std::vector<Setting>& overrides,
                                                 Diagnostics& diagnostics);

// Reads one hardware file by name or path.
[[nodiscard]] std::optional<HardwareSpec> LoadHardware(const std::string& name, const SearchPath& search,
                                                       Diagnostics& diagnostics);
[[nodiscard]] std::optional<AcceleratorSpec> LoadAccelerator(const std::string& name, const SearchPath& search,
                                                             Diagnostics& diagnostics);
[[nodiscard]] std::optional<ModelSpec> LoadModel(const std::string& name, const SearchPath& search,
                                                 Diagnostics& diagnostics);

}  // namespace simulate
