// Collectives against measurement: docs/accuracy/collectives_measured.csv, and the all-gather sweep of the FSDP paper.
#include <catch2/catch.hpp>

#include <cmath>

#include "sim/study/collective_accuracy.h"
#include "sim/study/nccl_calibration.h"

using namespace simulate;

namespace {
const SearchPath kSearch{{SIMULATE_SOURCE_DIR}};
}  // namespace

TEST_CASE("median errors per class of machine stay within their bounds") {
  Diagnostics diagnostics;
  const auto rows = PriceMeasured(SIMULATE_SOURCE_DIR "/docs/accuracy/collectives_measured.csv", kSearch, diagnostics);
  INFO(diagnostics.Render());
  REQUIRE(rows.size() > 500);
  for (const ClassAccuracy& c : Summarise(rows)) {
    INFO(c.name << ": " << c.median_large << " of " << c.rows_large << " rows, " << c.median_small << " of " << c.rows_small);
    CHECK(c.median_large <= 0.10);
    CHECK(c.median_small <= 0.25);
  }
}

TEST_CASE("own measurement on 2 H200: mean error from 1 MiB on, outliers aside") {
  Diagnostics diagnostics;
  const auto rows = PriceMeasured(SIMULATE_SOURCE_DIR "/docs/accuracy/collectives_measured.csv", kSearch, diagnostics);
  double sum = 0.0;
  int count = 0, outliers = 0;
  for (const MeasuredCollective& r : rows) {
    if (r.run != "own_2xh200" || r.bytes < MiB(1)) continue;
    if (r.Error() < -0.5) {  // more than twice the time of its neighbours in size: a hiccup of the run
      ++outliers;
      continue;
    }
    sum += std::abs(r.Error());
    ++count;
  }
  CHECK(outliers <= 4);
  REQUIRE(count >= 50);
  CHECK(sum / count <= 0.10);
}

TEST_CASE("the all-gather sweep of the FSDP paper, figure 2(b)") {
  // 2^30 fp32 elements in all, as 2^30 / numel all-gathers; total ms read off the figure (+-1 ms). Its GPUs and network
  // are not stated; its plateau is the 46 GB/s of four EFA at 100 Gb/s, and what small gathers take is what 4 nodes wait for.
  constexpr double kTotalMs[] = {92.2, 91.9, 92.9, 94.5, 95.3, 102.8, 141.2, 195.3, 305.9};
  Diagnostics diagnostics;
  const auto hardware = LoadHardware("aws-p4d", kSearch, diagnostics);
  REQUIRE(hardware.has_value());
  const Topology topology(*hardware, 32);
  const CollectiveModel model(*hardware, topology);
  for (int i = 0; i < 9; ++i) {
    const Bytes bytes((int64_t{4} << 30) >> i);
    const auto row = CollectiveTable(topology, model, CollectiveOp::kAllGather, 32, {bytes}).front();
    const double total = row.time.value() * 1e3 * (1 << i);
    INFO(bytes.value() << " bytes: " << total << " ms, read off " << kTotalMs[i]);
    CHECK(std::abs(total / kTotalMs[i] - 1.0) <= (bytes == MiB(128) ? 0.13 : 0.06));
  }
}

TEST_CASE("nccl-tests output is read whatever its columns") {
  const char* const kText =
      "# nThread 1 nGpus 8 minBytes 8 maxBytes 17179869184 step: 2(factor)\n"
      "# Using devices\n"
      "#  Rank  0 Group  0 Pid  1 on host device  0 [0x0f] NVIDIA A100\n"
      "#  Rank  1 Group  0 Pid  1 on host device  1 [0x10] NVIDIA A100\n"
      "#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong\n"
      "           8             2     float     sum      -1    12.90    0.00    0.00      0    12.88    0.00    0.00      0\n"
      "    67108864      16777216     float     sum      -1    326.6  205.47  359.54      0    324.7  206.7  361.7      0\n"
      "  1073741824     268435456     float     sum      -1    11406   94.14  100.00    N/A    11406   94.14  100.0    N/A\n"
      "# Out of bounds values : 0 OK\n";
  const NcclTestOutput output = ParseNcclTests(kText);
  CHECK(output.ranks == 2);
  REQUIRE(output.rows.size() == 3);
  CHECK(output.rows[0].time.value() == Approx(12.90e-6));
  CHECK(output.rows[1].bytes == Bytes(67108864));
  CHECK(output.rows[2].time.value() == Approx(11406e-6));
}

TEST_CASE("a fit finds the constants that the measurements were made with") {
  Diagnostics diagnostics;
  auto hardware = LoadHardware("dgx-a100-80gb", kSearch, diagnostics);
  REQUIRE(hardware.has_value());
  const HardwareSpec start = *hardware;
  hardware->node.nic.efficiency = 0.7;
  hardware->fabric.link.latency = Microseconds(9);
  const Topology topology(*hardware, 32);
  const CollectiveModel model(*hardware, topology);
  std::vector<Bytes> sizes;
  for (int64_t size = 1024; size <= (int64_t{1} << 32); size *= 4) sizes.emplace_back(size);
  std::vector<NcclTestRow> rows;
  for (const CollectiveRow& r : CollectiveTable(topology, model, CollectiveOp::kAllReduce, 32, sizes)) rows.push_back({r.bytes, r.time});
  const NcclFit fit = FitLinks(start, 32, CollectiveOp::kAllReduce, rows);
  CHECK(fit.network);
  CHECK(fit.after.efficiency == Approx(0.7).epsilon(0.02));
  CHECK(fit.after.latency.value() == Approx(9e-6).epsilon(0.05));
  CHECK(fit.error_after < 0.02);
  CHECK(fit.error_before > 0.1);
}
