// Every hardware file of the project loads without a diagnostic and builds a topology.
#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "sim/config/config.h"

using namespace simulate;

TEST_CASE("every hardware file loads") {
  const SearchPath search{{SIMULATE_SOURCE_DIR}};
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(SIMULATE_SOURCE_DIR "/hardware")) {
    if (entry.path().extension() == ".yaml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  CHECK(names.size() >= 24);
  for (const std::string& name : names) {
    Diagnostics diagnostics;
    const auto hardware = LoadHardware(name, search, diagnostics);
    INFO(diagnostics.Render());
    REQUIRE(hardware.has_value());
    CHECK(diagnostics.all().empty());
    CHECK(hardware->name == name);
    CHECK(hardware->node.scale_up.bandwidth.value() > 0.0);
  }
}

TEST_CASE("constants of a collective library that are out of range") {
  std::filesystem::current_path(SIMULATE_SOURCE_DIR);  // so that the quoted path is the same everywhere
  Diagnostics diagnostics;
  CHECK_FALSE(LoadHardware("toy-library-out-of-range", SearchPath{{"tests/config/fixture"}}, diagnostics).has_value());
  CHECK(diagnostics.Render() ==
        "error: `library.copy_share` is out of range\n"
        "  --> tests/config/fixture/hardware/toy-library-out-of-range.yaml:12:35\n"
        "   |\n"
        "12 | library: {kind: nccl, copy_share: 2, simple: {efficiency: 0}}\n"
        "   |                                   ^ must be from 0 to 1\n"
        "\n"
        "error: `library.simple.efficiency` is out of range\n"
        "  --> tests/config/fixture/hardware/toy-library-out-of-range.yaml:12:59\n"
        "   |\n"
        "12 | library: {kind: nccl, copy_share: 2, simple: {efficiency: 0}}\n"
        "   |                                                           ^ must be from 0.001 to 1\n");
}
