// Finds, reads and parses the files of one load, each once. A value that refers to another file may be a name
// (`a100-80gb`), a path (`./my_node.yaml`) or the mapping itself; readers need not care which.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/config/config.h"
#include "sim/config/node.h"
#include "sim/config/reader.h"
#include "sim/spec/scenario.h"

namespace simulate {

class FileLoader {
 public:
  FileLoader(SearchPath search, Diagnostics& diagnostics);

  // Follows a reference: `folder` is "models", "hardware", "hardware/accelerators", "hardware/nodes" or
  // "hardware/fabrics". Calls `read` with the mapping; its path() is that of `value`. False after an error.
  //   loader.Follow(v, "hardware/accelerators", [&](ValueReader& m) { return ReadAccelerator(m, &spec); });
  bool Follow(ValueReader& value, const std::string& folder, const std::function<bool(ValueReader&)>& read);

  // The mapping that `node` refers to, or `node` itself if it is one; nullptr after an error.
  [[nodiscard]] const Node* Resolve(const Node& node, const std::string& path, const std::string& folder);
  // The same for a name from the command line.
  [[nodiscard]] const Node* ResolveName(const std::string& name, const std::string& folder);
  // The name that a resolved mapping goes by: its file's name without folder and extension.
  [[nodiscard]] static std::string NameOf(const Node& mapping);

  [[nodiscard]] const Node* LoadFile(const std::string& path);   // nullptr after an error
  // The text of a file that the value at `used_at` names, beside its file or in the working directory, and the path
  // under which it was found. False after an error.
  bool LoadText(const std::string& name, const SourceLocation& used_at, std::string* path, std::string* text);
  [[nodiscard]] Diagnostics& diagnostics() { return *diagnostics_; }
  [[nodiscard]] const std::vector<InputFile>& files() const { return read_; }  // in order of reading

 private:
  [[nodiscard]] std::string Find(const std::string& name, const std::string& folder, const std::string& from) const;
  [[nodiscard]] const Node* Open(const std::string& name, const std::string& folder, const SourceLocation& used_at,
                                 const std::string& path);
  void ReportMissing(const std::string& name, const std::string& folder, const SourceLocation& used_at,
                     const std::string& path);

  SearchPath search_;
  Diagnostics* diagnostics_;
  std::vector<InputFile> read_;
  std::map<std::string, std::unique_ptr<Node>> files_;  // null: could not be read, and was reported
};

}  // namespace simulate
