#include "sim/config/read_scenario.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "sim/config/check_scenario.h"
#include "sim/config/read_cluster.h"
#include "sim/config/read_model.h"
#include "sim/config/read_training.h"

namespace simulate {
namespace {

constexpr int64_t kMaxGpus = 10'000'000;

void ReadPerturbation(MapReader& map, Perturbation* out) {
  map.Integer("rank", 0, kMaxGpus - 1, &out->rank);
  map.Number("compute", 0.001, 1000, &out->compute);
  map.Value("link", [&](ValueReader& v) {
    v.Read(&out->link);
    out->where = v.node().where;
  });
  map.Number("bandwidth", 0, 1000, &out->bandwidth);
  const bool of_rank = map.Has("rank"), of_link = map.Has("link");
  if (of_rank != of_link) return;
  map.diagnostics().Error("a perturbation is of one rank or of one link", map.where()).help.emplace_back(
      "write `{rank: 3, compute: 0.8}` or `{link: node0 -> leaf0, bandwidth: 0.5}`");
}

// One mapping or a list of them.
void ReadPerturbations(ValueReader& value, std::vector<Perturbation>* out) {
  const auto read = [&](ValueReader& v) {
    Perturbation p;
    if (v.ReadMap([&](MapReader& map) { ReadPerturbation(map, &p); })) out->push_back(std::move(p));
  };
  if (value.IsMap()) return read(value);
  value.ReadList(read);
}

void ReadReliability(MapReader& map, ReliabilitySpec* out) {
  map.Optional("mean_time_between_failures_per_node", &out->mean_time_between_failures_per_node);
  map.Optional("checkpoint_interval", &out->checkpoint_interval);
  map.Optional("checkpoint_time", &out->checkpoint_time);
  map.Optional("restart_time", &out->restart_time);
}

bool ReadHardware(ValueReader& value, FileLoader& loader, HardwareCache* cache, HardwareSpec* out) {
  const auto known = cache->find(value.text());
  if (value.IsScalar() && known != cache->end()) {
    *out = known->second;
    return true;
  }
  const bool ok = loader.Follow(value, "hardware", [&](ValueReader& root) { return ReadHardwareFile(root, loader, out); });
  if (ok && value.IsScalar()) cache->emplace(value.text(), *out);
  return ok;
}

// A job that gets a part of every node: as many accelerators, with their share of the network interfaces.
void UsePart(ValueReader& value, HardwareSpec* hardware) {
  NodeSpec& node = hardware->node;
  int64_t part = 0;
  if (!value.ReadInteger(1, kMaxGpus, &part) || node.accelerators == 0 || part == node.accelerators) return;
  if (part > node.accelerators || node.topology != NodeTopology::kSwitch) {
    Diagnostic& d = value.diagnostics().Error(part > node.accelerators ? "a node does not have so many accelerators"
                                                                       : "only a node whose accelerators a switch joins can be used in part",
                                              value.node().where);
    d.label = absl::StrCat("a node of `", hardware->name, "` has ", node.accelerators);
    return;
  }
  node.nics = DivCeil(node.nics * part, node.accelerators);
  node.accelerators = part;
}

bool ReadNamedModel(ValueReader& value, FileLoader& loader, ModelSpec* out, KeyLocations* where) {
  return loader.Follow(value, "models", [&](ValueReader& m) {
    const std::string name = FileLoader::NameOf(m.node());
    return ReadModel(m, name.empty() ? "model" : name, out, where);
  });
}

}  // namespace

bool ReadScenario(const Node& tree, FileLoader& loader, HardwareCache* cache, Scenario* out) {
  KeyLocations model_where;
  int64_t global_batch_size = 0;
  ValueReader root(tree, "", loader.diagnostics());
  const bool ok = root.ReadMap([&](MapReader& map) {
    if (!map.Optional("title", &out->title)) out->title = std::filesystem::path(tree.where.file).stem().string();
    for (const char* key : {"description", "sweep", "reference"}) map.Ignore(key);
    bool model_ok = false;
    map.Value("model", [&](ValueReader& v) { model_ok = ReadNamedModel(v, loader, &out->model, &model_where); }, true);
    map.Map("cluster", [&](MapReader& cluster) {
      cluster.Value("hardware", [&](ValueReader& v) { ReadHardware(v, loader, cache, &out->hardware); }, true);
      cluster.Integer("gpus", 1, kMaxGpus, &out->gpus, true);
      cluster.Value("gpus_per_node", [&](ValueReader& v) { UsePart(v, &out->hardware); });
    }, true);
    // Where the model is unknown, two sequences are as good as one.
    const bool encoder_decoder = !model_ok || out->model.family == ModelFamily::kT5;
    map.Value("training", [&](ValueReader& v) {
      ReadTraining(v, encoder_decoder, &out->training, &global_batch_size);
    }, true);
    map.Value("parallelism", [&](ValueReader& v) { ReadParallelism(v, &out->parallelism); });
    map.Value("perturb", [&](ValueReader& v) { ReadPerturbations(v, &out->perturb); });
    map.Enum("fidelity", {{"flows", Fidelity::kFlows}, {"messages", Fidelity::kMessages}}, &out->fidelity);
    map.Map("reliability", [&](MapReader& m) { ReadReliability(m, &out->reliability); });
    int64_t seed = 1;
    map.Integer("seed", 0, int64_t{1} << 62, &seed);
    out->seed = static_cast<uint64_t>(seed);
  });
  if (!ok) return false;
  return CheckScenario({tree, model_where, global_batch_size}, out, loader.diagnostics());
}

}  // namespace simulate
