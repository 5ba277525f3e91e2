// LoadStudy: a scenario file, its overrides and its sweep. LoadHardware, LoadAccelerator, LoadModel: one file of that kind.
#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sim/config/config.h"
#include "sim/config/file_loader.h"
#include "sim/config/parse.h"
#include "sim/config/read_accelerator.h"
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

  std::optional<Study> LoadFile(const std::string& path, const std::vector<Setting>& overrides) {
    const Node* root = loader_.ResolveName(path, "scenarios");
    if (root == nullptr) return std::nullopt;
    tree_ = *root;
    return Load(overrides);
  }

  std::optional<Study> LoadText(const std::string& file, const std::string& text,
                                const std::vector<Setting>& overrides) {
    return ParseYaml(file, text, d_, &tree_) ? Load(overrides) : std::nullopt;
  }

 private:
  std::optional<Study> Load(const std::vector<Setting>& overrides) {
    if (tree_.kind != Node::Kind::kMap) {
      ValueReader(tree_, "", d_).ReadMap([](MapReader&) {});  // says what it must be
      return std::nullopt;
    }
    ReadSweep(tree_.Find("sweep"));
    ApplyOverrides(overrides);
    ReadReferences();
    Study study;
    study.file = tree_.where.file;
    DropWhatWasRead();
    ReadPoints(&study);
    d_.Deduplicate();
    if (d_.HasErrors()) return std::nullopt;
    CheckReferences(!overrides.empty());
    if (d_.HasErrors()) return std::nullopt;
    const Node* title = tree_.Find("title");
    study.files = loader_.files();
    study.title = title != nullptr ? title->text : FileLoader::NameOf(tree_);
    return study;
  }

  // The tree is copied for every point; these keys are read once.
  void DropWhatWasRead() {
    const auto read = [](const Node::Entry& e) {
      return e.key == "sweep" || e.key == "reference" || e.key == "description";
    };
    tree_.entries.erase(std::remove_if(tree_.entries.begin(), tree_.entries.end(), read), tree_.entries.end());
  }

  void ReadSweep(const Node* sweep) {
    if (sweep == nullptr) return;
    axes_.clear();
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
    if (key == "sweep") return ReadSweep(&value);  // takes the place of the file's
    const std::string target = absl::StartsWith(key, kSweep) ? key.substr(std::string(kSweep).size()) : key;
    const auto axis = std::find_if(axes_.begin(), axes_.end(), [&](const Axis& x) { return x.Column(target).has_value(); });
    if (axis == axes_.end() && target == key) {
      const SourceLocation at_key{where.file, where.line, 7, static_cast<int>(key.size())};
      if (SetPath(&tree_, key, value, at_key, loader_)) overrides_.push_back({key, at_key, value});
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
    ReadReference(value, loader_, &reference_);
    matched_.assign(reference_.points.size(), false);
    if (!reference_.has_table || axes_.empty()) return;
    d_.Error("a reference table takes the place of a sweep", axes_.front().where).help.emplace_back(
        "make the swept key a column of the table, or remove it");
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
    study->reference.source = reference_.source;
    for (const LocatedPoint& p : reference_.points) study->reference.points.push_back(p.point);
    study->reference.excluded = reference_.excluded;
    const int64_t count = reference_.has_table ? static_cast<int64_t>(reference_.rows.size()) : CountPoints();
    int failed = 0;
    for (int64_t index = 0; index < count && failed < kMaxFailedPoints; ++index) {
      Scenario scenario;
      const bool ok = reference_.has_table ? ReadRow(reference_.rows[static_cast<size_t>(index)], study, &scenario)
                                           : ReadPoint(index, count, &scenario);
      if (ok) {
        study->points.push_back(std::move(scenario));
      } else {
        ++failed;
        d_.Deduplicate();
      }
    }
  }

  bool ReadPoint(int64_t index, int64_t count, Scenario* out) {
    std::vector<LocatedSetting> settings;
    int64_t stride = count;
    for (const Axis& axis : axes_) {
      stride /= static_cast<int64_t>(axis.rows.size());
      const std::vector<Node>& row = axis.rows[static_cast<size_t>(index / stride) % axis.rows.size()];
      for (size_t i = 0; i < row.size(); ++i) settings.push_back({axis.keys[i], axis.where, row[i]});
    }
    return ReadWith(settings, out);
  }

  bool ReadRow(const ReferenceRow& row, Study* study, Scenario* out) {
    std::vector<LocatedSetting> settings = row.settings;
    settings.insert(settings.end(), overrides_.begin(), overrides_.end());  // the command line has the last word
    const size_t before = d_.all().size();
    const bool ok = ReadWith(settings, out);
    d_.DropWarningsAfter(before);  // the run was made as it is
    if (!ok) return false;
    for (const ReferencePoint& point : row.points) {
      out->reference.push_back(study->reference.points.size());
      study->reference.points.push_back(point);
    }
    return true;
  }

  bool ReadWith(const std::vector<LocatedSetting>& settings, Scenario* out) {
    Node tree = tree_;
    bool ok = true;
    for (const LocatedSetting& setting : settings) {
      ok = SetPath(&tree, setting.key, setting.value, setting.where, loader_) && ok;
      out->settings.emplace_back(setting.key, FlowText(setting.value));
    }
    if (!ReadScenario(tree, loader_, &hardware_, out) || !ok) return false;
    out->file = tree_.where.file;
    for (size_t i = 0; i < reference_.points.size(); ++i) {
      if (!Matches(tree, reference_.points[i].point)) continue;
      out->reference.push_back(i);
      matched_[i] = true;
    }
    return true;
  }

  // A reference point for settings that no point has is a mistake, unless the command line changed the points.
  void CheckReferences(bool overridden) {
    for (size_t i = 0; i < matched_.size() && !overridden; ++i) {
      if (matched_[i]) continue;
      d_.Error("this reference point has settings that no point of the sweep has", reference_.points[i].where);
    }
  }

  FileLoader loader_;
  Diagnostics& d_;
  Node tree_;                               // the file, with overrides
  std::vector<LocatedSetting> overrides_;   // of keys that are not swept
  std::vector<Axis> axes_;
  ReadReferenceResult reference_;
  std::vector<bool> matched_;               // per point of the reference that is written in the scenario
  HardwareCache hardware_;
};

}  // namespace

