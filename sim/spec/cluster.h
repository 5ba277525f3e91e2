// A cluster as its user describes it: an accelerator, a node, a fabric.
// cluster/ builds the hardware graph from this; all bandwidths are per direction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/confidence.h"
#include "sim/base/units.h"
#include "sim/spec/accelerator.h"

namespace simulate {

struct LinkSpec {
  std::string kind;            // nvlink, pcie, infiniband, roce, efa, neuronlink, ...
  BytesPerSecond bandwidth;    // per direction, datasheet
  Seconds latency;             // per hop, one way, hardware and library software together
  double efficiency = 1.0;     // achievable payload share of the datasheet bandwidth
  Confidence confidence = Confidence::kCoarse;
  std::string source;
};

enum class NodeTopology : uint8_t { kSwitch, kFullMesh, kHybridCubeMesh, kTorus2d, kPcie };

struct NodeSpec {
  std::string name;
  int64_t accelerators = 8;
  NodeTopology topology = NodeTopology::kSwitch;
  LinkSpec scale_up;                 // all links of one accelerator together
  bool nvls = false;                 // the switch reduces and multicasts
  int64_t nics = 0;
  LinkSpec nic;                      // one NIC
  LinkSpec pcie;                     // accelerator to NIC or host
  int64_t host_cores = 0;
  Bytes host_memory;
  DollarsPerHour price;              // per node; 0: not stated
  Watts power;                       // whole node under load; 0: not stated
  std::vector<std::string> sources;
};

enum class FabricTopology : uint8_t { kNone, kSwitch, kFatTree, kRailOptimized, kTorus, kDragonfly, kExplicit };

struct FabricLevel {
  std::string name;                  // leaf, spine, core, pod
  int64_t ports = 0;                 // children per switch of this level (nodes for the lowest)
  double oversubscription = 1.0;     // 7 means 7:1 towards the next level
};

// A free-form graph: vertices by name, links between them.
struct ExplicitVertex { std::string name; std::string kind; };
struct ExplicitLink { std::string from, to; LinkSpec link; };

struct FabricSpec {
  std::string name;
  FabricTopology topology = FabricTopology::kNone;
  LinkSpec link;                     // NIC to switch and switch to switch
  std::vector<FabricLevel> levels;
  std::vector<int64_t> torus;        // dimensions
  int64_t max_nodes = 0;             // 0: unlimited
  std::vector<ExplicitVertex> vertices;
  std::vector<ExplicitLink> links;
  std::vector<std::string> sources;
};

struct HardwareSpec {
  std::string name;
  AcceleratorSpec accelerator;
  NodeSpec node;
  FabricSpec fabric;
  // cluster/ and collective/ extend this: the collective library's constants (NCCL, Neuron).
};

}  // namespace simulate
