#include "sim/output/gantt.h"

#include <catch2/catch.hpp>

namespace simulate {
namespace {

PlayedPiece Piece(PieceKind kind, int32_t micro_batch, int64_t begin, int64_t end, int32_t chunk = 0) {
  return {kind, micro_batch, chunk, SimTime(begin), SimTime(end)};
}

// A square is a picosecond at this width.
PlayedPipeline TwoStages() {
  PlayedPipeline p;
  p.stages.resize(2);
  p.stages[0].pieces = {Piece(PieceKind::kForward, 0, 0, 4), Piece(PieceKind::kForward, 1, 4, 8), Piece(PieceKind::kBackward, 0, 16, 24),
                        Piece(PieceKind::kBackward, 1, 28, 36)};
  p.stages[0].end = SimTime(40);
  p.stages[0].bubble = 12.0 / 36.0;
  p.stages[1].pieces = {Piece(PieceKind::kForward, 0, 4, 8), Piece(PieceKind::kBackwardInput, 0, 8, 12), Piece(PieceKind::kBackwardWeight, 0, 12, 16),
                        Piece(PieceKind::kForward, 10, 16, 20, 1), Piece(PieceKind::kBackwardInput, 10, 20, 24, 1),
                        Piece(PieceKind::kBackwardWeight, 10, 24, 28, 1)};
  p.stages[1].end = SimTime(30);
  p.stages[1].bubble = 12.0 / 36.0;
  p.end = SimTime(36);
  p.bubble = 12.0 / 36.0;
  p.closed_form = 0.2;
  p.formula = "(p-1)/(m+p-1)";
  p.schedule = "1F1B";
  p.micro_batches = 2;
  return p;
}

TEST_CASE("a pipeline in letters") {
  CHECK(RenderGantt(TwoStages(), SimTime(40), {false, 58, 2}) ==
        "         0                               4e-05 us   bubble\n"
        "stage 0 |0>>>1>>>........0<<<<<<<....1<<<<<<<oooo|  33.3 %\n"
        "stage 1 |....0>>>0<<<0www10))10((10WWoo..........|  33.3 %\n"
        "> forward   < backward   . idle   o after the pipeline\n"
        "bubble: 33.3 % of the pipeline's time, mean of the stages\n"
        "closed form: 20.0 % with equal stages and free communication (1F1B: (p-1)/(m+p-1))\n");
}

TEST_CASE("narrow pieces keep their sign, and what is drawn of a long step is said") {
  PlayedPipeline p = TwoStages();
  const std::string text = RenderGantt(p, SimTime(40), {false, 10, 512});  // 20 squares at least: 2 ps each
  INFO(text);
  CHECK(text.find("stage 0 |0>1>....0<<<..1<<<oo|") != std::string::npos);
  CHECK(text.find("drawn: 2 of the step's 512 micro-batches (--exact draws all of them)\n") != std::string::npos);
}

TEST_CASE("colour adds nothing but colour") {
  const PlayedPipeline p = TwoStages();
  std::string coloured = RenderGantt(p, SimTime(40), {true, 58, 2});
  CHECK(coloured.find("\x1b[30;46m0>>>") != std::string::npos);
  for (size_t at = coloured.find('\x1b'); at != std::string::npos; at = coloured.find('\x1b')) {
    coloured.erase(at, coloured.find('m', at) - at + 1);
  }
  CHECK(coloured == RenderGantt(p, SimTime(40), {false, 58, 2}));
}

}  // namespace
}  // namespace simulate
