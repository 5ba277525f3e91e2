// LoadStudy: a scenario file, its overrides and its sweep. LoadHardware, LoadModel: one file of that kind.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sim/config/config.h"
#include "sim/config/file_loader.h"
#include "sim/config/parse.h"
#include "sim/config/read_cluster.h"
#include "sim/config/read_model.h"
#include "sim/config/read_reference.h"
#include "sim/config/read_scenario.h"
#include "sim/config/tree_edit.h"

namespace simulate {
namespace {

constexpr int64_t kMaxPoints = 20'000;
constexpr int kMaxFailedPoints = 20;   // further points of a bad sweep would say the same again
constexpr const char* kCommandLine = "command line";
constexpr const char* kSweep = "sweep.";

// One swept key, or several that vary together (`model, training.precision: [[a, fp32], [b, bf16]]`). The first axis
// of a sweep varies slowest.
struct Axis {
  std::vector<std::string> keys;
  SourceLocation where;
  std::vector<std::vector<Node>> rows;   // each with one value per key

  [[nodiscard]] std::optional<size_t> Column(const std::string& key) const {
    const auto found = std::find(keys.begin(), keys.end(), key);
    if (found == keys.end()) return std::nullopt;
    return static_cast<size_t>(found - keys.begin());
  }
};

std::vector<std::string> SplitKeys(const std::string& text) {
  std::vector<std::string> keys = absl::StrSplit(text, ',');
  for (std::string& key : keys) absl::StripAsciiWhitespace(&key);
  return keys;
}

class StudyLoader {
 public:
  StudyLoader(const SearchPath& search, Diagnostics& diagnostics) : loader_(search, diagnostics), d_(diagnostics) {}

  std::optional<Study> Load(const std::string& path, const std::vector<Setting>& overrides) {
    const Node* root = loader_.ResolveName(path, "scenarios");
    if (root == nullptr) return std::nullopt;
    tree_ = *root;
    ReadSweep();
    ApplyOverrides(overrides);
    ReadReferences();
    Study study;
    study.file = tree_.where.file;
    ReadPoints(&study);
    d_.Deduplicate();
    if (d_.HasErrors()) return std::nullopt;
    CheckReferences(!overrides.empty());
    if (d_.HasErrors()) return std::nullopt;
    study.title = study.points.front().title;
    study.reference.source = source_;
    for (ReadReferencePoint& read : references_) study.reference.points.push_back(std::move(read.point));
    return study;
  }

 private:
  void ReadSweep() {
    const Node* sweep = tree_.Find("sweep");
    if (sweep == nullptr) return;
    ValueReader value(*sweep, "sweep", d_);
    if (!value.IsMap()) {
      value.ReadMap([](MapReader&) {});  // says what it must be
      return;
    }
    for (const Node::Entry& entry : sweep->entries) {
      Axis axis{SplitKeys(entry.key), entry.key_where, {}};
      if (ReadAxis(entry.value, absl::StrCat(kSweep, entry.key), &axis)) axes_.push_back(std::move(axis));
    }
  }

  bool ReadAxis(const Node& list, const std::string& path, Axis* axis) {
    ValueReader value(list, path, d_);
    const bool ok = value.ReadList([&](ValueReader& v) {
      if (axis->keys.size() == 1) {
        axis->rows.push_back({v.node()});
      } else if (v.IsList() && v.node().items.size() == axis->keys.size()) {
        axis->rows.push_back(v.node().items);
      } else {
        v.Error("keys that are swept together need one value each").label =
            absl::StrCat("expected a list of ", axis->keys.size());
      }
    });
    if (!ok) return false;
    if (!axis->rows.empty()) return true;
    value.Error(absl::StrCat("`", path, "` lists no value"));
    return false;
  }

  // Parses each `--set` and puts it where it belongs. The diagnostics quote the command line.
  void ApplyOverrides(const std::vector<Setting>& overrides) {
    std::string source;
    for (const auto& [key, text] : overrides) absl::StrAppend(&source, "--set ", key, "=", text, "\n");
    if (!overrides.empty()) d_.AddSource(kCommandLine, source);
    int line = 0;
    for (const auto& [key, text] : overrides) {
      const auto column = static_cast<int>(key.size() + 7);  // after `--set ` and `=`
      SourceLocation where{kCommandLine, ++line, column + 1, static_cast<int>(text.size())};
      line += static_cast<int>(std::count(text.begin(), text.end(), '\n'));
      Node value;
      if (ParseYamlValue(text, where, d_, &value)) Override(key, value, where);
    }
  }

