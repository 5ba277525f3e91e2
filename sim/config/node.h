// A parsed YAML document as plain values, every one with its place in the file.
//
// Holds only what the simulator's files may contain: mappings with distinct plain keys, lists, scalars.
// Anchors, aliases, tags, merge keys and further documents are refused by the parser (parse.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/diagnostics.h"

namespace simulate {

class Node {
 public:
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  std::string text;               // kScalar
  bool quoted = false;            // kScalar: "8" is text, 8 a number
  SourceLocation where;           // kNull: the key's
  std::vector<Node> items;        // kList
  std::vector<Entry> entries;     // kMap, in the order of the file

  [[nodiscard]] const Node* Find(const std::string& key) const;   // nullptr when absent
  [[nodiscard]] const Entry* FindEntry(const std::string& key) const;
  // The node at a dotted path such as `training.micro_batch_size`; nullptr when absent.
  [[nodiscard]] const Node* FindPath(const std::string& path) const;
};

struct Node::Entry {
  std::string key;
  SourceLocation key_where;
  Node value;
};

// "a mapping", "a list", "a single value", ...: for diagnostics.
[[nodiscard]] const char* Describe(const Node& node);

}  // namespace simulate
