#include "sim/config/reader.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "sim/config/node.h"

namespace simulate {
namespace {

std::string Join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : absl::StrCat(path, ".", std::string(key));
}

// "`training`", or "this file" for the root.
std::string Place(const std::string& path) { return path.empty() ? "this file" : absl::StrCat("`", path, "`"); }

constexpr size_t kMostSuggestions = 60;

std::string Shorten(const std::string& text) {
  return text.size() <= 60 ? text : absl::StrCat(text.substr(0, 57), "...");
}

std::string ListOf(const std::vector<std::string>& names) {
  constexpr size_t kMost = 40;
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kMost));
  return absl::StrCat(absl::StrJoin(names.begin(), end, ", "), names.size() > kMost ? ", ..." : "");
}

std::string Plain(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return absl::StrFormat("%.0f", value);
  return absl::StrFormat("%g", value);
}

// Whether YAML 1.1 would read `text` as an octal or hexadecimal number.
bool IsForeignBase(const std::string& text) {
  const size_t first = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
  if (text.size() < first + 2 || text[first] != '0') return false;
  const char second = text[first + 1];
  return second == 'x' || second == 'o' || second == 'b' || (second >= '0' && second <= '9');
}

// Says why `node` is not the number it should be.
void ReportNotANumber(const Node& node, const std::string& expected, const std::string& path, Diagnostics& d) {
  Diagnostic& error = d.Error(absl::StrCat("`", path, "` must be ", expected), node.where);
  double number = 0.0;
  if (node.kind != Node::Kind::kScalar) {
    error.label = absl::StrCat("this is ", Describe(node));
  } else if (node.quoted && ParseNumber(node.text, &number)) {
    error.label = "quotes make this text";
    error.help.push_back(absl::StrCat("write ", node.text, " without quotes"));
  } else if (IsForeignBase(node.text)) {
    error.label = "YAML reads this as an octal or hexadecimal number";
    error.help.emplace_back("write it as a decimal number without leading zeros");
  } else if (ParseNumber(node.text, &number)) {
    error.label = "this is not a whole number that fits";
  } else {
    error.label = "this is not a number";
  }
}

}  // namespace

// --- ValueReader ---

ValueReader::ValueReader(const Node& node, std::string path, Diagnostics& diagnostics)
    : node_(&node), path_(std::move(path)), diagnostics_(&diagnostics) {}

bool ValueReader::IsMap() const { return node_->kind == Node::Kind::kMap; }
bool ValueReader::IsList() const { return node_->kind == Node::Kind::kList; }
bool ValueReader::IsScalar() const { return node_->kind == Node::Kind::kScalar; }
SourceLocation ValueReader::where() const { return node_->where; }
const std::string& ValueReader::text() const { return node_->text; }

Diagnostic& ValueReader::Error(std::string message) { return diagnostics_->Error(std::move(message), node_->where); }

bool ValueReader::WrongKind(const char* expected) {
  if (path_.empty()) {
    Error(absl::StrCat("this file must hold ", expected, ", not ", Describe(*node_)));
  } else {
    Error(absl::StrCat("`", path_, "` must be ", expected)).label = absl::StrCat("this is ", Describe(*node_));
  }
  return false;
}

void ValueReader::ReportBadName(const std::string& text, const std::vector<std::string>& valid) {
  Diagnostic& error = Error(absl::StrCat("`", Shorten(text), "` is not a valid `", path_, "`"));
  const std::string nearest = NearestName(text, valid);
  if (!nearest.empty()) error.help.push_back(absl::StrCat("did you mean `", nearest, "`?"));
  error.help.push_back(absl::StrCat("expected one of: ", ListOf(valid)));
}

bool ValueReader::Read(std::string* out) {
  if (!IsScalar()) return WrongKind("text");
  *out = node_->text;
  return true;
}

bool ValueReader::Read(double* out) {
  constexpr double kMax = std::numeric_limits<double>::max();
  return ReadNumber(-kMax, kMax, out);
}

bool ValueReader::ReadNumber(double low, double high, double* out) {
  double value = 0.0;
  if (!IsScalar() || node_->quoted || !ParseNumber(node_->text, &value)) {
    ReportNotANumber(*node_, "a number", path_, *diagnostics_);
    return false;
  }
  if (value >= low && value <= high) {
    *out = value;
    return true;
  }
  Diagnostic& error = Error(absl::StrCat("`", path_, "` is out of range"));
  error.label = std::isfinite(value) ? absl::StrCat("must be from ", Plain(low), " to ", Plain(high))
                                     : std::string("this number is too large");
  return false;
}

