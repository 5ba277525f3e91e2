// One self-contained HTML page from a result: readable offline, on a phone, in dark and light.
//
// Chart.js (Debian's libjs-chart.js, MIT) and the page's own script are inlined; nothing is fetched.
// The page shows what the JSON says and computes no physics. Inputs are JSON texts:
//   result    the result object of DESIGN.md ("schema", "title", "runs")
//   timeline  one rank's streams, see TimelineJson
//   inputs    [{"section": ..., "key": ..., "value": ..., "source": ...}, ...]
#pragma once

#include <string>

#include "sim/engine/timeline.h"
#include "sim/program/program.h"

namespace simulate {

struct HtmlPage {
  std::string title;
  std::string result;
  std::string timeline = "null";
  std::string inputs = "[]";
};

[[nodiscard]] std::string RenderHtml(const HtmlPage& page);

// {"rank", "weight", "end_us", "names": [...], "streams": [{"name", "slices": [[start_us, duration_us, name, phase, slowed_us], ...]}]}
// of the rank that ends last. "null" when no spans were recorded.
[[nodiscard]] std::string TimelineJson(const Program& program, const Timeline& timeline);

}  // namespace simulate
