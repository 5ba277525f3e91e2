// The training loop without a pipeline: micro-steps of forward and backward, then the optimizer.
#pragma once

#include "sim/parallel/data_parallel.h"
#include "sim/parallel/environment.h"

namespace simulate {

// What every step begins with: setup (the libraries' own memory, the data-parallel wrapper's state), then the loop's host work.
void BeginStep(Environment& environment, DataParallel& data_parallel);

// Writes the whole step of one rank.
void WriteTrainingStep(Environment& environment, DataParallel& data_parallel);

}  // namespace simulate