bool ValueReader::Read(int64_t* out) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  return ReadInteger(-kMax, kMax, out);
}

bool ValueReader::ReadInteger(int64_t low, int64_t high, int64_t* out) {
  double number = 0.0;
  const bool decimal = IsScalar() && !node_->quoted && ParseNumber(node_->text, &number);
  // 1e18 keeps clear of the end of int64, where doubles no longer tell neighbours apart.
  if (!decimal || node_->text.find_first_of(".eE") != std::string::npos || std::abs(number) > 1e18) {
    ReportNotANumber(*node_, "a whole number", path_, *diagnostics_);
    return false;
  }
  const auto value = static_cast<int64_t>(std::stoll(node_->text));
  if (value < low || value > high) {
    Error(absl::StrCat("`", path_, "` is out of range")).label = absl::StrCat("must be from ", low, " to ", high);
    return false;
  }
  *out = value;
  return true;
}

bool ValueReader::ReadShare(double* out) {
  const std::string& text = node_->text;
  double percent = 0.0;
  if (IsScalar() && !text.empty() && text.back() == '%' && ParseNumber(text.substr(0, text.size() - 1), &percent)) {
    if (percent >= 0.0 && percent <= 100.0) {
      *out = percent / 100.0;
      return true;
    }
    Error(absl::StrCat("`", path_, "` is out of range")).label = "must be from 0% to 100%";
    return false;
  }
  double value = 0.0;
  if (!ReadNumber(0.0, 100.0, &value)) return false;
  if (value <= 1.0) {
    *out = value;
    return true;
  }
  Diagnostic& error = Error(absl::StrCat("`", path_, "` is out of range"));
  error.label = "must be from 0 to 1";
  error.help.push_back(absl::StrCat("per cent carry their sign: write ", text, "%"));
  return false;
}

bool ValueReader::Read(bool* out) {
  if (IsScalar() && !node_->quoted && (node_->text == "true" || node_->text == "false")) {
    *out = node_->text == "true";
    return true;
  }
  Diagnostic& error = Error(absl::StrCat("`", path_, "` must be true or false"));
  error.label = IsScalar() ? "this is neither" : absl::StrCat("this is ", Describe(*node_));
  if (!IsScalar()) return false;
  if (node_->quoted && (node_->text == "true" || node_->text == "false")) {
    error.label = "quotes make this text";
    error.help.push_back(absl::StrCat("write ", node_->text, " without quotes"));
    return false;
  }
  const std::vector<std::string> yes = {"yes", "Yes", "YES", "on", "On", "ON", "True", "TRUE", "1", "y", "Y"};
  const std::vector<std::string> no = {"no", "No", "NO", "off", "Off", "OFF", "False", "FALSE", "0", "n", "N"};
  if (std::find(yes.begin(), yes.end(), node_->text) != yes.end()) error.help.emplace_back("write `true`");
  if (std::find(no.begin(), no.end(), node_->text) != no.end()) error.help.emplace_back("write `false`");
  return false;
}

bool ValueReader::ReadQuantity(Dimension dimension, double* out) {
  const std::string kind = absl::StrCat(dimension == Dimension::kFlopRate ? "an " : "a ", Name(dimension));
  if (!IsScalar()) return WrongKind(absl::StrCat(kind, " such as `", Example(dimension), "`").c_str());
  const ParsedQuantity parsed = ParseQuantity(node_->text, dimension);
  if (parsed.error == QuantityError::kNone) {
    *out = parsed.value;
    return true;
  }
  Diagnostic& error = Error(absl::StrCat("`", path_, "` must be ", kind, " such as `", Example(dimension), "`"));
  const std::vector<std::string> units = Units(dimension);
  switch (parsed.error) {
    case QuantityError::kNone: break;
    case QuantityError::kNotANumber: error.label = "this does not start with a decimal number"; break;
    case QuantityError::kNegative: error.label = "this is negative"; break;
    case QuantityError::kOutOfRange: error.label = "this is too large"; break;
    case QuantityError::kMissingUnit:
      error.label = "the unit is missing";
      error.help.push_back(absl::StrCat("units of ", kind, ": ", ListOf(units)));
      break;
    case QuantityError::kWrongDimension:
      error.label = absl::StrCat("`", parsed.unit, "` is the unit of a ", Name(parsed.found));
      error.help.push_back(absl::StrCat("units of ", kind, ": ", ListOf(units)));
      break;
    case QuantityError::kUnknownUnit:
      error.label = absl::StrCat("unknown unit `", Shorten(parsed.unit), "`");
      error.help.push_back(absl::StrCat("units of ", kind, ": ", ListOf(units)));
      break;
  }
  return false;
}

