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

}  // namespace
}  // namespace simulate
