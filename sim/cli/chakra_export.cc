#include "sim/cli/chakra_export.h"

#include <filesystem>
#include <numeric>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/chakra/rank_texts.h"
#include "sim/cli/write_folder.h"
#include "sim/output/format.h"
#include "sim/study/replay.h"

#ifndef SIMULATE_VERSION
#define SIMULATE_VERSION "unknown"
#endif

namespace simulate {
namespace {

constexpr int64_t kAskAbove = int64_t{4} << 30;  // bytes that nobody writes by mistake
constexpr const char* kGroups = "comm_groups.json";

// A rank whose file is written, and the ranks that it stands for.
struct FileOfRanks {
  RankId rank = 0;
  std::vector<RankId> ranks;
};

std::vector<FileOfRanks> EachAlone(const std::vector<RankId>& ranks) {
  std::vector<FileOfRanks> files;
  for (const RankId rank : ranks) files.push_back({rank, {rank}});
  return files;
}

// One file for all ranks that run the same program and fared alike.
std::vector<FileOfRanks> Kinds(const Simulation& simulation) {
  std::vector<FileOfRanks> files(simulation.timeline.ranks.size());
  for (RankId rank = 0; rank < simulation.program.world_size(); ++rank) {
    FileOfRanks& file = files[simulation.timeline.entry_of_rank[rank]];
    if (file.ranks.empty()) file.rank = rank;
    file.ranks.push_back(rank);
  }
  return files;
}

std::optional<std::vector<FileOfRanks>> Choose(const std::string& ranks, const Simulation& simulation, Diagnostics& diagnostics) {
  const uint32_t world = simulation.program.world_size();
  std::vector<RankId> all(world);
  std::iota(all.begin(), all.end(), 0U);
  if (ranks == "all") return EachAlone(all);
  if (ranks == "kinds") return Kinds(simulation);
  if (!ranks.empty()) {
    const auto chosen = ReadRanks(ranks, world);
    if (chosen) return EachAlone(*chosen);
    Diagnostic& d = diagnostics.Error(absl::StrCat("`--chakra-ranks ", ranks, "` names no ranks of 0 to ", world - 1));
    d.help.push_back("all, kinds (one of each kind of rank), or a set such as 0-7,64");
    return std::nullopt;
  }
  int64_t bytes = 0;
  for (const RankId rank : all) bytes += EstimateTraceBytes(simulation.program, rank);
  if (bytes <= kAskAbove) return EachAlone(all);
  Diagnostic& d = diagnostics.Error(absl::StrFormat("execution traces of %d ranks take about %s", world, ShowSize(Bytes(bytes))));
  d.help.push_back("--chakra-ranks kinds writes one file for each kind of rank, which `simulate replay` reads as the whole");
  d.help.push_back("--chakra-ranks all writes them nevertheless, --chakra-ranks 0-7,64 some of them");
  return std::nullopt;
}

}  // namespace

bool ExportChakra(const ChakraOptions& options, const Scenario& scenario, const Simulation& simulation, Progress& progress,
                  Diagnostics& diagnostics) {
  const auto files = Choose(options.ranks, simulation, diagnostics);
  if (!files) return false;
  std::string prefix = std::filesystem::path(scenario.file).stem().string();
  if (prefix.empty()) prefix = "trace";
  const TraceExport what = TraceExportOf(scenario, simulation, "simulate " SIMULATE_VERSION);
  const auto replaceable = [](const std::string& name) { return absl::EndsWith(name, ".et") || name == kGroups; };
  const auto write = [&](const FolderFile& file) {
    if (!file(kGroups, [&](std::ostream& out) { WriteCommGroups(simulation.program, out); })) return false;
    size_t done = 0;
    for (const FileOfRanks& f : *files) {
      const std::string name = absl::StrCat(prefix, ".", f.rank, ".et");
      if (!file(name, [&](std::ostream& out) { WriteRankTrace(what, f.rank, ShowRanks(f.ranks), out); })) return false;
      progress.Update(++done, files->size());
    }
    return true;
  };
  return WriteFolder(options.folder, replaceable, write, diagnostics);
}

}  // namespace simulate
