// Any bytes as a scenario: a study or diagnostics, never a crash, never both or neither, and every diagnostic can be shown.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "sim/config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  simulate::Diagnostics diagnostics;
  const simulate::SearchPath search{{SIMULATE_SOURCE_DIR "/tests/config/fixture"}};
  const auto study = simulate::LoadStudyText("fuzz.yaml", text, search, {}, diagnostics);
  if (study.has_value() == diagnostics.HasErrors()) std::abort();
  if (diagnostics.all().empty() != diagnostics.Render().empty()) std::abort();
  return 0;
}
