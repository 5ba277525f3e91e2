#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace simulate {
namespace {

using Catch::Contains;

TEST_CASE("collective prints a table in the manner of nccl-tests") {
  const Sandbox box;
  const Outcome outcome = box.Run("collective all_reduce --hardware aws-p4d --gpus 32 --bytes 1KiB..4KiB");
  INFO(outcome.out << outcome.err);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.out, Contains("# size") && Contains("busbw") && Contains("1024") && Contains("4096") && Contains("all_reduce"));
}

TEST_CASE("collective --json holds the rows of DESIGN.md") {
  const Sandbox box;
  const Outcome outcome = box.Run("collective all_gather --hardware dgx-h100 --gpus 16 --bytes 64MiB --json");
  REQUIRE(outcome.code == 0);
  const auto row = nlohmann::json::parse(outcome.out)["rows"][0];
  CHECK(row["op"] == "all_gather");
  CHECK(row["bytes"] == 64 << 20);
  CHECK(row["busbw_bytes_per_s"].get<double>() == Approx(row["algbw_bytes_per_s"].get<double>() * 15 / 16));
  CHECK(row["time_s"].get<double>() == Approx((64 << 20) / row["algbw_bytes_per_s"].get<double>()));
  CHECK(row["algorithm"] == "ring");
  for (const char* key : {"protocol", "channels", "bottleneck"}) CHECK(row.contains(key));
}

TEST_CASE("collective answers bad input") {
  const Sandbox box;
  const Outcome op = box.Run("collective all_redu --hardware aws-p4d");
  CHECK(op.code == 2);
  CHECK(op.err ==
        "error: there is no collective `all_redu`\n"
        "help: known: all_reduce, all_gather, reduce_scatter, broadcast, reduce, all_to_all, sendrecv\n");
  const Outcome size = box.Run("collective all_reduce --hardware aws-p4d --bytes 10");
  CHECK(size.code == 2);
  CHECK(size.err ==
        "error: `10` is neither a size nor a range of sizes\n"
        "help: for example 64MiB, or 1KiB..4GiB for all powers of two between\n");
}

TEST_CASE("topology prints levels, links and the bisection") {
  const Sandbox box;
  const Outcome outcome = box.Run("topology aws-p5 --gpus 32");
  INFO(outcome.out << outcome.err);
  CHECK(outcome.code == 0);
  CHECK_THAT(outcome.out, Contains("aws-p5: 32 accelerators") && Contains("in 4 nodes of 8") && Contains("node0.gpu0 -> node0.switch") &&
                              Contains("bisection: "));
  const Outcome dot = box.Run("topology aws-p5 --dot -");
  CHECK_THAT(dot.out, Contains("graph cluster {") && Contains("\"node0.gpu0\" -- \"node0.switch\""));
}

// Two nodes of two accelerators on one switch each, a NIC each: as composed of a node and a fabric, and as drawn.
constexpr const char* kAccelerator =
    "accelerator: {name: toy, memory: 1 GB, memory_bandwidth: 1 TB/s, l2_cache: 1 MB, power: 100 W, compute_units: 10, clock: 1 GHz, "
    "peak: {fp32: 1 TFLOPS, bf16: 10 TFLOPS}}\n";

