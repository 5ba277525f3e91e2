// One Chakra trace file (PREFIX.<rank>.et) as plain values, and the files of a folder.
//
// A file is a sequence of protobuf messages, each preceded by its length as a varint: GlobalMetadata, then Nodes.
// Everything that a file says is checked here for its form: lengths, protobuf, known node types, ids that are there
// once, dependencies that exist, no cycle. What the nodes mean together is build_program.h's business.
//
// data_deps order a trace. ctrl_deps do so too where they can (traces made by generators); PyTorch's name the caller,
// often a node that the converter dropped or one that makes a circle: then the file's ctrl_deps are left aside.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/program/program.h"

namespace simulate {

enum class TraceNodeKind : uint8_t { kMetadata, kMemoryLoad, kMemoryStore, kCompute, kSend, kReceive, kCollective };

struct TraceNode {
  uint64_t id = 0;
  std::string name;
  TraceNodeKind kind = TraceNodeKind::kCompute;
  bool cpu = false;                // is_cpu_op
  std::vector<uint64_t> data_deps;
  std::vector<uint64_t> ctrl_deps;
  uint64_t duration_us = 0;
  double num_ops = 0.0;
  std::optional<int64_t> tensor_size, comm_type, comm_size, comm_src, comm_dst, comm_tag, stream, thread;
  bool partial_dimensions = false;  // involved_dim leaves some out
  std::string group;                // pg_name
  std::string values;               // inputs.values, of metadata nodes only
  std::vector<int64_t> own;         // attribute `simulate`
};

struct TraceFile {
  std::string path;
  RankId rank = 0;
  std::string description;        // metadata `simulate.program`: empty for a trace that someone else wrote
  std::string ranks;              // metadata `simulate.ranks`
  std::vector<TraceNode> nodes;
  std::vector<uint32_t> order;    // nodes so that dependencies come first; of those that may come next the lowest id
  std::vector<std::vector<uint32_t>> deps;  // of every node, as indices of `nodes`
  bool control_ignored = false;   // ctrl_deps were left aside
};

struct TraceFolder {
  std::string folder;
  std::string prefix;
  std::vector<std::pair<RankId, std::string>> files;  // path by rank, in order of rank
  std::string comm_groups;  // path of comm_groups.json; empty: there is none
};

// `path` is a folder with PREFIX.<rank>.et for one PREFIX, or such a PREFIX with its path.
[[nodiscard]] std::optional<TraceFolder> FindTraces(const std::string& path, Diagnostics& diagnostics);

// nullopt: it cannot be read, and `diagnostics` says why (all that is wrong with its nodes).
[[nodiscard]] std::optional<TraceFile> ReadTraceFile(const std::string& path, RankId rank, Diagnostics& diagnostics);

// "node 12 `aten::mm`"
[[nodiscard]] std::string NodeText(const TraceNode& node);

}  // namespace simulate
