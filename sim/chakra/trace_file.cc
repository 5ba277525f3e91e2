#include "sim/chakra/trace_file.h"

#include <filesystem>
#include <fstream>
#include <map>
#include <queue>
#include <set>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "chakra/chakra.pb.h"

namespace simulate {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kMostMessage = uint64_t{1} << 28;
constexpr size_t kMostReports = 10;  // of one kind in one file

using Value = chakra::AttributeProto;

// Any number that an attribute may hold; ASTRA-sim's feeder converts likewise.
std::optional<double> Number(const Value& a) {
  switch (a.value_case()) {
    case Value::kDoubleVal: return a.double_val();
    case Value::kFloatVal: return a.float_val();
    case Value::kInt32Val: return a.int32_val();
    case Value::kInt64Val: return static_cast<double>(a.int64_val());
    case Value::kUint32Val: return a.uint32_val();
    case Value::kUint64Val: return static_cast<double>(a.uint64_val());
    case Value::kSint32Val: return a.sint32_val();
    case Value::kSint64Val: return static_cast<double>(a.sint64_val());
    case Value::kFixed32Val: return a.fixed32_val();
    case Value::kFixed64Val: return static_cast<double>(a.fixed64_val());
    case Value::kSfixed32Val: return a.sfixed32_val();
    case Value::kSfixed64Val: return static_cast<double>(a.sfixed64_val());
    case Value::kBoolVal: return a.bool_val() ? 1.0 : 0.0;
    default: return std::nullopt;
  }
}

std::optional<int64_t> Integer(const Value& a) {
  if (a.value_case() == Value::kInt64Val) return a.int64_val();  // exact beyond 2^53
  const std::optional<double> number = Number(a);
  if (!number || !(*number > -9e18 && *number < 9e18)) return std::nullopt;
  return static_cast<int64_t>(*number);
}

void ReadAttributes(const chakra::Node& message, TraceNode& node) {
  for (const Value& a : message.attr()) {
    const std::string& name = a.name();
    if (name == "is_cpu_op") node.cpu = Number(a).value_or(0.0) != 0.0;
    if (name == "num_ops") node.num_ops = std::max(0.0, Number(a).value_or(0.0));
    if (name == "tensor_size") node.tensor_size = Integer(a);
    if (name == "comm_type") node.comm_type = Integer(a);
    if (name == "comm_size") node.comm_size = Integer(a);
    if (name == "comm_src") node.comm_src = Integer(a);
    if (name == "comm_dst") node.comm_dst = Integer(a);
    if (name == "comm_tag") node.comm_tag = Integer(a);
    if (name == "stream") node.stream = Integer(a);
    if (name == "tid") node.thread = Integer(a);
    if (name == "pg_name") {
      const std::optional<int64_t> number = Integer(a);
      node.group = number ? absl::StrCat(*number) : a.string_val();
    }
    if (name == "involved_dim") {
      for (const bool involved : a.bool_list().values()) node.partial_dimensions = node.partial_dimensions || !involved;
    }
    if (name == "simulate") node.own.assign(a.int64_list().values().begin(), a.int64_list().values().end());
  }
}

std::optional<TraceNodeKind> KindOf(chakra::NodeType type) {
  switch (type) {
    case chakra::METADATA_NODE: return TraceNodeKind::kMetadata;
    case chakra::MEM_LOAD_NODE: return TraceNodeKind::kMemoryLoad;
    case chakra::MEM_STORE_NODE: return TraceNodeKind::kMemoryStore;
    case chakra::COMP_NODE: return TraceNodeKind::kCompute;
    case chakra::COMM_SEND_NODE: return TraceNodeKind::kSend;
    case chakra::COMM_RECV_NODE: return TraceNodeKind::kReceive;
    case chakra::COMM_COLL_NODE: return TraceNodeKind::kCollective;
    default: return std::nullopt;
  }
}

// Reports at most kMostReports of one kind.
class Reporter {
 public:
  Reporter(std::string file, Diagnostics& diagnostics) : file_(std::move(file)), diagnostics_(diagnostics) {}
  Diagnostic& Error(std::string message) { return diagnostics_.Error(std::move(message), {file_}); }
  bool Enough(const char* kind) { return ++counts_[kind] > kMostReports; }
  [[nodiscard]] bool failed() const { return diagnostics_.errors() > before_; }

