#include "sim/output/html_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "output/page.h"  // kPageTemplate, kPageScript, kPageStyle, kChartJs: made from html/ at build time

namespace simulate {
namespace {

using Json = nlohmann::ordered_json;

void ReplaceAll(std::string& text, const std::string& placeholder, const std::string& value) {
  for (size_t at = text.find(placeholder); at != std::string::npos; at = text.find(placeholder, at + value.size())) {
    text.replace(at, placeholder.size(), value);
  }
}

// JSON inside <script>: "</" would end the element.
std::string Embed(std::string json) {
  for (size_t at = json.find("</"); at != std::string::npos; at = json.find("</", at + 3)) json.replace(at, 2, "<\\/");
  return json;
}

std::string EscapeHtml(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&': result += "&amp;"; break;
      case '<': result += "&lt;"; break;
      case '>': result += "&gt;"; break;
      case '"': result += "&quot;"; break;
      default: result += c;
    }
  }
  return result;
}

constexpr size_t kMemoryPoints = 1500;  // more than a page has pixels

// The curve, thinned to the largest value of each stretch.
Json MemoryJson(const std::vector<MemorySample>& samples) {
  const size_t stretch = samples.size() / kMemoryPoints + 1;
  Json curve = Json::array();
  for (size_t i = 0; i < samples.size(); i += stretch) {
    const size_t end = std::min(samples.size(), i + stretch);
    const auto most = std::max_element(samples.begin() + static_cast<std::ptrdiff_t>(i), samples.begin() + static_cast<std::ptrdiff_t>(end),
                                       [](const MemorySample& a, const MemorySample& b) { return a.allocated < b.allocated; });
    curve.push_back({static_cast<double>(samples[i].time.picoseconds() / 1000) * 1e-3, most->allocated.value()});
  }
  return curve;
}

double Micros(SimTime t) { return static_cast<double>(t.picoseconds() / 1000) * 1e-3; }

}  // namespace

std::string RenderHtml(const HtmlPage& page) {
  std::string html = kPageTemplate;
  ReplaceAll(html, "@TITLE@", EscapeHtml(page.title));  // first: later texts may hold anything
  ReplaceAll(html, "@STYLE@", kPageStyle);
  ReplaceAll(html, "@RESULT@", Embed(page.result));
  ReplaceAll(html, "@TIMELINE@", Embed(page.timeline));
  ReplaceAll(html, "@INPUTS@", Embed(page.inputs));
  ReplaceAll(html, "@FILES@", Embed(page.files));
  ReplaceAll(html, "@PIPELINE@", Embed(page.pipeline));
  ReplaceAll(html, "@CLUSTER@", Embed(page.cluster));
  ReplaceAll(html, "@SHOWN@", std::to_string(page.shown));
  ReplaceAll(html, "@CHARTJS@", kChartJs);
  ReplaceAll(html, "@SCRIPT@", kPageScript);
  return html;
}

std::string TimelineJson(const Program& program, const Timeline& timeline) {
  const auto last = std::max_element(timeline.ranks.begin(), timeline.ranks.end(),
                                     [](const RankTimeline& a, const RankTimeline& b) { return a.end < b.end; });
  if (last == timeline.ranks.end() || last->spans.empty()) return "null";
  const RankProgram& code = program.programs[program.program_of_rank[last->rank]];
  Json streams = Json::array();
  for (const Stream& stream : program.streams) streams.push_back({{"name", stream.name}, {"slices", Json::array()}});
  for (const Span& span : last->spans) {
    const Instruction& instruction = code.instructions[span.instruction];
    const SimTime duration = span.end - span.start;
    streams[instruction.stream]["slices"].push_back(
        {Micros(span.start), Micros(duration), instruction.name, static_cast<int>(instruction.phase),
         Micros(std::max(SimTime(0), duration - span.alone))});
  }
  Json used = Json::array();
  for (auto& stream : streams) {
    if (!stream["slices"].empty()) used.push_back(std::move(stream));
  }
  Json result;
  result["rank"] = last->rank;
  result["weight"] = last->weight;
  result["end_us"] = Micros(last->end);
  result["names"] = program.names;
  result["streams"] = std::move(used);
  result["memory"] = MemoryJson(last->memory.samples);
  return result.dump();
}

std::string PipelineJson(const PlayedPipeline& pipeline, SimTime step, int64_t all) {
  if (pipeline.stages.empty()) return "null";
  Json stages = Json::array();
  for (const PlayedStage& stage : pipeline.stages) {
    Json pieces = Json::array();
    for (const PlayedPiece& piece : stage.pieces) {
      pieces.push_back({Micros(piece.start), Micros(piece.end - piece.start), static_cast<int>(piece.kind), piece.micro_batch, piece.chunk});
    }
    stages.push_back({{"rank", stage.rank}, {"bubble", stage.bubble}, {"pieces", std::move(pieces)}});
  }
  return Json({{"schedule", pipeline.schedule}, {"formula", pipeline.formula}, {"bubble", pipeline.bubble},
               {"closed_form", pipeline.closed_form}, {"micro_batches", pipeline.micro_batches}, {"all", all},
               {"chunks", pipeline.chunks}, {"end_us", Micros(step)}, {"stages", std::move(stages)}}).dump();
}

}  // namespace simulate