std::optional<Study> LoadStudy(const std::string& path, const SearchPath& search,
                               const std::vector<Setting>& overrides, Diagnostics& diagnostics) {
  return StudyLoader(search, diagnostics).LoadFile(path, overrides);
}

std::optional<Study> LoadStudyText(const std::string& file, const std::string& text, const SearchPath& search,
                                   const std::vector<Setting>& overrides, Diagnostics& diagnostics) {
  return StudyLoader(search, diagnostics).LoadText(file, text, overrides);
}

namespace {

// One file of `folder`, by name or path, on its own.
template <typename Spec, typename Read>
std::optional<Spec> LoadNamed(const std::string& name, const char* folder, const SearchPath& search, Diagnostics& diagnostics,
                              const Read& read) {
  FileLoader loader(search, diagnostics);
  const Node* node = loader.ResolveName(name, folder);
  if (node == nullptr) return std::nullopt;
  Spec spec;
  ValueReader root(*node, "", diagnostics);
  if (!read(root, loader, *node, &spec)) return std::nullopt;
  return spec;
}

}  // namespace

std::optional<HardwareSpec> LoadHardware(const std::string& name, const SearchPath& search, Diagnostics& diagnostics) {
  return LoadNamed<HardwareSpec>(name, "hardware", search, diagnostics, [](ValueReader& root, FileLoader& loader, const Node&, HardwareSpec* out) {
    return ReadHardwareFile(root, loader, out);
  });
}

std::optional<AcceleratorSpec> LoadAccelerator(const std::string& name, const SearchPath& search, Diagnostics& diagnostics) {
  return LoadNamed<AcceleratorSpec>(name, "hardware/accelerators", search, diagnostics,
                                    [](ValueReader& root, FileLoader&, const Node&, AcceleratorSpec* out) { return ReadAccelerator(root, out); });
}

std::optional<ModelSpec> LoadModel(const std::string& name, const SearchPath& search, Diagnostics& diagnostics) {
  return LoadNamed<ModelSpec>(name, "models", search, diagnostics, [](ValueReader& root, FileLoader&, const Node& node, ModelSpec* out) {
    return ReadModel(root, FileLoader::NameOf(node), out, nullptr);
  });
}

}  // namespace simulate