  void Override(const std::string& key, const Node& value, const SourceLocation& where) {
    const std::string target = absl::StartsWith(key, kSweep) ? key.substr(std::string(kSweep).size()) : key;
    const auto axis = std::find_if(axes_.begin(), axes_.end(), [&](const Axis& x) { return x.Column(target).has_value(); });
    if (axis == axes_.end() && target == key) {
      const SourceLocation at_key{where.file, where.line, 7, static_cast<int>(key.size())};
      SetPath(&tree_, key, value, at_key, loader_);
      return;
    }
    if (axis != axes_.end() && axis->keys.size() > 1) {  // swept together with others: fixed in every row
      for (std::vector<Node>& row : axis->rows) row[*axis->Column(target)] = value;
      return;
    }
    Axis changed{{target}, where, {{value}}};
    if (value.kind == Node::Kind::kList) {
      changed.rows.clear();
      if (!ReadAxis(value, key, &changed)) return;
    }
    if (axis != axes_.end()) {
      *axis = std::move(changed);
    } else {
      axes_.push_back(std::move(changed));
    }
  }

  void ReadReferences() {
    const Node* node = tree_.Find("reference");
    if (node == nullptr) return;
    ValueReader value(*node, "reference", d_);
    ReadReference(value, &source_, &references_);
    matched_.assign(references_.size(), false);
  }

  // The product of all axes; 0 after an error.
  int64_t CountPoints() {
    int64_t count = 1;
    for (const Axis& axis : axes_) {
      count *= static_cast<int64_t>(axis.rows.size());
      if (count <= kMaxPoints) continue;
      d_.Error(absl::StrCat("the sweep has more than ", kMaxPoints, " points"), axis.where).label =
          "the limit is passed here";
      return 0;
    }
    return count;
  }

  void ReadPoints(Study* study) {
    const int64_t count = CountPoints();
    ReadCache cache;
    cache.keep_hardware = std::none_of(axes_.begin(), axes_.end(), [](const Axis& axis) {
      return std::any_of(axis.keys.begin(), axis.keys.end(), [](const std::string& key) {
        return key == "cluster" || absl::StartsWith(key, "cluster.hardware");
      });
    });
    int failed = 0;
    for (int64_t index = 0; index < count && failed < kMaxFailedPoints; ++index) {
      Scenario scenario;
      if (ReadPoint(index, count, &cache, &scenario)) {
        study->points.push_back(std::move(scenario));
      } else {
        ++failed;
        d_.Deduplicate();
      }
    }
  }

  bool ReadPoint(int64_t index, int64_t count, ReadCache* cache, Scenario* out) {
    Node tree = tree_;
    int64_t stride = count;
    bool ok = true;
    for (const Axis& axis : axes_) {
      stride /= static_cast<int64_t>(axis.rows.size());
      const std::vector<Node>& row = axis.rows[static_cast<size_t>(index / stride) % axis.rows.size()];
      for (size_t i = 0; i < row.size(); ++i) {
        ok = SetPath(&tree, axis.keys[i], row[i], axis.where, loader_) && ok;
        out->settings.emplace_back(axis.keys[i], FlowText(row[i]));
      }
    }
    if (!ReadScenario(tree, loader_, cache, out) || !ok) return false;
    out->file = tree_.where.file;
    for (size_t i = 0; i < references_.size(); ++i) {
      if (!Matches(tree, references_[i].point)) continue;
      out->reference.push_back(i);
      matched_[i] = true;
    }
    return true;
  }

  // A reference point for settings that no point has is a mistake, unless the command line changed the points.
  void CheckReferences(bool overridden) {
    for (size_t i = 0; i < references_.size() && !overridden; ++i) {
      if (matched_[i]) continue;
      d_.Error("this reference point has settings that no point of the sweep has", references_[i].where);
    }
  }

  FileLoader loader_;
  Diagnostics& d_;
  Node tree_;                 // the file, with overrides
  std::vector<Axis> axes_;
  std::string source_;
  std::vector<ReadReferencePoint> references_;
  std::vector<bool> matched_;
};

}  // namespace

std::optional<Study> LoadStudy(const std::string& path, const SearchPath& search,
                               const std::vector<Setting>& overrides, Diagnostics& diagnostics) {
  return StudyLoader(search, diagnostics).Load(path, overrides);
}

std::optional<HardwareSpec> LoadHardware(const std::string& name, const SearchPath& search, Diagnostics& diagnostics) {
  FileLoader loader(search, diagnostics);
  const Node* node = loader.ResolveName(name, "hardware");
  if (node == nullptr) return std::nullopt;
  HardwareSpec hardware;
  ValueReader root(*node, "", diagnostics);
  if (!ReadHardwareFile(root, loader, &hardware)) return std::nullopt;
  return hardware;
}

std::optional<ModelSpec> LoadModel(const std::string& name, const SearchPath& search, Diagnostics& diagnostics) {
  FileLoader loader(search, diagnostics);
  const Node* node = loader.ResolveName(name, "models");
  if (node == nullptr) return std::nullopt;
  ModelSpec model;
  ValueReader root(*node, "", diagnostics);
  if (!ReadModel(root, FileLoader::NameOf(*node), &model, nullptr)) return std::nullopt;
  return model;
}

}  // namespace simulate
