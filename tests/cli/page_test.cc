// The report page in a real browser: a script at its end works the controls and writes down what it saw, and
// Chromium prints the document that results. Without a browser these tests pass and say that they looked at nothing.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/cli/program.h"

namespace simulate {
namespace {

std::string Browser() {
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
    if (std::system((std::string("command -v ") + name + " >/dev/null 2>&1").c_str()) == 0) return name;
  }
  return "";
}

// Runs before anything else on the page.
constexpr const char* kWatch = R"(<script>
window.wrong = [];
addEventListener('error', e => wrong.push(e.message));
for (const level of ['error', 'warn']) console[level] = (...a) => wrong.push(a.join(' '));
</script>)";

constexpr const char* kProbe = R"(<script>
const seen = {};
const painted = id => { const c = $(id); if (!c.width || !c.height) return 0; const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; };
const visible = id => !$(id).hidden && $(id).getClientRects().length > 0;
try {
  seen.charts = Object.fromEntries(Object.entries(charts).map(([id, c]) => [id, c.data.datasets.map(d => d.data.filter(v => Number.isFinite(typeof v === 'object' ? v.y : v)).length)]));
  seen.painted = Object.fromEntries(['curve', 'breakdown', 'memory', 'timeline', 'pipeline'].map(id => [id, painted(id)]));
  seen.sections = Object.fromEntries(['curve-section', 'path-section', 'pipeline-section', 'timeline-section', 'cluster-section'].map(id => [id, visible(id)]));
  seen.advice = $('advice').textContent;
  seen.path = $('path').rows.length;
  seen.boxes = document.querySelectorAll('#cluster svg rect').length;
  seen.cluster = $('cluster').textContent;
  seen.links = $('links').rows.length;
  seen.points = $('points').rows.length;
  seen.capacity = $('memory-note').textContent;
  const all = document.querySelectorAll('#inputs dt').length;
  $('filter').value = 'bandwidth'; $('filter').dispatchEvent(new Event('input'));
  seen.inputs = [all, document.querySelectorAll('#inputs dt').length, $('inputs').textContent.toLowerCase().includes('bandwidth')];
  seen.files = document.querySelectorAll('#files pre').length;
  $('filter').value = 'no such thing'; $('filter').dispatchEvent(new Event('input'));
  seen.nothing = document.querySelectorAll('#inputs dt').length;
  const box = $('timeline').getBoundingClientRect();
  const slice = TIMELINE.streams[0].slices.reduce((a, b) => (b[1] > a[1] ? b : a));
  const lane = lanes.find(l => l.canvas.id === 'timeline');
  const x = box.left + lane.left + (slice[0] + slice[1] / 2) / TIMELINE.end_us * (box.width - lane.left);
  $('timeline').dispatchEvent(new PointerEvent('pointermove', {clientX: x, clientY: box.top + 10, bubbles: true}));
  seen.tip = [lane.tip.hidden, lane.tip.textContent];
  const zoom = document.querySelector('#timeline-controls button'); zoom.click();
  seen.zoomed = (lane.to - lane.from) / lane.end;
  if (!$('curve-section').hidden) {
    $('metric').value = 'mfu'; $('metric').dispatchEvent(new Event('change'));
    seen.metric = charts.curve.options.scales.y.title.text;
    const lines = () => charts.curve.data.datasets.length, before = lines(), check = document.querySelector('#series input');
    if (check) { check.click(); seen.hidden_series = before - lines(); }
    charts.curve.tooltip.setActiveElements([{datasetIndex: 0, index: 0}], {x: 50, y: 50}); charts.curve.update();
    seen.hover = charts.curve.tooltip.getActiveElements().length;
  }
  $('unit').value = 'seconds'; $('unit').dispatchEvent(new Event('change'));
  seen.unit = charts.breakdown.options.scales.x.title.text;
  const ground = () => getComputedStyle(document.body).backgroundColor, light = ground();
  $('theme').click(); seen.theme = [light, ground()];
  seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
} catch (e) { wrong.push(String(e)); }
seen.wrong = wrong;
document.body.innerHTML = '<pre id="seen">' + btoa(unescape(encodeURIComponent(JSON.stringify(seen)))) + '</pre>';
</script>)";

std::string FromBase64(const std::string& text) {
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t at = letters.find(c);
    if (at == std::string::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(at);
    if ((count += 6) < 8) continue;
    out += static_cast<char>(bits >> (count -= 8) & 0xFF);
  }
  return out;
}

