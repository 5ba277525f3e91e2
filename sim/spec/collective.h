// Names of collective operations, algorithms and protocols, as in NCCL and nccl-tests.
#pragma once

#include <cstdint>

namespace simulate {

enum class CollectiveOp : uint8_t { kAllReduce, kAllGather, kReduceScatter, kBroadcast, kReduce, kAllToAll, kSendRecv };
enum class Algorithm : uint8_t { kRing, kTree, kNvls, kNvlsTree, kPairwise, kHierarchical, kTorus, kDirect };
enum class Protocol : uint8_t { kLL, kLL128, kSimple };

[[nodiscard]] constexpr const char* Name(CollectiveOp op) {
  switch (op) {
    case CollectiveOp::kAllReduce: return "all_reduce";
    case CollectiveOp::kAllGather: return "all_gather";
    case CollectiveOp::kReduceScatter: return "reduce_scatter";
    case CollectiveOp::kBroadcast: return "broadcast";
    case CollectiveOp::kReduce: return "reduce";
    case CollectiveOp::kAllToAll: return "all_to_all";
    case CollectiveOp::kSendRecv: return "sendrecv";
  }
  return "";
}
[[nodiscard]] constexpr const char* Name(Algorithm a) {
  switch (a) {
    case Algorithm::kRing: return "ring";
    case Algorithm::kTree: return "tree";
    case Algorithm::kNvls: return "nvls";
    case Algorithm::kNvlsTree: return "nvls_tree";
    case Algorithm::kPairwise: return "pairwise";
    case Algorithm::kHierarchical: return "hierarchical";
    case Algorithm::kTorus: return "torus";
    case Algorithm::kDirect: return "direct";
  }
  return "";
}
[[nodiscard]] constexpr const char* Name(Protocol p) {
  switch (p) {
    case Protocol::kLL: return "LL";
    case Protocol::kLL128: return "LL128";
    case Protocol::kSimple: return "Simple";
  }
  return "";
}

}  // namespace simulate
