// A table of comma-separated values (RFC 4180), every cell with its place in the file. Lines that start with `#` and
// empty lines are skipped. The first row names the columns.
#pragma once

#include <string>
#include <vector>

#include "sim/base/diagnostics.h"

namespace simulate {

struct CsvCell {
  std::string text;
  SourceLocation where;
};

struct CsvTable {
  std::vector<CsvCell> header;
  std::vector<std::vector<CsvCell>> rows;   // each as long as the header
};

// Registers `text` as the source of `file`. False after an error: an open quote, a row of another length, a column
// named twice or not at all.
[[nodiscard]] bool ParseCsv(const std::string& file, const std::string& text, Diagnostics& diagnostics, CsvTable* out);

}  // namespace simulate