// What the probe saw on the page of this command line, in a window of this width.
nlohmann::json Look(const std::string& browser, const std::string& arguments, int width) {
  const Sandbox box;
  const Outcome written = box.Run(arguments + " --quiet --html page.html");
  INFO(written.err);
  REQUIRE(written.code == 0);
  std::string page = box.Read("page.html");
  page.insert(page.find("<head>") + 6, kWatch);
  page.insert(page.rfind("</body>"), kProbe);
  box.Write("probed.html", page);
  const Outcome shown = box.Shell("HOME=$PWD " + browser + " --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --window-size=" +
                                  std::to_string(width) + ",900 --dump-dom file://$PWD/probed.html");
  const size_t begin = shown.out.find("<pre id=\"seen\">");
  INFO(shown.out.substr(0, 400) << shown.err.substr(0, 2000));
  REQUIRE(begin != std::string::npos);
  auto seen = nlohmann::json::parse(FromBase64(shown.out.substr(begin + 15)), nullptr, false);
  REQUIRE(seen.is_object());
  return seen;
}

void CheckCommon(const nlohmann::json& seen) {
  INFO(seen.dump(1));
  CHECK(seen["wrong"].empty());
  CHECK(seen["overflow"] == 0);
  for (const char* chart : {"breakdown", "memory"}) {
    CHECK(seen["charts"][chart].size() > 1);
    CHECK(seen["painted"][chart] > 500);
  }
  CHECK(seen["painted"]["timeline"] > 500);
  for (const char* section : {"path-section", "timeline-section", "cluster-section"}) CHECK(seen["sections"][section] == true);
  CHECK(seen["path"] > 5);
  CHECK(seen["boxes"] > 20);
  CHECK(seen["links"] > 3);
  CHECK_FALSE(seen["advice"].get<std::string>().empty());
  CHECK_THAT(seen["capacity"].get<std::string>(), Catch::Contains("GB"));
  CHECK(seen["inputs"][0] > 50);
  CHECK(seen["inputs"][1] > 2);
  CHECK(seen["inputs"][1] < seen["inputs"][0]);
  CHECK(seen["inputs"][2] == true);
  CHECK(seen["files"] > 1);
  CHECK(seen["nothing"] == 0);
  CHECK(seen["tip"][0] == false);
  CHECK_THAT(seen["tip"][1].get<std::string>(), Catch::Contains("ms") || Catch::Contains("µs"));
  CHECK(seen["zoomed"] == Approx(0.5));
  CHECK(seen["unit"] == "seconds");
  CHECK(seen["theme"][0] != seen["theme"][1]);
}

TEST_CASE("the report page of T5-11B in a browser: charts, controls, hover, no errors") {
  const std::string browser = Browser();
  if (browser.empty()) {
    WARN("skipped: there is no Chromium on this machine; tools/install_packages --with-chromium installs it");
    return;
  }
  const auto seen = Look(browser, "t5_11b_fsdp", 1200);
  CheckCommon(seen);
  CHECK(seen["sections"]["curve-section"] == true);
  CHECK(seen["sections"]["pipeline-section"] == false);
  CHECK(seen["charts"]["curve"] == nlohmann::json({7, 7, 7, 7}));  // two batch sizes, predicted and published
  CHECK(seen["painted"]["curve"] > 500);
  CHECK(seen["metric"] == "MFU");
  CHECK(seen["hidden_series"] == 1);  // MFU has no published points
  CHECK(seen["hover"] == 1);
  CHECK(seen["points"] == 15);
  CHECK_THAT(seen["cluster"].get<std::string>(), Catch::Contains("64 × node of 8"));
}

TEST_CASE("the report page of a pipeline on a phone's width") {
  const std::string browser = Browser();
  if (browser.empty()) {
    WARN("skipped: there is no Chromium on this machine; tools/install_packages --with-chromium installs it");
    return;
  }
  const auto seen = Look(browser, "llama3_405b_16k", 400);
  CheckCommon(seen);
  CHECK(seen["sections"]["curve-section"] == false);  // one point has no curve
  CHECK(seen["sections"]["pipeline-section"] == true);
  CHECK(seen["painted"]["pipeline"] > 500);
  CHECK_THAT(seen["cluster"].get<std::string>(), Catch::Contains("2,048 × node of 8"));
}

}  // namespace
}  // namespace simulate
