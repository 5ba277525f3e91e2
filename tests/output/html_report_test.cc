#include <catch2/catch.hpp>

#include "sim/output/html_report.h"

namespace simulate {
namespace {

TEST_CASE("the page is self-contained, escapes its title and keeps data inside the script") {
  HtmlPage page;
  page.title = "a < b & \"c\"";
  page.result = R"({"schema":1,"title":"</script><b>","runs":[]})";
  const std::string html = RenderHtml(page);
  CHECK(html.find("<title>a &lt; b &amp; &quot;c&quot;</title>") != std::string::npos);
  CHECK(html.find("<h1>a &lt; b") != std::string::npos);
  CHECK(html.find("</script><b>") == std::string::npos);
  CHECK(html.find(R"("title":"<\/script><b>")") != std::string::npos);
  CHECK(html.find("Chart.js v3") != std::string::npos);
  for (const char* outside : {"<link", "src=\"http", "@import", "@SCRIPT@", "@RESULT@", "@TITLE@"}) {
    INFO(outside);
    CHECK(html.find(outside) == std::string::npos);
  }
}

TEST_CASE("without spans there is no timeline") {
  CHECK(TimelineJson(Program{}, Timeline{}) == "null");
}

}  // namespace
}  // namespace simulate
