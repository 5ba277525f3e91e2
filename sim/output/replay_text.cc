#include "sim/output/replay_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/output/format.h"
#include "sim/output/table.h"
#include "sim/report/explain.h"

namespace simulate {

std::string RenderReplayText(const std::string& title, const Report& r, const TextStyle& style) {
  const bool flops = r.model_flops.value() > 0.0;
  std::vector<Column> columns = {{"ranks", ""}, {"step", ""}, {"TFLOPS/GPU", ""}, {"MFU", ""}, {"tokens/s", ""}, {"exposed", "comm"}};
  const std::vector<Cell> row = {absl::StrCat(r.gpus),
                                 ShowTime(r.step_time),
                                 flops ? absl::StrFormat("%.1f", r.tflops_per_gpu) : "",
                                 flops ? ShowPercent(r.mfu) : "",
                                 r.tokens > 0.0 ? ShowCount(r.tokens_per_s) : "",
                                 ShowPercent(r.breakdown.exposed() / r.step_time)};
  std::string out;
  if (!style.quiet) out += Paint(title, Tone::kBold, style.colour) + "\n\n";
  out += RenderTable(columns, {row}, style.colour);
  if (style.quiet) return out;
  std::vector<std::vector<Cell>> time;
  for (const Part& part : Parts(r)) {
    time.push_back({Cell(part.name), Cell(ShowTime(part.seconds)), Cell(ShowPercent(part.seconds / r.step_time))});
  }
  out += "\n" + RenderTable({{absl::StrCat("where the time goes, rank ", r.worst_rank), "", true}, {"seconds", ""}, {"share", ""}}, time, style.colour);
  out += "\n" + Explain({r}) + "\n";
  for (const TrustNote& note : r.trust) {
    if (note.share < 0.05) continue;
    out += absl::StrFormat("Least certain: %s (%s, %s of the step).\n", note.what, Name(note.confidence), ShowPercent(note.share, 0));
    break;
  }
  return out;
}

}  // namespace simulate
