#include "sim/study/cluster_picture.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "sim/cluster/vertex_names.h"

namespace simulate {
namespace {

using Json = nlohmann::ordered_json;

bool InsideNode(const std::string& name) { return name.rfind("node", 0) == 0; }

// What a vertex has in common with its likes: without its node, rail and number.
std::string ClassOf(const HardwareSpec& hardware, const Topology& topology, VertexId v) {
  const VertexKind kind = topology.vertex_kind(v);
  if (kind == VertexKind::kAccelerator || kind == VertexKind::kNic) return Name(kind);
  std::string name = topology.VertexName(v);
  if (kind == VertexKind::kSwitch && InsideNode(name)) return hardware.node.scale_up.kind + " switch";
  const size_t dot = name.find('.');
  if (dot != std::string::npos) name = InsideNode(name) ? name.substr(dot + 1) : name.substr(0, dot);
  while (!name.empty() && std::isdigit(static_cast<unsigned char>(name.back())) != 0) name.pop_back();
  return name.empty() ? Name(kind) : name;
}

struct Classes {
  std::vector<std::string> of;                       // by vertex
  std::vector<std::pair<std::string, int64_t>> fabric;  // in order of appearance: leaves first
  std::vector<std::tuple<std::string, VertexKind, int64_t>> node;  // of the first node
};

Classes Classify(const HardwareSpec& hardware, const Topology& topology) {
  Classes classes;
  for (VertexId v = 0; v < topology.vertex_count(); ++v) {
    classes.of.push_back(ClassOf(hardware, topology, v));
    const std::string full = topology.VertexName(v);
    const std::string& name = classes.of.back();
    if (!InsideNode(full)) {
      auto it = std::find_if(classes.fabric.begin(), classes.fabric.end(), [&](const auto& f) { return f.first == name; });
      if (it == classes.fabric.end()) it = classes.fabric.insert(it, {name, 0});
      ++it->second;
    } else if (full.rfind("node0.", 0) == 0) {
      auto it = std::find_if(classes.node.begin(), classes.node.end(), [&](const auto& n) { return std::get<0>(n) == name; });
      if (it == classes.node.end()) it = classes.node.insert(it, {name, topology.vertex_kind(v), 0});
      ++std::get<2>(*it);
    }
  }
  return classes;
}

Json Links(const Topology& topology, const Classes& classes) {
  using Key = std::tuple<std::string, std::string, uint16_t, double, double>;
  std::map<Key, size_t> places;
  Json links = Json::array();
  for (LinkId i = 0; i < topology.links().size(); i += 2) {  // in pairs, the first upwards
    const Link& link = topology.links()[i];
    const Key key{classes.of[link.from], classes.of[link.to], link.kind, link.bandwidth.value(), link.latency.value()};
    const auto [it, fresh] = places.try_emplace(key, links.size());
    if (fresh) {
      links.push_back({{"from", std::get<0>(key)}, {"to", std::get<1>(key)}, {"kind", topology.link_kinds()[link.kind]},
                       {"bandwidth", link.bandwidth.value()}, {"latency_s", link.latency.value()}, {"count", 0}});
    }
    links[it->second]["count"] = links[it->second]["count"].get<int64_t>() + 1;
  }
  return links;
}

}  // namespace

std::string ClusterJson(const HardwareSpec& hardware, const Topology& topology) {
  const Classes classes = Classify(hardware, topology);
  Json json = {{"name", hardware.name}, {"accelerator", hardware.accelerator.name}, {"gpus", topology.accelerator_count()},
               {"nodes", topology.node_count()}, {"per_node", topology.accelerators_per_node()}};
  json["fabric"] = Json::array();
  for (const auto& [name, count] : classes.fabric) json["fabric"].push_back({{"name", name}, {"count", count}});
  json["node"] = Json::array();
  for (const auto& [name, kind, count] : classes.node) {
    json["node"].push_back({{"name", name}, {"kind", Name(kind)}, {"count", count}});
  }
  json["links"] = Links(topology, classes);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace simulate
