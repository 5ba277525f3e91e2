// One self-contained HTML page from a result: readable offline, on a phone, in dark and light.
//
// Chart.js (Debian's libjs-chart.js, MIT) and the page's own script are inlined; nothing is fetched.
// The page shows what the JSON says and computes no physics. Inputs are JSON texts:
//   result    the result object of DESIGN.md ("schema", "title", "runs")
//   timeline  one rank's streams, see TimelineJson
//   inputs    [{"section": ..., "key": ..., "value": ..., "source": ...}, ...]
//   files     [{"path", "text"}, ...]: everything that was read, where each number stands with its source
//   pipeline  see PipelineJson; cluster: study/cluster_picture.h
#pragma once

#include <string>

#include "sim/engine/timeline.h"
#include "sim/program/program.h"
#include "sim/report/pipeline.h"

namespace simulate {

struct HtmlPage {
  std::string title;
  std::string result;
  std::string timeline = "null";
  std::string inputs = "[]";
  std::string files = "[]";
  std::string pipeline = "null";
  std::string cluster = "null";
  size_t shown = 0;  // the run that timeline, pipeline, cluster and inputs are of
};

[[nodiscard]] std::string RenderHtml(const HtmlPage& page);

// {"rank", "weight", "end_us", "names": [...], "streams": [{"name", "slices": [[start_us, duration_us, name, phase, slowed_us], ...]}],
//  "memory": [[us, allocated_bytes], ...]} of the rank that ends last. "null" when no spans were recorded.
[[nodiscard]] std::string TimelineJson(const Program& program, const Timeline& timeline);


// {"schedule", "formula", "bubble", "closed_form", "micro_batches", "all", "chunks", "end_us",
//  "stages": [{"rank", "bubble", "pieces": [[start_us, duration_us, kind, micro_batch, chunk], ...]}]}; "null" without stages.
// `all`: micro-batches of the step, when fewer were simulated.
[[nodiscard]] std::string PipelineJson(const PlayedPipeline& pipeline, SimTime step, int64_t all);

}  // namespace simulate
