# Turns the page's files and Chart.js into one header of string constants.
#   cmake -DOUT=page.h -DDIR=sim/output/html -DCHARTJS=chart.min.js -P EmbedPage.cmake
# String literals are limited in length, so long files are cut into adjacent raw literals.
function(embed variable file)
  file(READ ${file} text)
  string(LENGTH "${text}" length)
  set(literal "inline const std::string ${variable} =\n")
  set(at 0)
  while(at LESS length)
    string(SUBSTRING "${text}" ${at} 12000 piece)
    string(APPEND literal "    std::string(R\"~page~(${piece})~page~\") +\n")
    math(EXPR at "${at} + 12000")
  endwhile()
  string(APPEND literal "    std::string();\n")
  set(header "${header}${literal}" PARENT_SCOPE)
endfunction()

set(header "// Made at build time from sim/output/html and Debian's libjs-chart.js.\n#pragma once\n#include <string>\nnamespace simulate {\n")
embed(kPageTemplate ${DIR}/page.html)
embed(kPageStyle ${DIR}/page.css)
embed(kPageScript ${DIR}/page.js)
embed(kChartJs ${CHARTJS})
string(APPEND header "}  // namespace simulate\n")
file(WRITE ${OUT} "${header}")
