#include "sim/chakra/write_trace.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "chakra/chakra.pb.h"
#include "sim/spec/kernel_names.h"

namespace simulate {
namespace {

constexpr uint32_t kNone = 0xFFFFFFFF;
constexpr int64_t kMicrosecond = 1'000'000;  // ps
constexpr const char* kVersion = "0.0.4";    // of the schema, as the traces shipped with ASTRA-sim give it

chakra::CollectiveCommType CommType(CollectiveOp op) {
  switch (op) {
    case CollectiveOp::kAllReduce: return chakra::ALL_REDUCE;
    case CollectiveOp::kAllGather: return chakra::ALL_GATHER;
    case CollectiveOp::kReduceScatter: return chakra::REDUCE_SCATTER;
    case CollectiveOp::kBroadcast: return chakra::BROADCAST;
    case CollectiveOp::kReduce: return chakra::REDUCE;
    case CollectiveOp::kAllToAll: return chakra::ALL_TO_ALL;
    case CollectiveOp::kSendRecv: break;
  }
  return chakra::ALL_TO_ALL;
}

// Number of a communicator's first group. They count from 1, since 0 is everybody to ASTRA-sim, which multiplies them by
// a million in 32 bits: those of one rank alone get none.
std::vector<int64_t> FirstGroupNumbers(const Program& program) {
  std::vector<int64_t> first;
  int64_t next = 1;
  for (const Communicator& c : program.communicators) {
    first.push_back(next);
    const bool communicates = std::any_of(c.groups.begin(), c.groups.end(), [](const auto& g) { return g.size() > 1; });
    if (communicates) next += static_cast<int64_t>(c.groups.size());
  }
  return first;
}

// Where the rank stands in a communicator.
struct Place {
  uint32_t group = kNone;
  uint32_t place = 0;
};

class RankWriter {
 public:
  RankWriter(const TraceExport& what, RankId rank, std::ostream& out)
      : what_(what),
        program_(what.program),
        code_(program_.programs[program_.program_of_rank[rank]]),
        entry_(what.timeline.ranks[what.timeline.entry_of_rank[rank]]),
        rank_(rank),
        first_group_(FirstGroupNumbers(program_)),
        last_on_stream_(program_.streams.size()),
        nodes_of_(code_.instructions.size()),
        out_(out) {
    for (const Communicator& c : program_.communicators) {
      Place found;
      for (uint32_t g = 0; g < c.groups.size(); ++g) {
        const auto at = std::find(c.groups[g].begin(), c.groups[g].end(), rank);
        if (at != c.groups[g].end()) found = {g, static_cast<uint32_t>(at - c.groups[g].begin())};
      }
      places_.push_back(found);
    }
  }

  void Write(const std::string& ranks) {
    WriteMetadata(ranks);
    size_t span = 0;
    for (uint32_t at = code_.step_begin; at < code_.instructions.size(); ++at) {
      const Instruction& i = code_.instructions[at];
      switch (i.kind) {
        case InstructionKind::kHostWork: WriteHost(i, TracePart::kHostWork); break;
        case InstructionKind::kHostWait: WriteHost(i, TracePart::kHostWait); break;
        case InstructionKind::kAllocate:
        case InstructionKind::kFree: break;
        case InstructionKind::kKernel:
        case InstructionKind::kCollective:
        case InstructionKind::kTransfer:
          while (span < entry_.spans.size() && entry_.spans[span].instruction < at) ++span;
          WriteLaunch(at, i, span < entry_.spans.size() ? entry_.spans[span] : Span{});
      }
    }
  }

