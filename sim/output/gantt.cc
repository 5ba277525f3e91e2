#include "sim/output/gantt.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/output/format.h"

namespace simulate {
namespace {

constexpr char kIdle = '.';
constexpr char kAfter = 'o';
constexpr int kNarrowest = 20;  // columns for the time axis at least

struct Square {
  char letter = kIdle;
  char fill = kIdle;  // what letter would be without a number: says the colour
};

char FillOf(const PlayedPiece& piece) {
  const bool second = piece.chunk % 2 == 1;
  switch (piece.kind) {
    case PieceKind::kForward: return second ? ')' : '>';
    case PieceKind::kBackward:
    case PieceKind::kBackwardInput: return second ? '(' : '<';
    case PieceKind::kBackwardWeight: return second ? 'W' : 'w';
  }
  return kIdle;
}

const char* ColourOf(char fill) {
  switch (fill) {
    case '>': return "\x1b[30;46m";  // black on cyan
    case ')': return "\x1b[30;106m";
    case '<': return "\x1b[30;42m";  // green
    case '(': return "\x1b[30;102m";
    case 'w': return "\x1b[30;43m";  // yellow
    case 'W': return "\x1b[30;103m";
    case kAfter: return "\x1b[30;47m";
    default: return "\x1b[2m";
  }
}

// A stage's row: a square shows what kind of piece has most of its time, or idle when less than half of it is busy.
class Row {
 public:
  Row(SimTime step, int columns)
      : step_(static_cast<double>(step.picoseconds())), squares_(static_cast<size_t>(columns)), shares_(squares_.size()) {}

  void Fill(const PlayedStage& stage) {
    for (const PlayedPiece& piece : stage.pieces) Add(piece.start, piece.end, FillOf(piece));
    SimTime last;
    for (const PlayedPiece& piece : stage.pieces) last = std::max(last, piece.end);
    Add(last, stage.end, kAfter);
    for (size_t i = 0; i < squares_.size(); ++i) {
      double busy = 0.0, most = 0.0;
      for (const auto& [fill, share] : shares_[i]) {
        busy += share;
        if (share <= most) continue;
        most = share;
        squares_[i] = {fill, fill};
      }
      if (busy < 0.5) squares_[i] = {};
    }
    for (const PlayedPiece& piece : stage.pieces) Label(piece);
  }

  [[nodiscard]] std::string Text(bool colour) const {
    std::string text;
    char now = 0;
    for (const Square& square : squares_) {
      if (colour && square.fill != now) absl::StrAppend(&text, "\x1b[0m", ColourOf(square.fill));
      now = square.fill;
      text += square.letter;
    }
    return colour ? text + "\x1b[0m" : text;
  }

 private:
  void Add(SimTime start, SimTime end, char fill) {
    const auto [first, last] = Range(start, end);
    for (size_t i = first; i <= last; ++i) shares_[i][fill] += Share(i, start, end);
  }

  // The micro-batch's number, where the piece has most of enough squares for it and a sign.
  void Label(const PlayedPiece& piece) {
    const std::string number = absl::StrCat(piece.micro_batch);
    auto [at, last] = Range(piece.start, piece.end);
    while (at <= last && Share(at, piece.start, piece.end) < 0.5) ++at;
    for (size_t i = at; i <= at + number.size(); ++i) {
      if (i > last || squares_[i].fill != FillOf(piece) || Share(i, piece.start, piece.end) < 0.5) return;
    }
    for (size_t k = 0; k < number.size(); ++k) squares_[at + k].letter = number[k];
  }

  [[nodiscard]] double At(SimTime t) const {
    return static_cast<double>(t.picoseconds()) / step_ * static_cast<double>(squares_.size());
  }
  [[nodiscard]] std::pair<size_t, size_t> Range(SimTime start, SimTime end) const {
    const auto clamp = [&](double x) { return static_cast<size_t>(std::clamp(x, 0.0, static_cast<double>(squares_.size() - 1))); };
    return {clamp(At(start)), clamp(At(end))};
  }
  [[nodiscard]] double Share(size_t i, SimTime start, SimTime end) const {
    const auto left = static_cast<double>(i);
    return std::max(0.0, std::min(left + 1.0, At(end)) - std::max(left, At(start)));
  }

  double step_;
  std::vector<Square> squares_;
  std::vector<std::map<char, double>> shares_;  // by square: of its time, by fill
};

std::string Legend(const PlayedPipeline& pipeline) {
  bool split = false;
  for (const PlayedPiece& piece : pipeline.stages.front().pieces) split = split || piece.kind == PieceKind::kBackwardWeight;
  std::string text = pipeline.chunks > 1 ? "> ) forward   < ( backward" : "> forward   < backward";
  if (split) text += pipeline.chunks > 1 ? " of inputs   w W of weights" : " of inputs   w of weights";
  absl::StrAppend(&text, "   . idle   o after the pipeline");
  if (pipeline.chunks > 1) absl::StrAppend(&text, "   (second sign: every second chunk)");
  return text;
}

}  // namespace

std::string RenderGantt(const PlayedPipeline& pipeline, SimTime step, const GanttStyle& style) {
  const std::string last_name = absl::StrCat("stage ", pipeline.stages.size() - 1);
  const auto label = static_cast<int>(last_name.size());
  const int columns = std::max(kNarrowest, style.width - label - 11);
  std::string out = absl::StrFormat("%*s  %-*s %7s\n", label, "", columns + 1,
                                    absl::StrCat("0", std::string(static_cast<size_t>(std::max<int>(1, columns - 1 -
                                                 static_cast<int>(ShowTime(step.seconds()).size()))), ' '), ShowTime(step.seconds())),
                                    "bubble");
  for (size_t s = 0; s < pipeline.stages.size(); ++s) {
    Row row(step, columns);
    row.Fill(pipeline.stages[s]);
    absl::StrAppendFormat(&out, "%-*s |%s| %7s\n", label, absl::StrCat("stage ", s), row.Text(style.colour),
                          ShowPercent(pipeline.stages[s].bubble));
  }
  absl::StrAppend(&out, Legend(pipeline), "\n");
  absl::StrAppendFormat(&out, "bubble: %s of the pipeline's time, mean of the stages\n", ShowPercent(pipeline.bubble));
  const std::string value = ShowPercent(pipeline.closed_form);
  absl::StrAppendFormat(&out, "closed form: %s with equal stages and free communication (%s%s)\n", value, pipeline.schedule,
                        pipeline.formula == "0" ? "" : absl::StrCat(": ", pipeline.formula));
  if (style.all_micro_batches > pipeline.micro_batches) {
    absl::StrAppendFormat(&out, "drawn: %d of the step's %d micro-batches (--exact draws all of them)\n", pipeline.micro_batches,
                          style.all_micro_batches);
  }
  return out;
}

}  // namespace simulate
