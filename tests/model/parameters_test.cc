// Parameter counts of the measured models, to the last one.
#include <catch2/catch.hpp>

#include "tests/model/example_models.h"

namespace simulate {
namespace {

using namespace testing;

int64_t Parameters(const ModelSpec& spec, int64_t length) { return BuildModel(spec, Training(length, 1, "bf16")).parameters; }

TEST_CASE("parameters are counted exactly") {
  CHECK(Parameters(Gpt(12, 768, 12, 1024), 1024) == 163109376);
  CHECK(Parameters(Gpt(24, 1024, 16, 1024), 1024) == 406382592);
  CHECK(Parameters(Gpt(24, 2048, 16, 2048), 2048) == 1418842112);
  CHECK(Parameters(Gpt(24, 2048, 16, 4096), 4096) == 1423036416);
  CHECK(Parameters(Gpt(32, 2560, 20, 2048), 2048) == 2780451840);
  CHECK(Parameters(Gpt(32, 4096, 32, 2048), 2048) == 6864642048);
  CHECK(Parameters(Llama(16, 2048, 32, 8, 8192), 4096) == 1498482688);
  CHECK(Parameters(Llama(28, 3072, 24, 8, 8192), 4096) == 3606752256);
  CHECK(Parameters(Llama(32, 4096, 32, 8, 14336), 8192) == 8030261248);
  CHECK(Parameters(T5(24, 1024, 64, 16, 4096), 512) == 737668096);
  CHECK(Parameters(T5(24, 1024, 128, 32, 16384), 512) == 2851598336);
  CHECK(Parameters(T5(24, 1024, 128, 128, 65536), 512) == 11307321344);
}

}  // namespace
}  // namespace simulate