 private:
  std::string file_;
  Diagnostics& diagnostics_;
  int64_t before_ = diagnostics_.errors();
  std::map<std::string, size_t> counts_;
};

class Reader {
 public:
  Reader(const std::string& bytes, TraceFile& file, Reporter& report) : bytes_(bytes), file_(file), report_(report) {}

  bool Read() {
    std::string_view message;
    if (bytes_.empty()) {
      report_.Error("the trace is empty").help.push_back("a Chakra trace begins with a GlobalMetadata message");
      return false;
    }
    if (!Next("the GlobalMetadata", &message)) return false;
    chakra::GlobalMetadata metadata;
    if (!metadata.ParseFromArray(message.data(), static_cast<int>(message.size()))) return NotProtobuf("a GlobalMetadata message");
    for (const Value& a : metadata.attr()) {
      if (a.name() == "simulate.program") file_.description = a.string_val();
      if (a.name() == "simulate.ranks") file_.ranks = a.string_val();
    }
    for (size_t n = 1; at_ < bytes_.size(); ++n) {
      if (!Next(absl::StrCat("message ", n), &message)) return false;
      chakra::Node node;
      if (!node.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
        return NotProtobuf(absl::StrCat("a Node, as message ", n, " should be"));
      }
      Take(node);
    }
    return true;
  }

 private:
  bool Next(const std::string& what, std::string_view* message) {
    begin_ = at_;
    uint64_t length = 0;
    for (int shift = 0;; shift += 7) {
      if (at_ == bytes_.size()) return Truncated(what, "its length", 1, 0);
      if (shift > 56) return NotProtobuf(absl::StrCat("the length of ", what));
      const auto byte = static_cast<uint8_t>(bytes_[at_++]);
      length |= uint64_t{byte & 0x7FU} << shift;
      if ((byte & 0x80U) == 0) break;
    }
    if (length > kMostMessage) return NotProtobuf(absl::StrCat("the length of ", what));
    if (length > bytes_.size() - at_) return Truncated(what, "the message", length, bytes_.size() - at_);
    *message = std::string_view(bytes_).substr(at_, length);
    at_ += length;
    return true;
  }

  bool Truncated(const std::string& what, const char* part, uint64_t length, uint64_t left) {
    Diagnostic& d = report_.Error(absl::StrCat("the trace ends within ", what));
    d.notes.push_back({absl::StrCat("at byte ", begin_, " ", part, " is ", length, " bytes long, and ", left, " are left"), {}});
    d.help.push_back("the file is cut short, or no Chakra trace: copy or convert it again");
    return false;
  }

  bool NotProtobuf(const std::string& what) {
    Diagnostic& d = report_.Error(absl::StrCat("byte ", begin_, " does not begin ", what));
    d.help.push_back("expected a Chakra trace in its protobuf form (chakra_converter writes it), not JSON or text");
    return false;
  }

  void Take(const chakra::Node& message) {
    TraceNode node;
    node.id = message.id();
    node.name = message.name();
    const std::optional<TraceNodeKind> kind = KindOf(message.type());
    if (!kind) {
      if (report_.Enough("type")) return;
      Diagnostic& d = report_.Error(absl::StrCat(NodeText(node), " has the unknown type ", static_cast<int>(message.type())));
      d.help.push_back("1 metadata, 2 memory load, 3 memory store, 4 compute, 5 send, 6 receive, 7 collective");
      return;
    }
    node.kind = *kind;
    node.data_deps.assign(message.data_deps().begin(), message.data_deps().end());
    node.ctrl_deps.assign(message.ctrl_deps().begin(), message.ctrl_deps().end());
    node.duration_us = message.duration_micros();
    if (node.duration_us > 1'000'000'000'000ULL && !report_.Enough("duration")) {
      report_.Error(absl::StrCat(NodeText(node), " takes ", node.duration_us, " microseconds, more than ten days"));
    }
    if (node.kind == TraceNodeKind::kMetadata) node.values = message.inputs().values();
    ReadAttributes(message, node);
    file_.nodes.push_back(std::move(node));
  }

