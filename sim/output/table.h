// An aligned table: a header row, a row of units, rows of cells. Colour only where the caller asks for it.
#pragma once

#include <string>
#include <vector>

namespace simulate {

enum class Tone : uint8_t { kPlain, kGood, kBad, kFaint, kBold };

struct Cell {
  Cell(std::string t, Tone n = Tone::kPlain) : text(std::move(t)), tone(n) {}  // NOLINT: cells are written as text
  Cell(const char* t) : text(t) {}                                            // NOLINT
  std::string text;
  Tone tone = Tone::kPlain;
};

struct Column {
  std::string name;
  std::string unit;   // second header row; empty everywhere: the row is left out
  bool left = false;  // numbers are right-aligned
};

// REQUIRES: every row has a cell per column. Columns whose cells are all empty are left out.
[[nodiscard]] std::string RenderTable(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& rows,
                                      bool colour);

// The text between the terminal's colour codes of a tone; unchanged when `colour` is false.
[[nodiscard]] std::string Paint(const std::string& text, Tone tone, bool colour);

// Characters that a terminal shows for UTF-8 text without wide characters.
[[nodiscard]] size_t DisplayWidth(const std::string& text);

}  // namespace simulate
