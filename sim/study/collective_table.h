// Predicted collective times in the manner of nccl-tests, and beside measured ones.
//
// Sizes and bus bandwidths follow nccl-tests (doc/PERFORMANCE.md): algbw = size / time, busbw = algbw times
// 2(n-1)/n for all_reduce, (n-1)/n for all_gather, reduce_scatter and all_to_all, 1 for the others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/collective/collective_model.h"

namespace simulate {

struct CollectiveRow {
  CollectiveOp op = CollectiveOp::kAllReduce;
  Bytes bytes;
  Seconds time;
  BytesPerSecond algbw;
  BytesPerSecond busbw;
  Algorithm algorithm = Algorithm::kRing;
  Protocol protocol = Protocol::kSimple;
  int channels = 0;
  std::string bottleneck;    // name of a link
  Seconds replayed;          // message by message; with
  int64_t messages = 0;      // so many messages, 0: not replayed
};

[[nodiscard]] double BusFactor(CollectiveOp op, int64_t members);

// One row per size over the first `members` accelerators of the topology.
[[nodiscard]] std::vector<CollectiveRow> CollectiveTable(const Topology& topology, const CollectiveModel& model,
                                                         CollectiveOp op, int64_t members, const std::vector<Bytes>& sizes);

[[nodiscard]] std::string CollectiveTableText(const std::vector<CollectiveRow>& rows);
[[nodiscard]] std::string CollectiveTableJson(const std::vector<CollectiveRow>& rows);

}  // namespace simulate
