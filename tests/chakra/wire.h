// Chakra trace files by hand: the protobuf wire format written and read here without the program's own schema, after
// the field numbers of Chakra's et_def.proto. A file is messages, each behind its length.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace simulate::wire {

inline std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>((value & 127) | 128);
  return bytes + static_cast<char>(value);
}
inline std::string Number(int field, uint64_t value) { return Varint(static_cast<uint64_t>(field) << 3) + Varint(value); }
inline std::string Bytes(int field, const std::string& bytes) {
  return Varint((static_cast<uint64_t>(field) << 3) | 2) + Varint(bytes.size()) + bytes;
}
inline std::string Message(const std::string& bytes) { return Varint(bytes.size()) + bytes; }

// Attributes of the types that ASTRA-sim's generators give them.
inline std::string Int64(const std::string& name, int64_t value) {
  return Bytes(10, Bytes(1, name) + Number(9, static_cast<uint64_t>(value)));
}
inline std::string Int32(const std::string& name, int32_t value) {
  return Bytes(10, Bytes(1, name) + Number(7, static_cast<uint64_t>(value)));
}
inline std::string Bool(const std::string& name, bool value) { return Bytes(10, Bytes(1, name) + Number(27, value ? 1 : 0)); }
inline std::string Text(const std::string& name, const std::string& value) { return Bytes(10, Bytes(1, name) + Bytes(29, value)); }

enum Type { kMetadata = 1, kLoad, kStore, kComp, kSend, kRecv, kColl };

struct NodeText {
  uint64_t id = 0;
  std::string name = "node";
  int type = kComp;
  std::vector<uint64_t> deps;
  uint64_t micros = 0;
  std::string attributes;
  std::vector<uint64_t> control;
};
inline std::string Node(const NodeText& n) {
  std::string bytes = Number(1, n.id) + Bytes(2, n.name) + Number(3, static_cast<uint64_t>(n.type));
  for (const uint64_t dep : n.control) bytes += Number(4, dep);
  for (const uint64_t dep : n.deps) bytes += Number(5, dep);
  return Message(bytes + Number(7, n.micros) + n.attributes);
}
inline std::string Metadata() { return Message(Bytes(1, "0.0.4")); }
inline std::string File(const std::vector<NodeText>& nodes) {
  std::string bytes = Metadata();
  for (const NodeText& node : nodes) bytes += Node(node);
  return bytes;
}

// A node that communicates.
inline NodeText Coll(uint64_t id, int64_t type, int64_t bytes, std::vector<uint64_t> deps = {}, const std::string& more = "") {
  return {id, "coll", kColl, std::move(deps), 0, Bool("is_cpu_op", false) + Int64("comm_type", type) + Int64("comm_size", bytes) + more, {}};
}
inline NodeText Send(uint64_t id, int to, int64_t bytes, std::vector<uint64_t> deps = {}, int tag = 0) {
  return {id, "send", kSend, std::move(deps), 0, Int64("comm_size", bytes) + Int32("comm_dst", to) + Int32("comm_tag", tag), {}};
}
inline NodeText Recv(uint64_t id, int from, int64_t bytes, std::vector<uint64_t> deps = {}, int tag = 0) {
  return {id, "recv", kRecv, std::move(deps), 0, Int64("comm_size", bytes) + Int32("comm_src", from) + Int32("comm_tag", tag), {}};
}

// A folder of traces that goes when it does.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "simulate_chakra_XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ + "/" + name, std::ios::binary) << bytes;
  }
  void Ranks(const std::vector<std::vector<NodeText>>& ranks) const {
    for (size_t r = 0; r < ranks.size(); ++r) Write("x." + std::to_string(r) + ".et", File(ranks[r]));
  }
  // Diagnostics without the folder's name.
  [[nodiscard]] std::string Short(std::string text) const {
    for (size_t at = text.find(path_); at != std::string::npos; at = text.find(path_)) text.replace(at, path_.size(), "DIR");
    return text;
  }

 private:
  std::string path_;
};

// ------------------------------------------------------------------ reading

struct Field {
  int number = 0;
  uint64_t value = 0;
  std::string bytes;
};

inline uint64_t TakeVarint(const std::string& bytes, size_t& at) {
  uint64_t value = 0;
  for (int shift = 0; at < bytes.size(); shift += 7) {
    const auto byte = static_cast<uint8_t>(bytes[at++]);
    value |= uint64_t{byte & 127U} << shift;
    if ((byte & 128U) == 0) break;
  }
  return value;
}
inline std::vector<Field> Fields(const std::string& message) {
  std::vector<Field> fields;
  for (size_t at = 0; at < message.size();) {
    const uint64_t key = TakeVarint(message, at);
    Field field{static_cast<int>(key >> 3), 0, ""};
    if ((key & 7) == 0) {
      field.value = TakeVarint(message, at);
    } else if ((key & 7) == 2) {
      const uint64_t size = TakeVarint(message, at);
      field.bytes = message.substr(at, size);
      at += size;
    } else {
      at += (key & 7) == 1 ? 8 : 4;
    }
    fields.push_back(field);
  }
  return fields;
}
inline std::vector<std::string> Messages(const std::string& file) {
  std::vector<std::string> messages;
  for (size_t at = 0; at < file.size();) {
    const uint64_t size = TakeVarint(file, at);
    messages.push_back(file.substr(at, size));
    at += size;
  }
  return messages;
}

struct ReadNode {
  uint64_t id = 0, type = 0, start = 0, micros = 0;
  std::string name, values;
  std::vector<uint64_t> deps;
  std::map<std::string, Field> attributes;
};
inline ReadNode Parse(const std::string& message) {
  ReadNode node;
  for (const Field& f : Fields(message)) {
    if (f.number == 1) node.id = f.value;
    if (f.number == 2) node.name = f.bytes;
    if (f.number == 3) node.type = f.value;
    if (f.number == 5) {
      for (size_t at = 0; at < f.bytes.size();) node.deps.push_back(TakeVarint(f.bytes, at));  // packed, as proto3 writes it
    }
    if (f.number == 6) node.start = f.value;
    if (f.number == 7) node.micros = f.value;
    if (f.number == 8) node.values = Fields(f.bytes).front().bytes;
    if (f.number != 10) continue;
    const std::vector<Field> attribute = Fields(f.bytes);
    node.attributes[attribute.at(0).bytes] = attribute.at(1);
  }
  return node;
}

}  // namespace simulate::wire
