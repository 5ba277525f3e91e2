// The accelerator files against the measurements that they were fitted to: no class may get worse than a little above
// what it is today (docs/accuracy/operators.md). And that a fit finds constants that made the data.
#include <catch2/catch.hpp>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "sim/config/config.h"
#include "sim/study/calibrate.h"
#include "sim/study/minimise.h"

namespace simulate {
namespace {

std::string Text(const std::string& path) {
  std::ifstream in(std::string(SIMULATE_SOURCE_DIR) + "/" + path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

std::map<std::string, FitError> Errors(const std::string& accelerator, const std::string& data) {
  Diagnostics diagnostics;
  const auto set = ParseMeasurements(Text("tools/calibrate/data/" + data), data, diagnostics);
  const auto spec = LoadAccelerator(accelerator, {{SIMULATE_SOURCE_DIR}}, diagnostics);
  INFO(diagnostics.Render());
  REQUIRE(set);
  REQUIRE(spec);
  std::map<std::string, FitError> out;
  for (const FitError& e : FitErrors(*set, {*spec, EstimateOverheads(*set, *spec)})) out[e.kind + " / " + e.series] = e;
  return out;
}

void CheckMean(const std::map<std::string, FitError>& errors, const std::string& kind, int rows, double most) {
  const auto found = errors.find(kind);
  INFO(kind);
  REQUIRE(found != errors.end());
  CHECK(found->second.rows == rows);
  CHECK(found->second.mean <= most);
}

TEST_CASE("H100: operators stay within their measured error", "[calibration]") {
  const auto errors = Errors("h100-sxm", "h100.json");
  CheckMean(errors, "products, 16 bit / gemm", 672, 0.06);
  CheckMean(errors, "products, 16 bit, above 1e12 FLOPs / gemm", 147, 0.04);
  CheckMean(errors, "products, unaligned / gemm", 6, 0.25);
  CheckMean(errors, "attention, flash forward / attention", 24, 0.08);
  CheckMean(errors, "attention, flash backward / attention", 24, 0.08);
  CHECK(errors.at("memory-bound, all above 50 us / pointwise").mean <= 0.10);
}

TEST_CASE("H200: operators and slowdowns beside a collective stay within their measured error", "[calibration]") {
  const auto errors = Errors("h200", "h200.json");
  CheckMean(errors, "products, 16 bit / gemm", 672, 0.06);
  CheckMean(errors, "products, 16 bit, above 1e12 FLOPs / gemm", 147, 0.04);
  CheckMean(errors, "products, unaligned / gemm", 6, 0.25);
  CheckMean(errors, "attention, flash forward / attention", 24, 0.08);
  CheckMean(errors, "attention, flash backward / attention", 24, 0.08);
  CHECK(errors.at("memory-bound, all above 50 us / pointwise").mean <= 0.10);
  CheckMean(errors, "beside a collective, kernel / contention", 90, 0.12);
  CheckMean(errors, "beside a collective, collective / contention", 90, 0.12);
}

TEST_CASE("the simplex method finds the minimum of Rosenbrock's valley", "[calibration]") {
  const auto valley = [](const std::vector<double>& x) { return 100 * std::pow(x[1] - x[0] * x[0], 2) + std::pow(1 - x[0], 2); };
  const std::vector<double> found = Minimise(valley, {-1.2, 1.0}, 400, 3);
  CHECK(found[0] == Approx(1.0).margin(1e-3));
  CHECK(found[1] == Approx(1.0).margin(1e-3));
}

TEST_CASE("measurements that cannot be read say which row and why", "[calibration]") {
  Diagnostics diagnostics;
  CHECK_FALSE(ParseMeasurements(R"({"schema": 1, "device": "d", "rows": [{"kind": "gemm", "dtype": "bf17"}]})", "m.json", diagnostics));
  CHECK(diagnostics.Render() == "error: cannot read measurements: row 1: unknown dtype `bf17`\n  --> m.json\n");
}

}  // namespace
}  // namespace simulate
