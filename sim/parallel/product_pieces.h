// Products of sequence-parallel layers in pieces, one for each tensor-parallel rank, beside the transfers that feed or follow them
// (Wang et al., ASPLOS 2023; Transformer Engine's tp_comm_overlap, torch's async tensor parallelism).
//
//   all_gather then product     the own piece at once, piece i when the i-th pass round the ring has brought it
//   product then reduce_scatter pass i round the ring when piece i has been multiplied
//
// Each of the t - 1 passes moves 1 / t of the activation. A piece is a product of its own: 1 / t of the rows, with its own waves.
// Absent: the adding up of what a pass brings; Transformer Engine's choice between passes and one kernel for each layer.
#pragma once

#include <vector>

#include "sim/parallel/environment.h"

namespace simulate {

// The work of one of so many pieces of a product over rows of tokens.
[[nodiscard]] KernelWork PieceOf(const KernelWork& product, int64_t pieces);

// One pass round the tensor-parallel ring, issued from the compute stream.
[[nodiscard]] TaskRef StartPass(Environment& environment, Bytes activation);

}  // namespace simulate