bool ValueReader::CheckRate(double rate) {
  if (rate >= kLeastRate) return true;
  Error(absl::StrCat("`", path_, "` is out of range")).label = "must be at least a million a second";
  return false;
}

bool ValueReader::Read(Bytes* out) {
  double value = 0.0;
  if (!ReadQuantity(Dimension::kSize, &value)) return false;
  *out = RoundBytes(value);
  return true;
}

#define SIMULATE_READ_QUANTITY(Type, dimension)           \
  bool ValueReader::Read(Type* out) {                     \
    double value = 0.0;                                   \
    if (!ReadQuantity(dimension, &value)) return false;   \
    *out = Type(value);                                   \
    return true;                                          \
  }
SIMULATE_READ_QUANTITY(BytesPerSecond, Dimension::kBandwidth)
SIMULATE_READ_QUANTITY(Seconds, Dimension::kTime)
SIMULATE_READ_QUANTITY(FlopsPerSecond, Dimension::kFlopRate)
SIMULATE_READ_QUANTITY(Hertz, Dimension::kFrequency)
SIMULATE_READ_QUANTITY(Watts, Dimension::kPower)
SIMULATE_READ_QUANTITY(DollarsPerHour, Dimension::kPrice)
#undef SIMULATE_READ_QUANTITY

bool ValueReader::Read(Confidence* out) {
  return ReadEnum<Confidence>({{"measured", Confidence::kMeasured},
                               {"calibrated", Confidence::kCalibrated},
                               {"coarse", Confidence::kCoarse},
                               {"extrapolated", Confidence::kExtrapolated}},
                              out);
}

namespace {

template <typename T>
bool ReadItems(ValueReader& reader, std::vector<T>* out) {
  std::vector<T> items;
  const auto read = [&](ValueReader& v) {
    T item{};
    if (v.Read(&item)) items.push_back(std::move(item));
  };
  bool ok = true;
  if (reader.IsScalar()) {
    read(reader);
    ok = !items.empty();
  } else {
    ok = reader.ReadList(read);
  }
  if (ok) *out = std::move(items);
  return ok;
}

}  // namespace

bool ValueReader::Read(std::vector<std::string>* out) { return ReadItems(*this, out); }
bool ValueReader::Read(std::vector<int64_t>* out) { return ReadItems(*this, out); }
bool ValueReader::Read(std::vector<double>* out) { return ReadItems(*this, out); }

bool ValueReader::ReadMap(const std::function<void(MapReader&)>& read) {
  if (!IsMap()) return WrongKind("a mapping");
  const int64_t before = diagnostics_->errors();
  MapReader map(*node_, path_, *diagnostics_);
  read(map);
  map.Finish();
  return diagnostics_->errors() == before;
}

bool ValueReader::ReadList(const std::function<void(ValueReader&)>& read) {
  if (!IsList()) return WrongKind("a list");
  const int64_t before = diagnostics_->errors();
  for (size_t i = 0; i < node_->items.size(); ++i) {
    ValueReader item(node_->items[i], absl::StrCat(path_, "[", i, "]"), *diagnostics_);
    read(item);
  }
  return diagnostics_->errors() == before;
}

// --- MapReader ---

struct MapReader::State {
  const Node* node;
  std::string path;
  Diagnostics* diagnostics;
  std::vector<std::string> known;     // asked for, in order
  std::vector<std::string> missing;   // required and absent
  bool finished = false;

  void Know(std::string_view key) {
    if (std::find(known.begin(), known.end(), key) == known.end()) known.emplace_back(key);
  }
};

MapReader::MapReader(const Node& node, std::string path, Diagnostics& diagnostics)
    : state_(new State{&node, std::move(path), &diagnostics, {}, {}, false}) {}

MapReader::~MapReader() { Finish(); }

bool MapReader::Get(std::string_view key, bool required, const std::function<bool(ValueReader&)>& read) {
  state_->Know(key);
  const Node* value = state_->node->Find(std::string(key));
  if (value == nullptr) {
    if (required) state_->missing.emplace_back(key);
    return false;
  }
  ValueReader reader(*value, Join(state_->path, key), *state_->diagnostics);
  if (value->kind == Node::Kind::kNull) {
    Diagnostic& error = reader.Error(absl::StrCat("`", reader.path(), "` has no value"));
    if (!required) error.help.emplace_back("leave the key out to get its default");
    return false;
  }
  return read(reader);
}

