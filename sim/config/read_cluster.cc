#include "sim/config/read_cluster.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/config/read_accelerator.h"
#include "sim/spec/library.h"

namespace simulate {
namespace {

constexpr int64_t kMostParts = 1 << 24;  // of a cluster: nodes, ports, places in a torus

void ReadLinkKeys(MapReader& r, LinkSpec* out, bool bandwidth_required) {
  r.Optional("kind", &out->kind);
  const bool read = bandwidth_required ? r.Required("bandwidth", &out->bandwidth) : r.Optional("bandwidth", &out->bandwidth);
  if (read && r.Has("bandwidth") && out->bandwidth.value() <= 0.0) {
    r.Error("bandwidth", "a link needs a bandwidth above zero").label = "nothing would ever arrive";
  }
  r.Duration("latency", &out->latency);
  if (r.Optional("efficiency", &out->efficiency) && (out->efficiency <= 0.0 || out->efficiency > 1.0)) {
    r.Error("efficiency", "an efficiency lies above 0 and at most at 1");
  }
  r.Enum("confidence",
         {{"measured", Confidence::kMeasured}, {"calibrated", Confidence::kCalibrated}, {"coarse", Confidence::kCoarse},
          {"extrapolated", Confidence::kExtrapolated}},
         &out->confidence);
  r.Optional("source", &out->source);
}

void ReadLink(MapReader& parent, const char* key, LinkSpec* out, bool bandwidth_required, bool required = false) {
  parent.Map(key, [&](MapReader& r) { ReadLinkKeys(r, out, bandwidth_required); }, required);
}

void ReadIntegers(MapReader& parent, const char* key, std::vector<int64_t>* out) {
  parent.List(key, [&](ValueReader& v) {
    int64_t value = 0;
    if (v.ReadInteger(1, kMostParts, &value)) out->push_back(value);
  });
}

void ReadSources(MapReader& parent, std::vector<std::string>* out) {
  parent.List("sources", [&](ValueReader& v) {
    std::string text;
    if (v.Read(&text)) out->push_back(text);
  });
}

// How many a torus holds; kMostParts + 1 if more than kMostParts.
int64_t Volume(const std::vector<int64_t>& torus) {
  return std::accumulate(torus.begin(), torus.end(), int64_t{1},
                         [](int64_t product, int64_t d) { return std::min(product * d, kMostParts + 1); });
}

void CheckTorus(MapReader& r, const std::vector<int64_t>& torus, int64_t count, const char* what) {
  const int64_t held = Volume(torus);
  if (!r.Has("torus") || held == count) return;
  Diagnostic& d = r.Error("torus", absl::StrCat("the torus must hold exactly the ", what));
  const std::string product = held > kMostParts ? absl::StrCat("is more than ", kMostParts) : absl::StrCat("= ", held);
  d.label = absl::StrCat(absl::StrJoin(torus, " x "), " ", product, ", but there are ", count);
}

bool ReadNode(ValueReader& value, NodeSpec* out) {
  return value.ReadMap([&](MapReader& r) {
    r.Optional("name", &out->name);
    r.Integer("accelerators", 1, 1024, &out->accelerators, true);
    r.Enum("topology",
           {{"switch", NodeTopology::kSwitch}, {"full_mesh", NodeTopology::kFullMesh},
            {"hybrid_cube_mesh", NodeTopology::kHybridCubeMesh}, {"torus", NodeTopology::kTorus}, {"pcie", NodeTopology::kPcie}},
           &out->topology, true);
    ReadLink(r, "scale_up", &out->scale_up, true, out->accelerators > 1 && out->topology != NodeTopology::kPcie);
    if (out->scale_up.kind.empty()) out->scale_up.kind = "scale_up";
    r.Number("nvls_efficiency", 0.0, 10.0, &out->nvls_efficiency);
    ReadIntegers(r, "torus", &out->torus);
    r.List("torus_shares", [&](ValueReader& v) {
      double share = 0.0;
      if (v.ReadNumber(0.001, 1000.0, &share)) out->torus_shares.push_back(share);
    });
    CheckTorus(r, out->torus, out->accelerators, "accelerators of a node");
    if (out->topology == NodeTopology::kTorus && !r.Has("torus")) r.Error("topology", "a torus needs its dimensions in `torus`");
    if (out->topology == NodeTopology::kHybridCubeMesh && out->accelerators != 8) {
      r.Error("accelerators", "a hybrid cube mesh has 8 accelerators");
    }
    r.Integer("nics", 0, 1024, &out->nics);
    ReadLink(r, "nic", &out->nic, true, out->nics > 0);
    ReadLink(r, "pcie", &out->pcie, true, out->topology == NodeTopology::kPcie);
    if (out->pcie.kind.empty()) out->pcie.kind = "pcie";
    r.Integer("host_cores", 0, 100000, &out->host_cores);
    r.Integer("host_links", 0, 1024, &out->host_links);
    r.Optional("host_memory", &out->host_memory);
    r.Optional("host_memory_bandwidth", &out->host_memory_bandwidth);
    r.Optional("price", &out->price);
    r.Optional("power", &out->power);
    ReadSources(r, &out->sources);
  });
}

void ReadExplicitGraph(MapReader& r, FabricSpec* out) {
  std::set<std::string> names;
  r.List("vertices", [&](ValueReader& v) {
    v.ReadMap([&](MapReader& m) {
      ExplicitVertex vertex;
      m.Required("name", &vertex.name);
      m.Enum("kind", {{"accelerator", std::string("accelerator")}, {"switch", std::string("switch")},
                      {"nic", std::string("nic")}, {"host", std::string("host")}}, &vertex.kind, true);
      if (!vertex.name.empty() && !names.insert(vertex.name).second) {
        m.Error("name", absl::StrCat("there are two vertices `", vertex.name, "`"));
      }
      out->vertices.push_back(vertex);
    });
  });
  const std::vector<std::string> known(names.begin(), names.end());
  r.List("links", [&](ValueReader& v) {
    v.ReadMap([&](MapReader& m) {
      ExplicitLink link;
      for (const auto& [key, end] : {std::pair{"from", &link.from}, std::pair{"to", &link.to}}) {
        if (!m.Required(key, end) || names.contains(*end)) continue;
        Diagnostic& d = m.Error(key, absl::StrCat("there is no vertex `", *end, "`"));
        const std::string near = NearestName(*end, known);
        if (!near.empty()) d.help.push_back(absl::StrCat("did you mean `", near, "`?"));
      }
      ReadLinkKeys(m, &link.link, true);
      if (link.link.kind.empty()) link.link.kind = "link";
      out->links.push_back(link);
    });
  });
}

bool ReadFabric(ValueReader& value, FabricSpec* out) {
  return value.ReadMap([&](MapReader& r) {
    r.Optional("name", &out->name);
    r.Enum("topology",
           {{"none", FabricTopology::kNone}, {"switch", FabricTopology::kSwitch}, {"fat_tree", FabricTopology::kFatTree},
            {"rail_optimized", FabricTopology::kRailOptimized}, {"torus", FabricTopology::kTorus},
            {"dragonfly", FabricTopology::kDragonfly}, {"explicit", FabricTopology::kExplicit}},
           &out->topology, true);
    ReadLink(r, "link", &out->link, out->topology == FabricTopology::kTorus, out->topology == FabricTopology::kTorus);
    r.Duration("switch_latency", &out->switch_latency);
    r.Optional("simple_only", &out->simple_only);
    r.List("levels", [&](ValueReader& v) {
      v.ReadMap([&](MapReader& m) {
        FabricLevel level;
        m.Required("name", &level.name);
        m.Integer("ports", 1, kMostParts, &level.ports);
        if (m.Optional("oversubscription", &level.oversubscription) && level.oversubscription <= 0.0) {
          m.Error("oversubscription", "oversubscription is above zero; 7 means 7:1 towards the next level");
        }
        m.Duration("latency", &level.latency);
        out->levels.push_back(level);
      });
    });
    ReadIntegers(r, "torus", &out->torus);
    r.Integer("max_nodes", 1, kMostParts, &out->max_nodes);
    if (out->topology == FabricTopology::kTorus) {
      if (out->max_nodes == 0) out->max_nodes = Volume(out->torus);
      CheckTorus(r, out->torus, out->max_nodes, "nodes that the fabric may have");
      if (!r.Has("torus")) r.Error("topology", "a torus needs its dimensions in `torus`");
    }
    ReadExplicitGraph(r, out);
    ReadSources(r, &out->sources);
  });
}

void ReadProtocol(MapReader& parent, const char* key, ProtocolSpec* out) {
  parent.Map(key, [&](MapReader& r) {
    r.Duration("base", &out->base);
    r.Duration("scale_up_hop", &out->scale_up_hop);
    r.Duration("network_hop", &out->network_hop);
    r.Number("network_latency_factor", 0.0, 1000.0, &out->network_latency_factor);
    r.Number("efficiency", 0.001, 1.0, &out->efficiency);
  });
}

bool ReadLibraryKind(ValueReader& value, LibraryKind* kind) {
  std::string name;
  if (!value.Read(&name)) return false;
  const std::pair<const char*, LibraryKind> kinds[] = {{"nccl", LibraryKind::kNccl}, {"rccl", LibraryKind::kRccl},
                                                       {"neuron", LibraryKind::kNeuron}, {"generic", LibraryKind::kGeneric}};
  for (const auto& [known, library] : kinds) {
    if (name != known) continue;
    *kind = library;
    return true;
  }
  Diagnostic& d = value.Error(absl::StrCat("there is no collective library `", name, "`"));
  d.help.push_back("known libraries: nccl, rccl, neuron, generic");
  return false;
}

void ReadLibrary(ValueReader& value, LibrarySpec* out) {
  LibraryKind kind = LibraryKind::kNccl;
  if (!value.IsMap()) {
    if (ReadLibraryKind(value, &kind)) *out = DefaultLibrary(kind);
    return;
  }
  value.ReadMap([&](MapReader& r) {
    r.Value("kind", [&](ValueReader& v) { ReadLibraryKind(v, &kind); }, true);
    *out = DefaultLibrary(kind);
    ReadProtocol(r, "ll", &out->protocols[0]);
    ReadProtocol(r, "ll128", &out->protocols[1]);
    ReadProtocol(r, "simple", &out->protocols[2]);
    r.Duration("nvls_base", &out->nvls_base);
    r.Duration("nvls_member", &out->nvls_member);
    r.Duration("ring_ramp", &out->ring_ramp);
    r.Duration("nvls_ramp", &out->nvls_ramp);
    r.Optional("slice", &out->slice);
    r.Optional("communicator_memory", &out->communicator_memory);
    r.Optional("pair_memory", &out->pair_memory);
    r.Number("ring_network_share", 0.001, 1.0, &out->ring_network_share);
    r.Number("copy_share", 0.0, 1.0, &out->copy_share);
    r.Number("message_network_share", 0.001, 1.0, &out->message_network_share);
    r.Integer("channels", 1, 1024, &out->channels);
    r.Integer("channels_per_nic", 1, 1024, &out->channels_per_nic);
    r.Integer("nvls_channels", 1, 1024, &out->nvls_channels);
    r.Integer("max_channels", 1, 1024, &out->max_channels);
  });
}

}  // namespace

bool ReadHardwareFile(ValueReader& root, FileLoader& loader, HardwareSpec* out) {
  return root.ReadMap([&](MapReader& r) {
    r.Required("name", &out->name);
    r.Value("accelerator", [&](ValueReader& v) {
      loader.Follow(v, "hardware/accelerators", [&](ValueReader& m) { return ReadAccelerator(m, &out->accelerator); });
    }, true);
    r.Value("node", [&](ValueReader& v) {
      loader.Follow(v, "hardware/nodes", [&](ValueReader& m) { return ReadNode(m, &out->node); });
    }, true);
    r.Value("fabric", [&](ValueReader& v) {
      loader.Follow(v, "hardware/fabrics", [&](ValueReader& m) { return ReadFabric(m, &out->fabric); });
    });
    out->collective_library = DefaultLibrary(LibraryKind::kNccl);
    r.Value("library", [&](ValueReader& v) { ReadLibrary(v, &out->collective_library); });
    ReadSources(r, &out->sources);
  });
}

namespace {

// The first accelerator that cannot be reached from the first one in an explicit graph; empty if all can.
std::string Unreachable(const FabricSpec& fabric, int64_t accelerators) {
  std::map<std::string, std::vector<std::string>> neighbours;
  for (const ExplicitLink& l : fabric.links) {
    neighbours[l.from].push_back(l.to);
    neighbours[l.to].push_back(l.from);
  }
  std::set<std::string> reached;
  std::vector<std::string> open;
  int64_t seen = 0;
  for (const ExplicitVertex& v : fabric.vertices) {
    if (v.kind != "accelerator" || seen++ == accelerators) continue;
    if (seen == 1) {
      reached.insert(v.name);
      open.push_back(v.name);
    }
    for (; !open.empty();) {
      const std::string here = open.back();
      open.pop_back();
      for (const std::string& next : neighbours[here]) {
        if (reached.insert(next).second) open.push_back(next);
      }
    }
    if (!reached.contains(v.name)) return v.name;
    if (seen == accelerators) break;
  }
  return "";
}

}  // namespace

ClusterProblem CheckClusterSize(const HardwareSpec& hardware, int64_t accelerators) {
  const FabricSpec& fabric = hardware.fabric;
  if (fabric.topology == FabricTopology::kExplicit) {
    const auto held = std::count_if(fabric.vertices.begin(), fabric.vertices.end(),
                                    [](const ExplicitVertex& v) { return v.kind == "accelerator"; });
    if (accelerators > held) {
      return {"more accelerators than the cluster holds",
              absl::StrCat("`", hardware.name, "` draws ", held, " accelerators"), absl::StrCat("at most ", held)};
    }
    const std::string lost = Unreachable(fabric, accelerators);
    if (lost.empty()) return {};
    return {absl::StrCat("accelerator `", lost, "` cannot be reached from the first one"),
            absl::StrCat("no way through the links of `", hardware.name, "`"), "add a link, or use fewer accelerators"};
  }
  const int64_t nodes = DivCeil(accelerators, hardware.node.accelerators);
  const bool single = fabric.topology == FabricTopology::kNone;
  const int64_t most = single ? 1 : fabric.max_nodes;
  if (most == 0 || nodes <= most) return {};
  return {"more accelerators than the fabric holds",
          absl::StrCat(accelerators, " accelerators are ", nodes, " nodes of ", hardware.node.accelerators, ", but `",
                       hardware.name, single ? "` has no fabric between nodes" : absl::StrCat("` ends at ", most, " nodes")),
          absl::StrCat("at most ", most * hardware.node.accelerators, " accelerators")};
}

}  // namespace simulate
