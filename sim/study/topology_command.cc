#include "sim/study/topology_command.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <tuple>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "sim/base/quantity_text.h"
#include "sim/cluster/vertex_names.h"
#include "sim/config/read_cluster.h"
#include "sim/study/write_file.h"

namespace simulate {
namespace {

// Links of one sort: between the same kinds of vertices (upwards), of one kind, bandwidth and latency.
struct LinkSort {
  LinkId example = 0;
  int64_t count = 0;
};

std::vector<LinkSort> SortLinks(const Topology& topology) {
  using Key = std::tuple<VertexKind, VertexKind, uint16_t, double, double>;
  std::map<Key, LinkSort> sorts;
  std::vector<Key> order;
  for (LinkId i = 0; i < topology.links().size(); i += 2) {  // links come in pairs, the first upwards
    const Link& link = topology.links()[i];
    const Key key{topology.vertex_kind(link.from), topology.vertex_kind(link.to), link.kind, link.bandwidth.value(),
                  link.latency.value()};
    const auto [it, fresh] = sorts.try_emplace(key, LinkSort{i, 0});
    if (fresh) order.push_back(key);
    ++it->second.count;
  }
  std::vector<LinkSort> list;
  for (const Key& key : order) list.push_back(sorts.at(key));
  return list;
}

// Max flow from all sources to all sinks by repeated shortest augmenting paths (Edmonds, Karp), over the graph of
// vertices with capacities summed between neighbours. Graphs beyond kLargest links are not asked.
class MaxFlow {
 public:
  MaxFlow(const Topology& topology, const std::vector<VertexId>& sources, const std::vector<VertexId>& sinks)
      : out_(topology.vertex_count() + 2) {
    const VertexId source = topology.vertex_count(), sink = source + 1;
    for (const Link& link : topology.links()) AddEdge(link.from, link.to, link.bandwidth.value());
    for (const VertexId v : sources) AddEdge(source, v, kUnlimited);
    for (const VertexId v : sinks) AddEdge(v, sink, kUnlimited);
    while (Augment(source, sink)) {}
  }
  [[nodiscard]] double flow() const { return flow_; }

 private:
  struct Edge { VertexId to; double left; };
  static constexpr double kUnlimited = 1e30;

  void AddEdge(VertexId from, VertexId to, double capacity) {
    out_[from].push_back(edges_.size());
    edges_.push_back({to, capacity});
    out_[to].push_back(edges_.size());
    edges_.push_back({from, 0.0});
  }
  bool Augment(VertexId source, VertexId sink) {
    std::vector<size_t> by(out_.size(), SIZE_MAX);
    std::vector<VertexId> queue = {source};
    for (size_t i = 0; i < queue.size() && by[sink] == SIZE_MAX; ++i) {
      for (const size_t e : out_[queue[i]]) {
        if (edges_[e].left <= 1.0 || by[edges_[e].to] != SIZE_MAX || edges_[e].to == source) continue;
        by[edges_[e].to] = e;
        queue.push_back(edges_[e].to);
      }
    }
    if (by[sink] == SIZE_MAX) return false;
    double least = kUnlimited;
    for (VertexId v = sink; v != source; v = edges_[by[v] ^ 1].to) least = std::min(least, edges_[by[v]].left);
    for (VertexId v = sink; v != source; v = edges_[by[v] ^ 1].to) {
      edges_[by[v]].left -= least;
      edges_[by[v] ^ 1].left += least;
    }
    flow_ += least;
    return true;
  }

