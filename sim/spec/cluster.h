// A cluster as its user describes it: an accelerator, a node, a fabric, and the library that
// communicates over them. cluster/ builds the hardware graph from this; all bandwidths are per direction.
#pragma once

#include <array>
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
  Seconds latency;             // one way, end to end over one hop of this kind; the library adds its own
  double efficiency = 1.0;     // achievable payload share of the datasheet bandwidth
  Confidence confidence = Confidence::kCoarse;
  std::string source;
};

enum class NodeTopology : uint8_t { kSwitch, kFullMesh, kHybridCubeMesh, kTorus, kPcie };

struct NodeSpec {
  std::string name;
  int64_t accelerators = 8;
  NodeTopology topology = NodeTopology::kSwitch;
  LinkSpec scale_up;                 // all links of one accelerator together
  std::vector<int64_t> torus;        // dimensions, for kTorus; their product is `accelerators`
  std::vector<double> torus_shares;  // share of scale_up that each dimension has; empty: equal
  double nvls_efficiency = 0.0;      // the switch reduces and multicasts at this share of scale_up; 0: it cannot
  int64_t nics = 0;
  LinkSpec nic;                      // one NIC
  LinkSpec pcie;                     // accelerator to NIC or host
  int64_t host_links = 0;            // independent links of `pcie` between the accelerators and the host; 0: one each
  int64_t host_cores = 0;
  Bytes host_memory;
  BytesPerSecond host_memory_bandwidth;  // all channels of all sockets; 0: not stated
  DollarsPerHour price;              // per node; 0: not stated
  Watts power;                       // whole node under load; 0: not stated
  std::vector<std::string> sources;
};

enum class FabricTopology : uint8_t { kNone, kSwitch, kFatTree, kRailOptimized, kTorus, kDragonfly, kExplicit };

struct FabricLevel {
  std::string name;                  // leaf, spine, core, pod
  int64_t ports = 0;                 // children per switch of this level (nodes for the lowest); 0: all
  double oversubscription = 1.0;     // 7 means 7:1 towards the next level
  Seconds latency;                   // through one of its switches; 0: the fabric's switch_latency
};

// A free-form graph: vertices by name, links between them (each in both directions).
// `kind` is accelerator, switch, nic or host. What stands before a dot in a name is the node.
struct ExplicitVertex { std::string name; std::string kind; };
struct ExplicitLink { std::string from, to; LinkSpec link; };

struct FabricSpec {
  std::string name;
  FabricTopology topology = FabricTopology::kNone;
  LinkSpec link;                     // NIC to switch: bandwidth that of the node's NIC where 0
  Seconds switch_latency;            // per further switch on the way
  bool simple_only = false;          // the transport keeps no order within a message, which LL and LL128 need
  std::vector<FabricLevel> levels;
  std::vector<int64_t> torus;        // dimensions
  int64_t max_nodes = 0;             // 0: unlimited
  std::vector<ExplicitVertex> vertices;
  std::vector<ExplicitLink> links;
  std::vector<std::string> sources;
};

// What one protocol of the collective library costs. Formulas are in collective/timing.h.
struct ProtocolSpec {
  Seconds base;                  // once per collective
  Seconds scale_up_hop;          // per step between accelerators of one node, beside the link's latency
  Seconds network_hop;           // per step over the network, beside the link's latency
  double network_latency_factor = 1.0;  // how often a step pays the network's latency
  double efficiency = 1.0;       // payload share of the links' bandwidth; NCCL's is in collective/nccl_tuning.h
};

enum class LibraryKind : uint8_t { kNccl, kRccl, kNeuron, kGeneric };

// The collective library. The defaults are NCCL's; spec/library.h says where they come from.
struct LibrarySpec {
  LibraryKind kind = LibraryKind::kNccl;
  std::array<ProtocolSpec, 3> protocols;  // LL, LL128, Simple
  Seconds nvls_base;                      // NVLS once, and
  Seconds nvls_member;                    // per member of a node
  Seconds ring_ramp;                      // Simple's pipeline of chunks fills in this time
  Seconds nvls_ramp;                      // the same of NVLS, per member of a node
  Bytes slice;                            // what Simple hands on at once, at most
  Bytes communicator_memory;              // buffers of one communicator in device memory
  Bytes pair_memory;                      // the same of one that has two members
  double ring_network_share = 1.0;        // of the NICs' bandwidth that rings can use
  int64_t channels = 24;                  // within one node
  int64_t channels_per_nic = 2;
  int64_t nvls_channels = 16;
  int64_t max_channels = 32;              // NCCL_MAX_CTAS
  double copy_share = 0.0;                // of the memory bandwidth, for a member's copy of its own part; 0: free
  double message_network_share = 1.0;     // of a NIC's bandwidth that point-to-point messages reach
};

struct HardwareSpec {
  std::string name;
  AcceleratorSpec accelerator;
  NodeSpec node;
  FabricSpec fabric;
  LibrarySpec collective_library;
  std::vector<std::string> sources;
};

}  // namespace simulate
