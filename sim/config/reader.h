// Reads one YAML mapping into a struct: typed values, units, unknown keys, all errors collected.
//
//   bool ok = value.ReadMap([&](MapReader& r) {
//     r.Required("bandwidth", &link.bandwidth);         // "400 Gb/s"; a bare number is an error
//     r.Optional("latency", &link.latency);             // keeps its default when absent
//     r.Integer("ports", 1, 1024, &level.ports);        // within bounds
//     r.Number("efficiency", 0, 1, &link.efficiency);
//     r.Duration("ramp", &memory.ramp);                 // at most a second, as all constants of parts are
//     r.Positive("clock", &accelerator.clock, true);    // a rate that something is divided by
//     r.Enum("strategy", {{"ddp", DataStrategy::kDdp}, ...}, &spec.strategy);
//     r.Map("calibration", [&](MapReader& m) { ... });
//     r.List("links", [&](ValueReader& v) { ... });     // called per item
//   });                                                  // then unknown keys, with the nearest valid name
//
// Every key that may stand in the mapping must be asked for on every path (or named with Ignore), since what
// was not asked for is unknown. Getters return true when they wrote a value. `path()` is the dotted key from the
// root of the scenario. Quantities carry units: Bytes "80 GB" "40 MiB", BytesPerSecond "3.35 TB/s" "400 Gb/s",
// Seconds "25 us", FlopsPerSecond "989 TFLOPS", Hertz "1.83 GHz", Watts "700 W", DollarsPerHour "98.32 $/h";
// 0 needs none; none is negative.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/confidence.h"
#include "sim/base/diagnostics.h"
#include "sim/base/quantity_text.h"
#include "sim/base/units.h"

namespace simulate {

class MapReader;
class Node;  // node.h

inline constexpr Seconds kLongestConstant(1.0);  // of what a call, a hop, a launch takes
inline constexpr double kLeastRate = 1e6;        // bytes, operations or cycles a second

// One value of any kind. Cheap to copy. REQUIRES: the node outlives it.
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
  bool Read(Confidence* out);                 // measured | calibrated | coarse | extrapolated
  bool Read(std::vector<std::string>* out);   // a list, or one value alone
  bool Read(std::vector<int64_t>* out);
  bool Read(std::vector<double>* out);
  bool ReadInteger(int64_t low, int64_t high, int64_t* out);
  bool ReadNumber(double low, double high, double* out);
  bool ReadShare(double* out);                // "5%" or 0.05; 0 to 1
  template <typename E>
  bool ReadEnum(std::initializer_list<std::pair<const char*, E>> names, E* out) {
    std::string text;
    if (!Read(&text)) return false;
    std::vector<std::string> valid;
    for (const auto& [name, value] : names) {
      if (text == name) {
        *out = value;
        return true;
      }
      valid.emplace_back(name);
    }
    ReportBadName(text, valid);
    return false;
  }
  // `read` may report errors itself; false if there were any below this value.
  bool ReadMap(const std::function<void(MapReader&)>& read);
  bool ReadList(const std::function<void(ValueReader&)>& read);

  [[nodiscard]] bool IsMap() const;
  [[nodiscard]] bool IsList() const;
  [[nodiscard]] bool IsScalar() const;
  [[nodiscard]] const std::string& text() const;   // of a scalar, as written; empty otherwise
  [[nodiscard]] SourceLocation where() const;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const Node& node() const { return *node_; }
  [[nodiscard]] Diagnostics& diagnostics() { return *diagnostics_; }
  Diagnostic& Error(std::string message);   // at this value
  bool CheckRate(double rate);               // false, with a diagnostic, below kLeastRate
  void ReportBadName(const std::string& text, const std::vector<std::string>& valid);

 private:
  bool ReadQuantity(Dimension dimension, double* out);
  bool WrongKind(const char* expected);      // reports; returns false

  const Node* node_;
  std::string path_;
  Diagnostics* diagnostics_;
};

class MapReader {
 public:
  // REQUIRES: node is a mapping (ValueReader::ReadMap checks it) and outlives the reader.
  MapReader(const Node& node, std::string path, Diagnostics& diagnostics);
  ~MapReader();
  MapReader(const MapReader&) = delete;
  MapReader& operator=(const MapReader&) = delete;

  template <typename T>
  bool Required(std::string_view key, T* out) {
    return Get(key, /*required=*/true, [&](ValueReader& v) { return v.Read(out); });
  }
  template <typename T>
  bool Optional(std::string_view key, T* out) {
    return Get(key, /*required=*/false, [&](ValueReader& v) { return v.Read(out); });
  }
  // An integer (a number) within [low, high].
  bool Integer(std::string_view key, int64_t low, int64_t high, int64_t* out, bool required = false);
  bool Number(std::string_view key, double low, double high, double* out, bool required = false);
  bool Share(std::string_view key, double* out, bool required = false);   // "5%" or 0.05; 0 to 1
  bool Duration(std::string_view key, Seconds* out);                      // at most kLongestConstant
  // A rate of at least kLeastRate: whatever it moves arrives within a life.
  template <typename T>
  bool Positive(std::string_view key, T* out, bool required = false) {
    return Get(key, required, [&](ValueReader& v) { return v.Read(out) && v.CheckRate(out->value()); });
  }
  template <typename E>
  bool Enum(std::string_view key, std::initializer_list<std::pair<const char*, E>> names, E* out,
            bool required = false) {
    return Get(key, required, [&](ValueReader& v) { return v.ReadEnum(names, out); });
  }
  bool Map(std::string_view key, const std::function<void(MapReader&)>& read, bool required = false);
  bool List(std::string_view key, const std::function<void(ValueReader&)>& read, bool required = false);
  bool Value(std::string_view key, const std::function<void(ValueReader&)>& read, bool required = false);
  void Ignore(std::string_view key);   // may stand here; read by someone else, or a comment such as `source`

  [[nodiscard]] bool Has(std::string_view key) const;
  [[nodiscard]] SourceLocation where() const;                           // of the mapping
  [[nodiscard]] SourceLocation where(std::string_view key) const;       // of the value; the mapping's if absent
  [[nodiscard]] SourceLocation where_key(std::string_view key) const;   // of the key; the mapping's if absent
  [[nodiscard]] const std::string& path() const;
  [[nodiscard]] std::string path(std::string_view key) const;
  [[nodiscard]] const Node& node() const;
  [[nodiscard]] Diagnostics& diagnostics();
  Diagnostic& Error(std::string_view key, std::string message);         // at the key's value
  // Reports unknown and missing keys. Called by ReadMap and by the destructor; further calls do nothing.
  void Finish();

 private:
  bool Get(std::string_view key, bool required, const std::function<bool(ValueReader&)>& read);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace simulate
