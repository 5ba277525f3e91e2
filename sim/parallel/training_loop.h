// The training loop without a pipeline: micro-steps of forward and backward, then the optimizer.
#pragma once

#include "sim/parallel/data_parallel.h"
#include "sim/parallel/environment.h"

namespace simulate {

// Setup: what the libraries keep for themselves.
void AllocateLibraryWorkspaces(Environment& environment);

// Writes the whole step of one rank.
void WriteTrainingStep(Environment& environment, DataParallel& data_parallel);

}  // namespace simulate
