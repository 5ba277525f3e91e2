#include "sim/config/node.h"

#include <algorithm>

namespace simulate {

const Node::Entry* Node::FindEntry(const std::string& key) const {
  for (const Entry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

const Node* Node::Find(const std::string& key) const {
  const Entry* entry = FindEntry(key);
  return entry == nullptr ? nullptr : &entry->value;
}

const Node* Node::FindPath(const std::string& path) const {
  const Node* node = this;
  size_t start = 0;
  while (node != nullptr && start <= path.size()) {
    const size_t dot = std::min(path.find('.', start), path.size());
    node = node->Find(path.substr(start, dot - start));
    start = dot + 1;
  }
  return node;
}

const char* Describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull: return "nothing";
    case Node::Kind::kList: return "a list";
    case Node::Kind::kMap: return "a mapping";
    case Node::Kind::kScalar: return node.quoted ? "text" : "a single value";
  }
  return "";
}

}  // namespace simulate