 private:
  void Emit(const google::protobuf::MessageLite& message) {
    buffer_.clear();
    {
      google::protobuf::io::StringOutputStream stream(&buffer_);
      google::protobuf::io::CodedOutputStream coded(&stream);
      coded.WriteVarint32(static_cast<uint32_t>(message.ByteSizeLong()));
      message.SerializeToCodedStream(&coded);
    }
    out_.write(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
  }

  template <typename Message>
  static chakra::AttributeProto* Add(Message& message, const char* name) {
    chakra::AttributeProto* attribute = message.add_attr();
    attribute->set_name(name);
    return attribute;
  }

  void WriteMetadata(const std::string& ranks) {
    chakra::GlobalMetadata metadata;
    metadata.set_version(kVersion);
    Add(metadata, "generator")->set_string_val(what_.generator);
    Add(metadata, "rank")->set_int64_val(rank_);
    Add(metadata, "simulate.ranks")->set_string_val(ranks);
    Add(metadata, "simulate.program")->set_string_val(what_.description);
    Emit(metadata);
  }

  // A host clock as the engine's: calls follow one another, a host that blocks goes on when the last wait is over.
  void WriteHost(const Instruction& i, TracePart part) {
    const int64_t begin = host_ps_;
    host_ps_ += what_.host_call_ps[static_cast<size_t>(i.host)] * i.host_count;
    const int64_t paid = host_ps_;  // blocking is what the dependencies say, not time of its own
    chakra::Node node = NewNode(part == TracePart::kHostWait ? "synchronize" : HostCallName(i), chakra::COMP_NODE);
    if (host_node_ != 0) node.add_data_deps(host_node_);
    for (const uint32_t wait : code_.Waits(i)) {
      AddDeps(nodes_of_[wait], node);
      host_ps_ = std::max(host_ps_, ends_[wait - code_.step_begin]);
    }
    SetTimes(begin, paid, node);
    Add(node, "is_cpu_op")->set_bool_val(true);
    AddOwn(node, {static_cast<int64_t>(part), static_cast<int64_t>(i.host), i.host_count,
                  static_cast<int64_t>(i.phase), i.layer});
    host_node_ = node.id();
    Emit(node);
  }

  void WriteLaunch(uint32_t at, const Instruction& i, const Span& span) {
    if (i.host != HostCall::kNone) {
      Instruction host = i;
      host.wait_count = 0;
      WriteHost(host, TracePart::kEnqueue);
    }
    ends_.resize(at - code_.step_begin + 1, 0);
    ends_.back() = span.end.picoseconds();
    NodePair written;
    if (i.kind == InstructionKind::kKernel) {
      written.first = WriteKernel(i, span);
    } else if (i.kind == InstructionKind::kCollective) {
      written.first = WriteCollective(i, span);
    } else {
      written = WriteTransfer(i, span);
    }
    nodes_of_[at] = written;
    last_on_stream_[i.stream] = written;
  }

  struct NodePair {  // an exchange is two nodes; 0: none
    uint64_t first = 0;
    uint64_t second = 0;
  };

  static void AddDeps(const NodePair& nodes, chakra::Node& node) {
    for (const uint64_t id : {nodes.first, nodes.second}) {
      if (id == 0 || std::find(node.data_deps().begin(), node.data_deps().end(), id) != node.data_deps().end()) continue;
      node.add_data_deps(id);
    }
  }

  chakra::Node NewNode(const std::string& name, chakra::NodeType type) {
    chakra::Node node;
    node.set_id(next_id_++);
    node.set_name(name);
    node.set_type(type);
    return node;
  }

  chakra::Node DeviceNode(const Instruction& i, const Span& span, chakra::NodeType type) {
    chakra::Node node = NewNode(program_.names[i.name], type);
    if (host_node_ != 0) node.add_data_deps(host_node_);
    AddDeps(last_on_stream_[i.stream], node);
    for (const uint32_t wait : code_.Waits(i)) AddDeps(nodes_of_[wait], node);
    SetTimes(span.start.picoseconds(), span.end.picoseconds(), node);
    Add(node, "is_cpu_op")->set_bool_val(false);
    Add(node, "stream")->set_int64_val(i.stream);
    return node;
  }

  // Both ends are rounded, so that durations add up along a stream.
  static void SetTimes(int64_t begin, int64_t end, chakra::Node& node) {
    const int64_t first = (begin + kMicrosecond / 2) / kMicrosecond;
    const int64_t last = (end + kMicrosecond / 2) / kMicrosecond;
    node.set_start_time_micros(static_cast<uint64_t>(first));
    node.set_duration_micros(static_cast<uint64_t>(std::max<int64_t>(0, last - first)));
  }

  static void AddOwn(chakra::Node& node, std::initializer_list<int64_t> numbers) {
    chakra::Int64List* list = Add(node, "simulate")->mutable_int64_list();
    for (const int64_t n : numbers) list->add_values(n);
  }

  uint64_t WriteKernel(const Instruction& i, const Span& span) {
    const KernelWork& work = program_.kernels[i.object];
    chakra::Node node = DeviceNode(i, span, chakra::COMP_NODE);
    // ASTRA-sim divides by the operations, so work that only moves bytes has one.
    Add(node, "num_ops")->set_int64_val(static_cast<int64_t>(std::clamp(work.flops.value(), 1.0, 9e18)));
    Add(node, "tensor_size")->set_uint64_val(static_cast<uint64_t>((work.read + work.written).value()));
    AddOwn(node, {static_cast<int64_t>(TracePart::kKernel), static_cast<int64_t>(i.phase), i.layer, i.object});
    Emit(node);
    return node.id();
  }

  // A call on a group of one costs nothing and is no communication to others.
  uint64_t WriteCollective(const Instruction& i, const Span& span) {
    const CollectiveCall& call = program_.collectives[i.object];
    const Place& place = places_[call.communicator];
    const auto size = static_cast<int64_t>(program_.communicators[call.communicator].groups[place.group].size());
    chakra::Node node = DeviceNode(i, span, size > 1 ? chakra::COMM_COLL_NODE : chakra::COMP_NODE);
    const int64_t input = call.op == CollectiveOp::kAllGather ? call.bytes.value() / size : call.bytes.value();
    if (size > 1) {
      Add(node, "comm_type")->set_int64_val(CommType(call.op));
      Add(node, "comm_size")->set_int64_val(input);
      Add(node, "pg_name")->set_string_val(absl::StrCat(first_group_[call.communicator] + place.group));
    }
    AddOwn(node, {static_cast<int64_t>(TracePart::kCollective), static_cast<int64_t>(i.phase), i.layer, i.object});
    Emit(node);
    return node.id();
  }

  NodePair WriteTransfer(const Instruction& i, const Span& span) {
    const Transfer& t = program_.transfers[i.object];
    const Place& place = places_[t.communicator];
    const std::vector<RankId>& group = program_.communicators[t.communicator].groups[place.group];
    const auto size = static_cast<int64_t>(group.size());
    const auto peer = [&](int64_t offset) {
      return static_cast<int32_t>(group[static_cast<size_t>((((place.place + offset) % size) + size) % size)]);
    };
    NodePair written;
    const auto write = [&](chakra::NodeType type, TracePart part, Bytes bytes, int32_t from, int32_t to) {
      chakra::Node node = DeviceNode(i, span, type);
      Add(node, "comm_size")->set_int64_val(bytes.value());
      Add(node, "comm_src")->set_int32_val(from);
      Add(node, "comm_dst")->set_int32_val(to);
      Add(node, "comm_tag")->set_int32_val(static_cast<int32_t>(t.communicator));
      AddOwn(node, {static_cast<int64_t>(part), static_cast<int64_t>(i.phase), i.layer, i.object});
      Emit(node);
      return node.id();
    };
    const auto self = static_cast<int32_t>(rank_);
    if (t.send_bytes > Bytes(0)) {
      written.first = write(chakra::COMM_SEND_NODE, TracePart::kSend, t.send_bytes, self, peer(t.send_offset));
    }
    if (t.receive_bytes > Bytes(0)) {
      written.second = write(chakra::COMM_RECV_NODE, TracePart::kReceive, t.receive_bytes, peer(t.receive_offset), self);
    }
    return written;
  }

  static std::string HostCallName(const Instruction& i) {
    for (const auto& [name, call] : kHostCallNames) {
      if (call == i.host) return i.host_count > 1 ? absl::StrCat("host ", name, " x", i.host_count) : absl::StrCat("host ", name);
    }
    return "host";
  }

  const TraceExport& what_;
  const Program& program_;
  const RankProgram& code_;
  const RankTimeline& entry_;
  RankId rank_;
  std::vector<int64_t> first_group_;
  std::vector<Place> places_;
  std::vector<NodePair> last_on_stream_;
  std::vector<NodePair> nodes_of_;  // by instruction
  std::vector<int64_t> ends_;       // ps, by instruction of the step
  int64_t host_ps_ = 0;
  uint64_t host_node_ = 0;
  uint64_t next_id_ = 1;  // 0 stands for none
  std::string buffer_;
  std::ostream& out_;
};

}  // namespace

void WriteRankTrace(const TraceExport& what, RankId rank, const std::string& ranks, std::ostream& out) {
  RankWriter(what, rank, out).Write(ranks);
}

void WriteCommGroups(const Program& program, std::ostream& out) {
  const std::vector<int64_t> first = FirstGroupNumbers(program);
  const char* separator = "{";
  for (size_t c = 0; c < program.communicators.size(); ++c) {
    const auto& groups = program.communicators[c].groups;
    for (size_t g = 0; g < groups.size(); ++g) {
      if (groups[g].size() < 2) continue;
      out << separator << "\n\"" << first[c] + static_cast<int64_t>(g) << "\": [" << absl::StrJoin(groups[g], ", ") << "]";
      separator = ",";
    }
  }
  if (*separator == '{') out << "{";
  out << "\n}\n";
}

int64_t EstimateTraceBytes(const Program& program, RankId rank) {
  constexpr int64_t kHostNode = 75;     // as measured on exports
  constexpr int64_t kDeviceNode = 150;
  int64_t bytes = 0;
  for (const Instruction& i : program.programs[program.program_of_rank[rank]].instructions) {
    if (i.kind == InstructionKind::kAllocate || i.kind == InstructionKind::kFree) continue;
    if (i.host != HostCall::kNone || !IsLaunch(i.kind)) bytes += kHostNode;
    if (IsLaunch(i.kind)) bytes += kDeviceNode;
  }
  return bytes;
}

}  // namespace simulate
