#include "sim/config/file_loader.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/hash.h"
#include "sim/config/parse.h"

namespace simulate {
namespace {

namespace fs = std::filesystem;

constexpr const char* kExtension = ".yaml";

bool IsFile(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_directory(path, ignored);
}

bool IsFolder(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool LooksLikePath(const std::string& name) {
  return absl::StrContains(name, "/") || absl::EndsWith(name, ".yaml") || absl::EndsWith(name, ".yml") ||
         absl::EndsWith(name, ".json");
}

std::string FolderOf(const std::string& file) { return fs::path(file).parent_path().string(); }

std::string JoinPath(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : (fs::path(folder) / name).lexically_normal().string();
}

// "model", "accelerator": what a folder's files are.
std::string Singular(const std::string& folder) {
  const std::string last = folder.substr(folder.rfind('/') == std::string::npos ? 0 : folder.rfind('/') + 1);
  if (last == "hardware") return "hardware file";
  return absl::EndsWith(last, "s") ? last.substr(0, last.size() - 1) : last;
}

// The names of the files in one folder under every root.
std::vector<std::string> NamesIn(const std::vector<std::string>& roots, const std::string& folder) {
  std::set<std::string> names;
  for (const std::string& root : roots) {
    std::error_code error;
    fs::directory_iterator it(JoinPath(root, folder), error);
    for (; !error && it != fs::directory_iterator(); it.increment(error)) {
      if (it->path().extension() == kExtension) names.insert(it->path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

// Reads at most one byte more than may be parsed, so that endless files end too.
bool ReadFile(const std::string& path, std::string* text) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream || !IsFile(path)) return false;
  text->resize(static_cast<size_t>(kMaxFileBytes) + 1);
  stream.read(text->data(), static_cast<std::streamsize>(text->size()));
  text->resize(static_cast<size_t>(stream.gcount()));
  return !stream.bad();
}

}  // namespace

FileLoader::FileLoader(SearchPath search, Diagnostics& diagnostics)
    : search_(std::move(search)), diagnostics_(&diagnostics) {}

std::string FileLoader::Find(const std::string& name, const std::string& folder, const std::string& from) const {
  if (LooksLikePath(name) || from.empty()) {
    if (fs::path(name).is_relative() && !from.empty()) {
      const std::string beside = JoinPath(FolderOf(from), name);
      if (IsFile(beside)) return beside;
    }
    if (IsFile(name)) return name;
  }
  for (const std::string& root : search_.roots) {
    for (const char* extension : {kExtension, ""}) {
      const std::string path = JoinPath(root, absl::StrCat(folder, "/", name, extension));
      if (IsFile(path) && (*extension != '\0' || LooksLikePath(name))) return path;
    }
  }
  return "";
}

const Node* FileLoader::LoadFile(const std::string& path) {
  const auto known = files_.find(path);
  if (known != files_.end()) return known->second.get();
  std::unique_ptr<Node>& slot = files_[path];
  std::string text;
  if (!ReadFile(path, &text)) {
    diagnostics_->Error(IsFolder(path)  ? absl::StrCat("`", path, "` is a folder, not a file")
                        : IsFile(path) ? absl::StrCat("the file `", path, "` cannot be read")
                                       : absl::StrCat("there is no file `", path, "`"));
    return nullptr;
  }
  read_.push_back({path, Hash(text)});
  auto node = std::make_unique<Node>();
  if (!ParseYaml(path, text, *diagnostics_, node.get())) return nullptr;
  slot = std::move(node);
  return slot.get();
}

bool FileLoader::LoadText(const std::string& name, const SourceLocation& used_at, std::string* path,
                          std::string* text) {
  *path = JoinPath(FolderOf(used_at.file), name);
  if (fs::path(name).is_absolute() || !IsFile(*path)) *path = name;
  if (ReadFile(*path, text)) {
    read_.push_back({*path, Hash(*text)});
    return CheckText(*path, *text, *diagnostics_);
  }
  diagnostics_->Error(absl::StrCat("the file `", name, "` cannot be read"), used_at)
      .help.emplace_back("a path is looked for beside the file that names it, and in the working directory");
  return false;
}

void FileLoader::ReportMissing(const std::string& name, const std::string& folder, const SourceLocation& used_at,
                               const std::string& path) {
  const std::string kind = Singular(folder);
  Diagnostic& error = diagnostics_->Error(absl::StrCat("there is no ", kind, " `", name, "`"), used_at);
  if (!path.empty()) error.label = absl::StrCat("`", path, "` is a name, a path or a mapping");
  const std::vector<std::string> names = NamesIn(search_.roots, folder);
  const std::string nearest = NearestName(name, names);
  if (!nearest.empty()) error.help.push_back(absl::StrCat("did you mean `", nearest, "`?"));
  if (LooksLikePath(name)) {
    error.help.emplace_back("a path is looked for beside the file that names it, and in the working directory");
  } else if (names.empty()) {
    error.help.push_back(absl::StrCat("no folder `", folder, "` was found; SIMULATE_PATH may name the one above it"));
  } else if (nearest.empty()) {
    error.help.push_back(absl::StrCat("names that exist: ", absl::StrJoin(names, ", ")));
  }
}

const Node* FileLoader::Open(const std::string& name, const std::string& folder, const SourceLocation& used_at,
                             const std::string& path) {
  const std::string file = Find(name, folder, used_at.file);
  if (!file.empty()) return LoadFile(file);
  if (used_at.file.empty() && IsFolder(name)) return LoadFile(name);  // says that it is a folder
  ReportMissing(name, folder, used_at, path);
  return nullptr;
}

const Node* FileLoader::Resolve(const Node& node, const std::string& path, const std::string& folder) {
  if (node.kind == Node::Kind::kMap) return &node;
  if (node.kind != Node::Kind::kScalar) {
    diagnostics_->Error(absl::StrCat("`", path, "` must be a name, a path or a mapping"), node.where).label =
        absl::StrCat("this is ", Describe(node));
    return nullptr;
  }
  const Node* mapping = Open(node.text, folder, node.where, path);
  if (mapping == nullptr || mapping->kind == Node::Kind::kMap) return mapping;
  diagnostics_->Error(absl::StrCat("this file must hold a mapping, not ", Describe(*mapping)), mapping->where);
  return nullptr;
}

const Node* FileLoader::ResolveName(const std::string& name, const std::string& folder) {
  Node node;
  node.kind = Node::Kind::kScalar;
  node.text = name;
  return Resolve(node, "", folder);
}

std::string FileLoader::NameOf(const Node& mapping) {
  return mapping.where.line == 0 ? fs::path(mapping.where.file).stem().string() : "";
}

bool FileLoader::Follow(ValueReader& value, const std::string& folder, const std::function<bool(ValueReader&)>& read) {
  const Node* mapping = Resolve(value.node(), value.path(), folder);
  if (mapping == nullptr) return false;
  ValueReader reader(*mapping, value.path(), *diagnostics_);
  return read(reader);
}

}  // namespace simulate