bool MapReader::Integer(std::string_view key, int64_t low, int64_t high, int64_t* out, bool required) {
  return Get(key, required, [&](ValueReader& v) { return v.ReadInteger(low, high, out); });
}

bool MapReader::Number(std::string_view key, double low, double high, double* out, bool required) {
  return Get(key, required, [&](ValueReader& v) { return v.ReadNumber(low, high, out); });
}

bool MapReader::Share(std::string_view key, double* out, bool required) {
  return Get(key, required, [&](ValueReader& v) { return v.ReadShare(out); });
}

bool MapReader::Duration(std::string_view key, Seconds* out) {
  return Get(key, false, [&](ValueReader& v) {
    Seconds value;
    if (!v.Read(&value)) return false;
    if (value > kLongestConstant) {
      v.Error(absl::StrCat("`", v.path(), "` is out of range")).label = "must be at most 1 s";
      return false;
    }
    *out = value;
    return true;
  });
}

bool MapReader::Map(std::string_view key, const std::function<void(MapReader&)>& read, bool required) {
  return Get(key, required, [&](ValueReader& v) { return v.ReadMap(read); });
}

bool MapReader::List(std::string_view key, const std::function<void(ValueReader&)>& read, bool required) {
  return Get(key, required, [&](ValueReader& v) { return v.ReadList(read); });
}

bool MapReader::Value(std::string_view key, const std::function<void(ValueReader&)>& read, bool required) {
  return Get(key, required, [&](ValueReader& v) {
    read(v);
    return true;
  });
}

void MapReader::Ignore(std::string_view key) { state_->Know(key); }

bool MapReader::Has(std::string_view key) const { return state_->node->Find(std::string(key)) != nullptr; }

SourceLocation MapReader::where() const { return state_->node->where; }

SourceLocation MapReader::where(std::string_view key) const {
  const Node* value = state_->node->Find(std::string(key));
  return value == nullptr ? where() : value->where;
}

SourceLocation MapReader::where_key(std::string_view key) const {
  const Node::Entry* entry = state_->node->FindEntry(std::string(key));
  return entry == nullptr ? where() : entry->key_where;
}

const std::string& MapReader::path() const { return state_->path; }
std::string MapReader::path(std::string_view key) const { return Join(state_->path, key); }
const Node& MapReader::node() const { return *state_->node; }
Diagnostics& MapReader::diagnostics() { return *state_->diagnostics; }

Diagnostic& MapReader::Error(std::string_view key, std::string message) {
  return state_->diagnostics->Error(std::move(message), where(key));
}

void MapReader::Finish() {
  if (state_->finished) return;
  state_->finished = true;
  std::vector<std::string> unknown;
  for (const Node::Entry& entry : state_->node->entries) {
    if (std::find(state_->known.begin(), state_->known.end(), entry.key) != state_->known.end()) continue;
    // Finding near names takes time; beyond a screenful nobody reads them.
    const bool suggest = unknown.size() < kMostSuggestions;
    if (suggest) unknown.push_back(entry.key);
    Diagnostic& error = state_->diagnostics->Error(
        absl::StrCat("unknown key `", Shorten(entry.key), "` in ", Place(state_->path)), entry.key_where);
    if (!suggest) continue;
    const std::string nearest = NearestName(entry.key, state_->known);
    error.help.push_back(nearest.empty() ? absl::StrCat("keys that may stand here: ", ListOf(state_->known))
                                         : absl::StrCat("did you mean `", nearest, "`?"));
  }
  // A required key that is there under a misspelt name was reported once already.
  std::vector<std::string>& missing = state_->missing;
  missing.erase(std::remove_if(missing.begin(), missing.end(),
                               [&](const std::string& key) {
                                 return std::any_of(unknown.begin(), unknown.end(), [&](const std::string& name) {
                                   return NearestName(name, {key}) == key;
                                 });
                               }),
                missing.end());
  if (missing.empty()) return;
  state_->diagnostics->Error(absl::StrCat(Place(state_->path), " lacks the key", missing.size() > 1 ? "s `" : " `",
                                          absl::StrJoin(missing, "`, `"), "`"),
                             state_->node->where);
}

}  // namespace simulate
