// The reader toolkit: typed values, units, unknown keys, everything that is wrong in one go.
#include "sim/config/reader.h"

#include <catch2/catch.hpp>

#include <string>

#include "sim/config/node.h"
#include "sim/config/parse.h"

namespace simulate {
namespace {

struct Link {
  BytesPerSecond bandwidth;
  Seconds latency = Microseconds(1);
  int64_t ports = 1;
  double efficiency = 1.0;
  bool nvls = false;
  Confidence confidence = Confidence::kCoarse;
  std::vector<int64_t> torus;
};

// Reads `text` as a Link; the rendered diagnostics are empty if all is well.
std::string ReadLink(const std::string& text, Link* link) {
  Diagnostics diagnostics;
  Node root;
  if (ParseYaml("link.yaml", text, diagnostics, &root)) {
    ValueReader value(root, "", diagnostics);
    const bool ok = value.ReadMap([&](MapReader& r) {
      r.Required("bandwidth", &link->bandwidth);
      r.Optional("latency", &link->latency);
      r.Integer("ports", 1, 64, &link->ports);
      r.Number("efficiency", 0, 1, &link->efficiency);
      r.Optional("nvls", &link->nvls);
      r.Optional("confidence", &link->confidence);
      r.Optional("torus", &link->torus);
    });
    CHECK(ok == !diagnostics.HasErrors());
  }
  return diagnostics.Render();
}

TEST_CASE("values are read with their units") {
  Link link;
  CHECK(ReadLink("bandwidth: 400 Gb/s\nlatency: 2.5 us\nports: 8\nefficiency: 0.92\nnvls: true\n"
                 "confidence: calibrated\ntorus: [4, 4]\n",
                 &link)
            .empty());
  CHECK(link.bandwidth.value() == Approx(50e9));
  CHECK(link.latency.value() == Approx(2.5e-6));
  CHECK(link.ports == 8);
  CHECK(link.efficiency == 0.92);
  CHECK(link.nvls);
  CHECK(link.confidence == Confidence::kCalibrated);
  CHECK(link.torus == std::vector<int64_t>{4, 4});
}

TEST_CASE("absent keys keep their defaults") {
  Link link;
  CHECK(ReadLink("bandwidth: 3.35 TB/s\n", &link).empty());
  CHECK(link.bandwidth.value() == Approx(3.35e12));
  CHECK(link.latency.value() == Approx(1e-6));
}

TEST_CASE("every mistake is reported, in the order of the file") {
  Link link;
  CHECK(ReadLink("bandwidth: 400\nlatncy: 2 us\nports: 010\nefficiency: 1.5\nnvls: yes\nconfidence: measred\n", &link) ==
        R"(error: `bandwidth` must be a bandwidth such as `400 Gb/s`
 --> link.yaml:1:12
  |
1 | bandwidth: 400
  |            ^^^ the unit is missing
help: units of a bandwidth: B/s, kB/s, MB/s, GB/s, TB/s, MiB/s, GiB/s, TiB/s, Mb/s, Gb/s, Tb/s

error: unknown key `latncy` in this file
 --> link.yaml:2:1
  |
2 | latncy: 2 us
  | ^^^^^^
help: did you mean `latency`?

error: `ports` must be a whole number
 --> link.yaml:3:8
  |
3 | ports: 010
  |        ^^^ YAML reads this as an octal or hexadecimal number
help: write it as a decimal number without leading zeros

error: `efficiency` is out of range
 --> link.yaml:4:13
  |
4 | efficiency: 1.5
  |             ^^^ must be from 0 to 1

error: `nvls` must be true or false
 --> link.yaml:5:7
  |
5 | nvls: yes
  |       ^^^ this is neither
help: write `true`

error: `measred` is not a valid `confidence`
 --> link.yaml:6:13
  |
6 | confidence: measred
  |             ^^^^^^^
help: did you mean `measured`?
help: expected one of: measured, calibrated, coarse, extrapolated
)");
}

}  // namespace
}  // namespace simulate
