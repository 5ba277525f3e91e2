// `--gantt`: a pipeline in the terminal, a row per stage, time from left to right.
//
//   stage 0 |0>>1>>2>>3>>.........0<<<<<1<<<<<2<<<<<3<<<<<ooo|
//
// A piece starts with the number of its micro-batch (where there is room) and goes on with > forward, < backward,
// w gradients of the weights alone; the pieces of every second chunk are drawn with ) ( W. Idle: '.', what follows
// the pipeline (gradients' reduction, optimizer): 'o'. Colour is added on a terminal and carries nothing of its own.
#pragma once

#include <string>

#include "sim/report/pipeline.h"

namespace simulate {

struct GanttStyle {
  bool colour = false;
  int width = 120;               // columns altogether
  int64_t all_micro_batches = 0;  // of the step, when fewer are drawn; 0: all are
};

// REQUIRES: the pipeline has stages.
[[nodiscard]] std::string RenderGantt(const PlayedPipeline& pipeline, SimTime step, const GanttStyle& style);

}  // namespace simulate
