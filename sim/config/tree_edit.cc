#include "sim/config/tree_edit.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "sim/config/reader.h"

namespace simulate {
namespace {

// The folder that a name at this place refers into; nullptr where a value is no reference.
const char* FolderFor(const std::string& path) {
  if (path == "model") return "models";
  if (path == "cluster.hardware") return "hardware";
  if (path == "cluster.hardware.accelerator" || path == "cluster.hardware.node.accelerator") {
    return "hardware/accelerators";
  }
  if (path == "cluster.hardware.node") return "hardware/nodes";
  if (path == "cluster.hardware.fabric") return "hardware/fabrics";
  return nullptr;
}

// What a short form stands for when one of its keys is set: `data: ddp` is `data: {strategy: ddp}`.
const char* LongFormKey(const std::string& path) {
  if (path == "parallelism.data") return "strategy";
  if (path == "parallelism.pipeline") return "stages";
  if (path == "training.precision") return "preset";
  if (path == "training.activation_checkpointing") return "policy";
  return nullptr;
}

// Makes `node`, found at `path`, a mapping. False after an error.
bool MakeMapping(Node* node, const std::string& path, const SourceLocation& where, FileLoader& loader) {
  if (node->kind == Node::Kind::kMap) return true;
  if (const char* key = LongFormKey(path); key != nullptr && node->kind == Node::Kind::kScalar) {
    Node map;
    map.kind = Node::Kind::kMap;
    map.where = node->where;
    map.entries.push_back({key, node->where, *node});
    *node = std::move(map);
    return true;
  }
  if (const char* folder = FolderFor(path); folder != nullptr && node->kind == Node::Kind::kScalar) {
    const Node* mapping = loader.Resolve(*node, path, folder);
    if (mapping == nullptr) return false;
    Node copy = *mapping;
    *node = std::move(copy);
    return true;
  }
  loader.diagnostics().Error(absl::StrCat("`", path, "` is not a mapping, so no key can be set in it"), where);
  return false;
}

bool NeedsQuotes(const std::string& text) {
  if (text.empty() || text.front() == ' ' || text.back() == ' ') return true;
  return text.find_first_of("{}[],:#&*!|>'\"%@`\n") != std::string::npos;
}

}  // namespace

bool SetPath(Node* root, const std::string& path, const Node& value, const SourceLocation& where, FileLoader& loader) {
  const std::vector<std::string> keys = absl::StrSplit(path, '.');
  if (std::any_of(keys.begin(), keys.end(), [](const std::string& key) { return key.empty(); })) {
    loader.diagnostics().Error(absl::StrCat("`", path, "` is not a dotted key"), where).label =
        "write it as `training.micro_batch_size`";
    return false;
  }
  Node* node = root;
  std::string walked;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!MakeMapping(node, walked, where, loader)) return false;
    const bool last = i + 1 == keys.size();
    auto entry = std::find_if(node->entries.begin(), node->entries.end(),
                              [&](const Node::Entry& e) { return e.key == keys[i]; });
    if (entry == node->entries.end()) {
      Node fresh;
      fresh.kind = Node::Kind::kMap;
      fresh.where = where;
      node->entries.push_back({keys[i], where, std::move(fresh)});
      entry = node->entries.end() - 1;
    }
    node = &entry->value;
    if (last) *node = value;
    walked = absl::StrCat(walked, walked.empty() ? "" : ".", keys[i]);
  }
  return true;
}

std::string FlowText(const Node& node) {
  const auto item = [](std::string* out, const Node& n) { absl::StrAppend(out, FlowText(n)); };
  switch (node.kind) {
    case Node::Kind::kNull: return "null";
    case Node::Kind::kScalar:
      return NeedsQuotes(node.text) ? absl::StrCat("'", absl::StrJoin(absl::StrSplit(node.text, '\''), "''"), "'")
                                    : node.text;
    case Node::Kind::kList: return absl::StrCat("[", absl::StrJoin(node.items, ", ", item), "]");
    case Node::Kind::kMap:
      return absl::StrCat("{", absl::StrJoin(node.entries, ", ", [](std::string* out, const Node::Entry& e) {
                            absl::StrAppend(out, e.key, ": ", FlowText(e.value));
                          }), "}");
  }
  return "";
}

SourceLocation LocationOf(const Node& root, const std::string& path) {
  const std::vector<std::string> keys = absl::StrSplit(path, '.');
  const Node* node = &root;
  SourceLocation where = root.where;
  for (const std::string& key : keys) {
    node = node->Find(key);
    if (node == nullptr) break;
    where = node->where;
  }
  return where;
}

}  // namespace simulate
