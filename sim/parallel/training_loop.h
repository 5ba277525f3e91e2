// The training loop without a pipeline: micro-steps of forward and backward, then the optimizer.
#pragma once

#include "sim/parallel/data_parallel.h"
#include "sim/parallel/layer_runner.h"
#include "sim/parallel/environment.h"

namespace simulate {

// What every step begins with: setup (the libraries' own memory, the states of the data-parallel wrapper and the trainer), then the loop's host work.
void BeginStep(Environment& environment, DataParallel& data_parallel, LayerRunner& runner);

// Writes the whole step of one rank.
void WriteTrainingStep(Environment& environment, DataParallel& data_parallel);

}  // namespace simulate