TEST_CASE("a composed hardware file and the graph that it draws give the same times") {
  const Sandbox box;
  box.Write("composed.yaml", std::string("name: toy\nlibrary: nccl\n") + kAccelerator +
                                 "node:\n"
                                 "  accelerators: 2\n"
                                 "  topology: switch\n"
                                 "  scale_up: {kind: nvlink4, bandwidth: 400 GB/s, latency: 1 us, efficiency: 0.8}\n"
                                 "  nics: 2\n"
                                 "  nic: {kind: infiniband, bandwidth: 400 Gb/s, efficiency: 0.9}\n"
                                 "  pcie: {kind: pcie, bandwidth: 63 GB/s}\n"
                                 "fabric: {topology: switch, link: {kind: infiniband, latency: 3 us}}\n");
  std::string drawn = std::string("name: toy\nlibrary: nccl\n") + kAccelerator +
                      "node: {accelerators: 2, topology: switch, scale_up: {kind: nvlink4, bandwidth: 400 GB/s, efficiency: 0.8}}\n"
                      "fabric:\n  topology: explicit\n  link: {kind: infiniband}\n  vertices:\n    - {name: core, kind: switch}\n";
  std::string links;
  for (const char* node : {"a", "b"}) {
    const std::string n = node;
    drawn += "    - {name: " + n + ".switch, kind: switch}\n    - {name: " + n + ".host, kind: host}\n";
    for (const char* i : {"0", "1"}) {
      drawn += "    - {name: " + n + ".gpu" + i + ", kind: accelerator}\n    - {name: " + n + ".nic" + i + ", kind: nic}\n";
      links += "    - {from: " + n + ".gpu" + i + ", to: " + n + ".switch, kind: nvlink4, bandwidth: 400 GB/s, efficiency: 0.8, latency: 500 ns}\n";
      links += "    - {from: " + n + ".gpu" + i + ", to: " + n + ".host, kind: pcie, bandwidth: 63 GB/s}\n";
      links += "    - {from: " + n + ".gpu" + i + ", to: " + n + ".nic" + i + ", kind: pcie, bandwidth: 63 GB/s}\n";
      links += "    - {from: " + n + ".nic" + i + ", to: core, kind: infiniband, bandwidth: 400 Gb/s, efficiency: 0.9, latency: 1.5 us}\n";
    }
  }
  box.Write("drawn.yaml", drawn + "  links:\n" + links);
  for (const char* op : {"all_reduce", "all_gather", "reduce_scatter", "broadcast", "all_to_all", "sendrecv"}) {
    const std::string rest = std::string(" --gpus 4 --bytes 1KiB..1GiB --json --messages");
    const Outcome a = box.Run(std::string("collective ") + op + " --hardware ./composed.yaml" + rest);
    const Outcome b = box.Run(std::string("collective ") + op + " --hardware ./drawn.yaml" + rest);
    INFO(op << a.err << b.err);
    REQUIRE(a.code == 0);
    REQUIRE(b.code == 0);
    const auto rows = nlohmann::json::parse(a.out)["rows"], drawn_rows = nlohmann::json::parse(b.out)["rows"];
    REQUIRE(rows.size() == drawn_rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      for (const char* key : {"time_s", "replayed_time_s", "algbw_bytes_per_s"}) {
        CHECK(rows[i][key].get<double>() == Approx(drawn_rows[i][key].get<double>()).epsilon(1e-9));
      }
      CHECK(rows[i]["algorithm"] == drawn_rows[i]["algorithm"]);
      CHECK(rows[i]["protocol"] == drawn_rows[i]["protocol"]);
    }
  }
}

TEST_CASE("every machine that the design names prints its graph and its collectives") {
  const Sandbox box;
  for (const char* name :
       {"dgx-1v", "dgx-a100-40gb", "dgx-a100-80gb", "a100-80gb-roce", "a100-40gb-roce-1600", "a100-80gb-roce-1600", "aws-p3dn",
        "aws-p4d", "aws-p4de", "aws-p5", "aws-p5en", "dgx-h100", "hgx-h200", "dgx-b200", "aws-p6-b200", "gb200-nvl72",
        "azure-nd-a100-v4", "azure-nd-h100-v5", "meta-h100-roce-24k", "aws-trn1", "aws-trn1n", "aws-trn2", "aws-trn2u"}) {
    INFO(name);
    const Outcome graph = box.Run(std::string("topology ") + name + " --gpus 144");
    CHECK(graph.code == 0);
    CHECK_THAT(graph.out, Contains("bisection: ") && Contains("144 accelerators"));
    const Outcome times = box.Run(std::string("collective all_reduce --gpus 144 --bytes 64MiB --json --hardware ") + name);
    REQUIRE(times.code == 0);
    CHECK(nlohmann::json::parse(times.out)["rows"][0]["time_s"].get<double>() > 0.0);
  }
}