  const std::string& bytes_;
  TraceFile& file_;
  Reporter& report_;
  size_t at_ = 0;
  size_t begin_ = 0;
};

// Dependencies as indices, and an order that respects them.
class Sorter {
 public:
  Sorter(TraceFile& file, Reporter& report) : file_(file), report_(report) {
    for (uint32_t i = 0; i < file.nodes.size(); ++i) {
      const auto [known, added] = index_.try_emplace(file.nodes[i].id, i);
      if (added || report.Enough("twice")) continue;
      Diagnostic& d = report.Error(absl::StrCat(NodeText(file.nodes[i]), " has the id of an earlier node"));
      d.notes.push_back({absl::StrCat("the earlier one is ", NodeText(file.nodes[known->second])), {}});
    }
  }

  void Sort() {
    if (!AddDataDeps()) return;
    const std::vector<std::vector<uint32_t>> data_only = file_.deps;
    const bool complete = AddControlDeps();
    if (complete && Order()) return;
    const bool has_control = file_.deps != data_only;
    file_.deps = data_only;
    if (!Order()) return ReportCycle();
    file_.control_ignored = has_control || !complete;
  }

 private:
  bool AddDataDeps() {
    file_.deps.resize(file_.nodes.size());
    bool all = true;
    for (uint32_t i = 0; i < file_.nodes.size(); ++i) {
      for (const uint64_t id : file_.nodes[i].data_deps) {
        const auto found = index_.find(id);
        if (found != index_.end()) {
          file_.deps[i].push_back(found->second);
          continue;
        }
        all = false;
        if (report_.Enough("missing")) continue;
        report_.Error(absl::StrCat(NodeText(file_.nodes[i]), " depends on node ", id, ", which the trace does not have"));
      }
    }
    return all;
  }

  bool AddControlDeps() {
    bool all = true;
    for (uint32_t i = 0; i < file_.nodes.size(); ++i) {
      for (const uint64_t id : file_.nodes[i].ctrl_deps) {
        const auto found = index_.find(id);
        if (found == index_.end()) {
          all = false;
        } else if (std::find(file_.deps[i].begin(), file_.deps[i].end(), found->second) == file_.deps[i].end()) {
          file_.deps[i].push_back(found->second);
        }
      }
    }
    return all;
  }

  // Kahn's algorithm; false: there is a cycle.
  bool Order() {
    file_.order.clear();
    std::vector<uint32_t> open(file_.nodes.size(), 0);
    std::vector<std::vector<uint32_t>> children(file_.nodes.size());
    using Entry = std::pair<uint64_t, uint32_t>;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
    for (uint32_t i = 0; i < file_.nodes.size(); ++i) {
      open[i] = static_cast<uint32_t>(file_.deps[i].size());
      for (const uint32_t dep : file_.deps[i]) children[dep].push_back(i);
      if (open[i] == 0) ready.emplace(file_.nodes[i].id, i);
    }
    while (!ready.empty()) {
      const uint32_t node = ready.top().second;
      ready.pop();
      file_.order.push_back(node);
      for (const uint32_t child : children[node]) {
        if (--open[child] == 0) ready.emplace(file_.nodes[child].id, child);
      }
    }
    return file_.order.size() == file_.nodes.size();
  }

  // Follows unfinished dependencies until a node comes again.
  void ReportCycle() {
    std::vector<uint8_t> done(file_.nodes.size(), 0);
    for (const uint32_t node : file_.order) done[node] = 1;
    uint32_t at = 0;
    while (done[at] != 0) ++at;
    std::vector<uint32_t> path;
    std::map<uint32_t, size_t> place;
    while (place.try_emplace(at, path.size()).second) {
      path.push_back(at);
      for (const uint32_t dep : file_.deps[at]) {
        if (done[dep] == 0) at = dep;
      }
    }
    std::vector<std::string> circle;
    for (size_t i = place[at]; i < path.size(); ++i) circle.push_back(NodeText(file_.nodes[path[i]]));
    if (circle.size() > 6) {
      const size_t dropped = circle.size() - 5;
      circle.erase(circle.begin() + 4, circle.end() - 1);
      circle.insert(circle.begin() + 4, absl::StrCat(dropped, " more"));
    }
    Diagnostic& d = report_.Error("the trace's data dependencies run in a circle");
    d.notes.push_back({absl::StrCat(absl::StrJoin(circle, " waits for "), ", which waits for the first"), {}});
  }

