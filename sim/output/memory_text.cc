#include "sim/output/memory_text.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sim/output/format.h"
#include "sim/output/table.h"

namespace simulate {

std::string RenderMemoryTable(const Report& r, const std::string& title, bool totals, bool colour) {
  std::vector<std::pair<int64_t, size_t>> sorted;
  for (size_t c = 0; c < r.memory.at_peak.size(); ++c) sorted.emplace_back(-r.memory.at_peak[c].value(), c);
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::vector<Cell>> rows;
  const auto add = [&](const Cell& name, Bytes bytes) {
    rows.push_back({name, Cell(ShowSize(bytes)), Cell(ShowPercent(bytes / r.memory_capacity))});
  };
  for (const auto& [negative, c] : sorted) {
    if (negative != 0) add(Cell(Name(static_cast<MemoryCategory>(c))), Bytes(-negative));
  }
  if (totals) {
    add(Cell("peak allocated", Tone::kBold), r.memory.peak_allocated);
    add(Cell("peak reserved", Tone::kBold), r.memory.peak_reserved);
    add(Cell("device", Tone::kBold), r.memory_capacity);
    if (r.host_memory > Bytes(0)) {
      const bool known = r.host_capacity > Bytes(0);
      rows.push_back({Cell("on a node's host", Tone::kBold), Cell(ShowSize(r.host_memory)),
                      Cell(known ? absl::StrCat(ShowPercent(r.host_memory / r.host_capacity), " of the host") : "")});
    }
  }
  return RenderTable({{title, "", true}, {"size", ""}, {"of the device", ""}}, rows, colour);
}

std::string RenderRankMemory(const Timeline& timeline, bool colour) {
  if (timeline.ranks.size() < 2) return "";
  std::vector<std::vector<Cell>> rows;
  for (const RankTimeline& rank : timeline.ranks) {
    const MemoryUse& m = rank.memory;
    rows.push_back({Cell(absl::StrCat("rank ", rank.rank)), Cell(absl::StrCat(rank.weight)), Cell(ShowSize(m.peak_allocated)),
                    Cell(ShowSize(m.peak_reserved)), m.out_of_memory ? Cell("no", Tone::kBad) : Cell("yes", Tone::kGood)});
  }
  return RenderTable({{"kind of rank", "", true}, {"ranks", ""}, {"allocated", ""}, {"reserved", ""}, {"fits", ""}}, rows, colour);
}

std::string RenderMemoryTimeline(const MemoryUse& memory, size_t width, bool unicode) {
  if (memory.samples.size() < 2 || width == 0) return "";
  static constexpr std::array<const char*, 8> kBlocks = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::array<const char*, 8> kAscii = {"_", ".", ":", "-", "=", "+", "*", "#"};
  const int64_t end = std::max<int64_t>(1, memory.samples.back().time.picoseconds());
  std::vector<int64_t> high(width, -1);
  Bytes most(1);
  for (const MemorySample& s : memory.samples) {
    const auto at = std::min<size_t>(width - 1, static_cast<size_t>(static_cast<double>(s.time.picoseconds()) / static_cast<double>(end) * static_cast<double>(width)));
    high[at] = std::max(high[at], s.allocated.value());
    most = std::max(most, s.allocated);
  }
  int64_t before = memory.samples.front().allocated.value();
  std::string line;
  for (const int64_t bytes : high) {
    if (bytes >= 0) before = bytes;
    const auto level = static_cast<size_t>(static_cast<double>(before) / static_cast<double>(most.value()) * 7.0 + 0.5);
    line += (unicode ? kBlocks : kAscii)[std::min<size_t>(7, level)];
  }
  return absl::StrCat("allocated over a steady step, up to ", ShowSize(most), " (in the host's time):\n", line, "\n");
}

}  // namespace simulate