  std::vector<std::vector<size_t>> out_;
  std::vector<Edge> edges_;
  double flow_ = 0.0;
};

constexpr size_t kLargestForBisection = 20000;  // links; larger graphs take too long to cut

}  // namespace

BytesPerSecond Bisection(const Topology& topology) {
  std::vector<VertexId> first, second;
  const bool by_node = topology.node_count() > 1;
  const uint32_t half = (by_node ? topology.node_count() : topology.accelerator_count()) / 2;
  for (uint32_t a = 0; a < topology.accelerator_count(); ++a) {
    const uint32_t place = by_node ? topology.node_of(a) : a;
    (place < half ? first : second).push_back(topology.vertex_of(a));
  }
  return BytesPerSecond(MaxFlow(topology, first, second).flow());
}

std::string TopologyText(const HardwareSpec& hardware, const Topology& topology) {
  std::string text = absl::StrFormat("%s: %d accelerators (%s) in %d nodes of %d\n", hardware.name, topology.accelerator_count(),
                                     hardware.accelerator.name, topology.node_count(), topology.accelerators_per_node());
  std::map<std::string, int64_t> vertices;
  for (VertexId v = 0; v < topology.vertex_count(); ++v) ++vertices[Name(topology.vertex_kind(v))];
  for (const auto& [kind, count] : vertices) absl::StrAppendFormat(&text, "  %-12s %8d\n", kind, count);
  absl::StrAppendFormat(&text, "\n  %-40s %-16s %14s %12s %8s\n", "link", "kind", "each way", "latency", "number");
  for (const LinkSort& sort : SortLinks(topology)) {
    const Link& link = topology.links()[sort.example];
    absl::StrAppendFormat(&text, "  %-40s %-16s %14s %12s %8d\n", topology.LinkName(sort.example), topology.link_kinds()[link.kind],
                          Format(link.bandwidth), Format(link.latency), sort.count);
  }
  if (topology.accelerator_count() > 1 && topology.links().size() <= kLargestForBisection) {
    const BytesPerSecond bisection = Bisection(topology);
    absl::StrAppendFormat(&text, "\n  bisection: %s each way, %s per accelerator\n", Format(bisection),
                          Format(bisection * (2.0 / topology.accelerator_count())));
  }
  if (hardware.node.price.value() > 0.0) {
    absl::StrAppendFormat(&text, "  price: %.2f $/h\n", hardware.node.price.value() * topology.node_count());
  }
  return text;
}

std::string TopologyDot(const Topology& topology) {
  std::string dot = "graph cluster {\n  rankdir=BT;\n  node [fontname=\"sans-serif\"];\n";
  for (VertexId v = 0; v < topology.vertex_count(); ++v) {
    const char* shape = topology.vertex_kind(v) == VertexKind::kSwitch ? "ellipse" : "box";
    absl::StrAppend(&dot, "  \"", topology.VertexName(v), "\" [shape=", shape, "];\n");
  }
  for (LinkId i = 0; i < topology.links().size(); i += 2) {
    const Link& link = topology.links()[i];
    absl::StrAppend(&dot, "  \"", topology.VertexName(link.from), "\" -- \"", topology.VertexName(link.to), "\" [label=\"",
                    Format(link.bandwidth), "\"];\n");
  }
  return dot + "}\n";
}

int RunTopology(const TopologyOptions& options, Command& command) {
  Diagnostics diagnostics;
  const std::optional<HardwareSpec> hardware = LoadHardware(options.hardware, command.search, diagnostics);
  const int64_t gpus = options.gpus > 0 ? options.gpus : hardware ? hardware->node.accelerators : 0;
  if (hardware) {
    const ClusterProblem problem = CheckClusterSize(*hardware, gpus);
    if (!problem.message.empty()) {
      diagnostics.Error(absl::StrCat(problem.message, ": ", problem.label)).help.push_back(problem.help);
    }
  }
  command.err << diagnostics.Render();
  if (diagnostics.HasErrors() || !hardware) return kExitBadInput;
  const Topology topology(*hardware, gpus);
  if (options.dot != "-") command.out << TopologyText(*hardware, topology);
  if (options.dot.empty()) return kExitDone;
  if (options.dot == "-") {
    command.out << TopologyDot(topology);
    return kExitDone;
  }
  WriteFile(options.dot, [&](std::ostream& out) { out << TopologyDot(topology); }, diagnostics);
  command.err << diagnostics.Render();
  return diagnostics.HasErrors() ? kExitBadInput : kExitDone;
}

void AddTopologyCommand(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("topology", "Print a cluster's levels, links and bisection");
  auto options = std::make_shared<TopologyOptions>();
  sub->add_option("hardware", options->hardware, "name or file of the cluster")->required()->type_name("HARDWARE");
  sub->add_option("--gpus", options->gpus, "accelerators; one node if absent")->check(CLI::Range(1, 10'000'000))->type_name("N");
  sub->add_option("--dot", options->dot, "write the graph for Graphviz to this file, - for standard output")->type_name("FILE");
  sub->callback([options, &command] { command.exit_code = RunTopology(*options, command); });
}

}  // namespace simulate
