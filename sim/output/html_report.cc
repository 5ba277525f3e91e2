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

double Micros(SimTime t) { return static_cast<double>(t.picoseconds() / 1000) * 1e-3; }

}  // namespace

std::string RenderHtml(const HtmlPage& page) {
  std::string html = kPageTemplate;
  ReplaceAll(html, "@TITLE@", EscapeHtml(page.title));  // first: later texts may hold anything
  ReplaceAll(html, "@STYLE@", kPageStyle);
  ReplaceAll(html, "@RESULT@", Embed(page.result));
  ReplaceAll(html, "@TIMELINE@", Embed(page.timeline));
  ReplaceAll(html, "@INPUTS@", Embed(page.inputs));
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
  return result.dump();
}

}  // namespace simulate