TEST_CASE("topology and collective say why a cluster cannot be built") {
  const Sandbox box;
  const Outcome full = box.Run("collective all_reduce --hardware meta-h100-roce-24k --gpus 30000");
  CHECK(full.code == 2);
  CHECK(box.Run("topology meta-h100-roce-24k --gpus 30000").err == full.err);
  CHECK(full.err ==
        "error: more accelerators than the fabric holds: 30000 accelerators are 3750 nodes of 8, but `meta-h100-roce-24k` ends at "
        "3072 nodes\n"
        "help: at most 24576 accelerators\n");
}

TEST_CASE("calibrate --nccl-tests reads an output, fits the links and shows what is left over") {
  const Sandbox box;
  const Outcome made = box.Run("collective all_reduce --hardware dgx-a100-80gb --gpus 32 --bytes 64KiB..1GiB");
  std::istringstream lines(made.out);
  std::string printed;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string size, op, time, algbw, busbw;
    if (fields >> size >> op >> time >> algbw >> busbw && op == "all_reduce") {
      printed += size + " 0 float sum -1 " + time + " " + algbw + " " + busbw + " 0\n";
    }
  }
  box.Write("nccl.txt", printed);
  const Outcome fit = box.Run("calibrate --nccl-tests nccl.txt --hardware dgx-a100-80gb --gpus 32");
  INFO(fit.out << fit.err);
  CHECK(fit.code == 0);
  CHECK_THAT(fit.out, Contains("all_reduce over 32 x dgx-a100-80gb\n") && Contains("mean error 0.0 % before, 0.0 % fitted\n") &&
                          Contains("efficiency: 0.960    # was 0.960\nlatency: 2.70 us    # was 2.70 us\n"));
  const Outcome none = box.Run("calibrate --nccl-tests no.txt --hardware dgx-a100-80gb --gpus 32");
  CHECK(none.code == 2);
  CHECK(none.err == "error: cannot read `no.txt`\n");
  box.Write("empty.txt", "nothing\n");
  CHECK(box.Run("calibrate --nccl-tests empty.txt --gpus 32").err ==
        "error: which cluster was measured?\n"
        "help: give --hardware, the machine whose links are to be fitted\n\n"
        "error: no results of nccl-tests or nccom-test in `empty.txt`\n"
        "help: expected are the lines that begin with size, count and type\n");
  CHECK(box.Run("calibrate --nccl-tests nccl.txt --hardware dgx-a100-80gb --gpus 32 --op all_reduces").err ==
        "error: there is no collective `all_reduces`\n"
        "help: known: all_reduce, all_gather, reduce_scatter, broadcast, reduce, all_to_all, sendrecv\n");
  CHECK(box.Run("collective all_reduce --hardware dgx-h100 --gpus 16 --markdown page.md").code == 2);
}

TEST_CASE("calibrate says what it lacks, and what is no file of measurements") {
  const Sandbox box;
  const Outcome nothing = box.Run("calibrate");
  CHECK(nothing.code == 2);
  CHECK(nothing.err ==
        "error: which measurements?\n"
        "help: name a file that tools/calibrate/measure.py wrote, or --nccl-tests FILE\n\n"
        "error: which accelerator?\n"
        "help: --accelerator NAME, for example h100-sxm\n");
  box.Write("no.json", "{");
  CHECK(box.Run("calibrate no.json --accelerator h100-sxm").err ==
        "error: `no.json` holds no measurements\n"
        "help: tools/calibrate/measure.py writes them\n");
  box.Write("empty_call.json", R"({"schema": 1, "device": "d", "rows": [{"kind": "memory", "kernels": []}]})");
  CHECK(box.Run("calibrate empty_call.json --accelerator h100-sxm").err ==
        "error: cannot read measurements: row 1: a call without kernels\n"
        "  --> empty_call.json\n");
}

TEST_CASE("a cluster has at least one accelerator") {
  const Sandbox box;
  for (const char* command : {"collective all_reduce --hardware dgx-h100 --gpus 0", "topology dgx-h100 --gpus 0"}) {
    const Outcome outcome = box.Run(command);
    CHECK(outcome.code == 2);
    CHECK(outcome.err == "--gpus: Value 0 not in range 1 to 10000000\nRun with --help for more information.\n");
  }
}

}  // namespace
}  // namespace simulate