  TraceFile& file_;
  Reporter& report_;
  absl::flat_hash_map<uint64_t, uint32_t> index_;  // look-up only
};

// PREFIX.<rank>.et; nullopt: another file.
std::optional<std::pair<std::string, RankId>> SplitName(const std::string& name) {
  if (name.size() < 5 || name.substr(name.size() - 3) != ".et") return std::nullopt;
  const std::string stem = name.substr(0, name.size() - 3);
  const size_t dot = stem.rfind('.');
  if (dot == std::string::npos || dot + 1 == stem.size()) return std::nullopt;
  const std::string number = stem.substr(dot + 1);
  uint32_t rank = 0;
  if (number.find_first_not_of("0123456789") != std::string::npos || !absl::SimpleAtoi(number, &rank)) return std::nullopt;
  return std::pair(stem.substr(0, dot), rank);
}

}  // namespace

std::string NodeText(const TraceNode& node) {
  constexpr size_t kShown = 60;
  const std::string name = node.name.size() > kShown ? node.name.substr(0, kShown) + "..." : node.name;
  return absl::StrCat("node ", node.id, " `", name, "`");
}

std::optional<TraceFolder> FindTraces(const std::string& path, Diagnostics& diagnostics) {
  std::error_code error;
  TraceFolder traces;
  const bool folder = fs::is_directory(path, error);
  traces.folder = folder ? path : fs::path(path).parent_path().string();
  if (traces.folder.empty()) traces.folder = ".";
  const std::string wanted = folder ? "" : fs::path(path).filename().string();
  std::map<std::string, std::vector<std::pair<RankId, std::string>>> by_prefix;
  fs::directory_iterator entries(traces.folder, error);
  if (error) {
    diagnostics.Error(absl::StrCat("cannot read the folder `", traces.folder, "`: ", error.message()));
    return std::nullopt;
  }
  for (const fs::directory_entry& entry : entries) {
    const auto name = SplitName(entry.path().filename().string());
    if (name && (wanted.empty() || name->first == wanted)) by_prefix[name->first].emplace_back(name->second, entry.path().string());
  }
  if (by_prefix.empty()) {
    Diagnostic& d = diagnostics.Error(absl::StrCat("there are no Chakra traces in `", path, "`"));
    d.help.push_back("a trace has a file per rank, named PREFIX.<rank>.et: give their folder, or the folder and PREFIX");
    return std::nullopt;
  }
  if (by_prefix.size() > 1) {
    std::vector<std::string> names;
    for (const auto& [prefix, files] : by_prefix) names.push_back((fs::path(traces.folder) / prefix).string());
    Diagnostic& d = diagnostics.Error(absl::StrCat("`", path, "` holds several traces"));
    d.help.push_back(absl::StrCat("name one: ", absl::StrJoin(names, ", ")));
    return std::nullopt;
  }
  traces.prefix = by_prefix.begin()->first;
  traces.files = std::move(by_prefix.begin()->second);
  std::sort(traces.files.begin(), traces.files.end());
  const fs::path groups = fs::path(traces.folder) / "comm_groups.json";
  if (fs::exists(groups, error)) traces.comm_groups = groups.string();
  return traces;
}

std::optional<TraceFile> ReadTraceFile(const std::string& path, RankId rank, Diagnostics& diagnostics) {
  TraceFile file;
  file.path = path;
  file.rank = rank;
  Reporter report(path, diagnostics);
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  const auto size = in ? static_cast<std::streamoff>(in.tellg()) : -1;
  std::string bytes(size > 0 ? static_cast<size_t>(size) : 0, '\0');
  if (size > 0) in.seekg(0).read(bytes.data(), size);
  if (!in || size < 0) {
    diagnostics.Error(absl::StrCat("cannot read `", path, "`"));
    return std::nullopt;
  }
  if (!Reader(bytes, file, report).Read()) return std::nullopt;
  if (file.nodes.empty() && !report.failed()) report.Error("the trace has no nodes");
  if (!report.failed()) Sorter(file, report).Sort();
  if (report.failed()) return std::nullopt;
  return file;
}

}  // namespace simulate
