// Reads one YAML mapping into a struct: typed values, units, unknown keys, all errors collected.
//
//   MapReader r(node, "cluster", diagnostics);
//   r.Required("bandwidth", &link.bandwidth);         // "400 Gb/s"; a bare number is an error
//   r.Optional("latency", &link.latency);             // keeps its default when absent
//   r.Enum("strategy", {{"ddp", DataStrategy::kDdp}, ...}, &spec.strategy);
//   r.Map("calibration", [&](MapReader& m) { ... });
//   r.List("links", [&](ValueReader& v) { ... });
//   r.Finish();                                       // unknown keys, with the nearest valid name
//
// Quantities carry units: Bytes "80 GB" "40 MiB", BytesPerSecond "3.35 TB/s" "400 Gb/s", Seconds "25 us",
// FlopsPerSecond "989 TFLOPS", Hertz "1.83 GHz", Watts "700 W", DollarsPerHour "98.32 $/h". 0 needs none.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/base/units.h"

namespace simulate {

class MapReader;

// A parsed value with its place in the file. Cheap to copy. Defined over yaml-cpp in node.h.
class Node;

// One value of any kind.
class ValueReader {
 public:
  ValueReader(const Node& node, std::string path, Diagnostics& diagnostics);
  bool Read(std::string* out);
  bool Read(int64_t* out);
  bool Read(double* out);
  bool Read(bool* out);
  bool Read(Bytes* out);
  bool Read(BytesPerSecond* out);
  bool Read(Seconds* out);
  bool Read(FlopsPerSecond* out);
  bool Read(Hertz* out);
  bool Read(Watts* out);
  bool Read(DollarsPerHour* out);
  bool ReadMap(const std::function<void(MapReader&)>& read);
  bool ReadList(const std::function<void(ValueReader&)>& read);
  [[nodiscard]] bool IsMap() const;
  [[nodiscard]] bool IsList() const;
  [[nodiscard]] bool IsScalar() const;
  [[nodiscard]] SourceLocation where() const;
  [[nodiscard]] const std::string& path() const { return path_; }
  Diagnostic& Error(std::string message);  // at this value

 private:
  std::shared_ptr<const Node> node_;
  std::string path_;
  Diagnostics* diagnostics_;
};

class MapReader {
 public:
  // REQUIRES: node is a mapping (ValueReader::ReadMap checks it).
  MapReader(const Node& node, std::string path, Diagnostics& diagnostics);
  ~MapReader();

  template <typename T>
  bool Required(std::string_view key, T* out) {
    return Get(key, /*required=*/true, [&](ValueReader& v) { return v.Read(out); });
  }
  template <typename T>
  bool Optional(std::string_view key, T* out) {
    return Get(key, /*required=*/false, [&](ValueReader& v) { return v.Read(out); });
  }
  // An integer within [low, high].
  bool Integer(std::string_view key, int64_t low, int64_t high, int64_t* out, bool required = false);
  template <typename E>
  bool Enum(std::string_view key, std::initializer_list<std::pair<const char*, E>> names, E* out, bool required = false) {
    return Get(key, required, [&](ValueReader& v) {
      std::string text;
      if (!v.Read(&text)) return false;
      std::vector<std::string> valid;
      for (const auto& [name, value] : names) {
        if (text == name) { *out = value; return true; }
        valid.emplace_back(name);
      }
      ReportBadName(v, text, valid);
      return false;
    });
  }
  bool Map(std::string_view key, const std::function<void(MapReader&)>& read, bool required = false);
  bool List(std::string_view key, const std::function<void(ValueReader&)>& read, bool required = false);
  bool Value(std::string_view key, const std::function<void(ValueReader&)>& read, bool required = false);
  [[nodiscard]] bool Has(std::string_view key) const;
  [[nodiscard]] SourceLocation where(std::string_view key) const;       // of the value
  [[nodiscard]] SourceLocation where_key(std::string_view key) const;   // of the key
  Diagnostic& Error(std::string_view key, std::string message);         // at the key's value
  void Finish();

 private:
  bool Get(std::string_view key, bool required, const std::function<bool(ValueReader&)>& read);
  static void ReportBadName(ValueReader& value, const std::string& text, const std::vector<std::string>& valid);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace simulate
