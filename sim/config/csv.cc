#include "sim/config/csv.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace simulate {
namespace {

class Scanner {
 public:
  Scanner(const std::string& file, const std::string& text) : file_(file), text_(text) {}

  // The next row that is neither empty nor a comment; false at the end or at an open quote.
  bool Row(std::vector<CsvCell>* row) {
    SkipComments();
    if (at_ >= text_.size()) return false;
    row->clear();
    do {
      row->push_back(Cell());
    } while (open_quote_.line == 0 && Accept(','));
    if (open_quote_.line != 0) return false;
    Accept('\r');
    Accept('\n');
    return true;
  }
  [[nodiscard]] const SourceLocation& open_quote() const { return open_quote_; }

 private:
  void SkipComments() {
    while (at_ < text_.size() && (text_[at_] == '#' || text_[at_] == '\n' || text_[at_] == '\r')) {
      while (at_ < text_.size() && text_[at_] != '\n') Next();
      Accept('\n');
    }
  }
  void Next() {
    if (text_[at_++] == '\n') {
      ++line_;
      line_start_ = at_;
    }
  }
  bool Accept(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    Next();
    return true;
  }
  SourceLocation Here() const { return {file_, line_, static_cast<int>(at_ - line_start_) + 1, 1}; }

  CsvCell Cell() {
    CsvCell cell{"", Here()};
    const size_t start = at_;
    if (Accept('"')) {
      while (at_ < text_.size() && !(text_[at_] == '"' && (at_ + 1 >= text_.size() || text_[at_ + 1] != '"'))) {
        if (text_[at_] == '"') Next();  // the first of two, which stand for one
        cell.text += text_[at_];
        Next();
      }
      if (!Accept('"')) open_quote_ = cell.where;
    }
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n' && text_[at_] != '\r') {
      cell.text += text_[at_];
      Next();
    }
    cell.where.length = static_cast<int>(std::max<size_t>(1, at_ - start));
    return cell;
  }

  const std::string& file_;
  const std::string& text_;
  size_t at_ = 0;
  int line_ = 1;
  size_t line_start_ = 0;
  SourceLocation open_quote_;
};

bool CheckHeader(const std::vector<CsvCell>& header, Diagnostics& diagnostics) {
  bool ok = true;
  for (auto cell = header.begin(); cell != header.end(); ++cell) {
    const auto first = std::find_if(header.begin(), cell, [&](const CsvCell& c) { return c.text == cell->text; });
    if (!cell->text.empty() && first == cell) continue;
    ok = false;
    if (cell->text.empty()) {
      diagnostics.Error("this column has no name", cell->where);
    } else {
      diagnostics.Error(absl::StrCat("the column `", cell->text, "` is given twice"), cell->where)
          .notes.push_back({"it is given here first", first->where});
    }
  }
  return ok;
}

}  // namespace

bool ParseCsv(const std::string& file, const std::string& text, Diagnostics& diagnostics, CsvTable* out) {
  diagnostics.AddSource(file, text);
  Scanner scanner(file, text);
  std::vector<CsvCell> row;
  bool ok = true;
  while (scanner.Row(&row)) {
    if (out->header.empty()) {
      out->header = row;
      ok = CheckHeader(row, diagnostics);
    } else if (row.size() == out->header.size()) {
      out->rows.push_back(row);
    } else {
      ok = false;
      diagnostics.Error("this row does not fit the header", row.front().where).label =
          absl::StrCat(row.size(), " cells, but ", out->header.size(), " columns");
    }
  }
  if (scanner.open_quote().line != 0) {
    diagnostics.Error("this quote is never closed", scanner.open_quote());
    return false;
  }
  if (out->header.empty()) {
    diagnostics.Error("this table is empty", {file, 0, 0, 0});
    return false;
  }
  return ok;
}

}  // namespace simulate
