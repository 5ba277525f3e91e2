#include "sim/output/table.h"

#include <algorithm>

#include "sim/base/check.h"

namespace simulate {
namespace {

std::string Pad(const std::string& text, size_t width, bool left) {
  const std::string space(width - std::min(width, DisplayWidth(text)), ' ');
  return left ? text + space : space + text;
}

void AppendLine(const std::vector<std::string>& cells, std::string* out) {
  std::string line;
  for (const std::string& cell : cells) line += (line.empty() ? "" : "  ") + cell;
  line.erase(line.find_last_not_of(' ') + 1);
  *out += line + "\n";
}

}  // namespace

size_t DisplayWidth(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string Paint(const std::string& text, Tone tone, bool colour) {
  if (!colour || tone == Tone::kPlain || text.empty()) return text;
  const char* code = "";
  switch (tone) {
    case Tone::kGood: code = "32"; break;
    case Tone::kBad: code = "31"; break;
    case Tone::kFaint: code = "2"; break;
    case Tone::kBold: code = "1"; break;
    case Tone::kPlain: break;
  }
  return std::string("\x1b[") + code + "m" + text + "\x1b[0m";
}

std::string RenderTable(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& rows, bool colour) {
  std::vector<size_t> shown;
  std::vector<size_t> width(columns.size());
  bool units = false;
  for (size_t c = 0; c < columns.size(); ++c) {
    bool filled = rows.empty();
    width[c] = std::max(DisplayWidth(columns[c].name), DisplayWidth(columns[c].unit));
    for (const auto& row : rows) {
      SIM_CHECK(row.size() == columns.size(), "a row of ", row.size(), " cells");
      width[c] = std::max(width[c], DisplayWidth(row[c].text));
      filled = filled || !row[c].text.empty();
    }
    if (!filled) continue;
    shown.push_back(c);
    units = units || !columns[c].unit.empty();
  }
  std::string out;
  const auto header = [&](auto text, Tone tone) {
    std::vector<std::string> cells;
    for (const size_t c : shown) cells.push_back(Paint(Pad(text(columns[c]), width[c], columns[c].left), tone, colour));
    AppendLine(cells, &out);
  };
  header([](const Column& c) { return c.name; }, Tone::kBold);
  if (units) header([](const Column& c) { return c.unit; }, Tone::kFaint);
  for (const auto& row : rows) {
    std::vector<std::string> cells;
    for (const size_t c : shown) cells.push_back(Paint(Pad(row[c].text, width[c], columns[c].left), row[c].tone, colour));
    AppendLine(cells, &out);
  }
  return out;
}

}  // namespace simulate
