// Reads the `training` and `parallelism` mappings of a scenario.
#pragma once

#include "sim/config/reader.h"
#include "sim/spec/parallelism.h"
#include "sim/spec/training.h"

namespace simulate {

// False after an error. `encoder_decoder`: the model has two sequences; a plain sequence_length sets both.
// `global_batch_size` is 0 unless given; gradient_accumulation_steps follows from it (check_scenario.h).
bool ReadTraining(ValueReader& value, bool encoder_decoder, TrainingSpec* out, int64_t* global_batch_size);
bool ReadParallelism(ValueReader& value, ParallelismSpec* out);

}  // namespace simulate
