#include "sim/chakra/description.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "sim/spec/kernel_names.h"

namespace simulate {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::array<const char*, 5> kRuntimes = {"eager", "compiled", "cuda_graph", "megatron", "neuron"};
constexpr std::array<const char*, 4> kStreamKinds = {"compute", "communication", "copy", "host"};
constexpr std::array<const char*, 6> kKernelKinds = {"gemm", "attention", "memory", "host_copy", "host_optimizer", "recorded"};
// A new enumerator needs its name here.
static_assert(kKernelKinds.size() == static_cast<size_t>(KernelKind::kRecorded) + 1);
static_assert(kRuntimes.size() == static_cast<size_t>(Runtime::kNeuron) + 1);
static_assert(kStreamKinds.size() == static_cast<size_t>(StreamKind::kHost) + 1);
constexpr std::array<const char*, 3> kPasses = {"forward", "data_gradient", "weight_gradient"};
constexpr std::array<const char*, 5> kAttention = {"flash", "memory_efficient", "flash2", "flash1", "triton"};
static_assert(kPasses.size() == static_cast<size_t>(GemmPass::kWeightGradient) + 1);
static_assert(kAttention.size() == static_cast<size_t>(AttentionKernel::kTriton) + 1);
constexpr std::array<const char*, 7> kOps = {"all_reduce", "all_gather", "reduce_scatter", "broadcast",
                                             "reduce",     "all_to_all", "sendrecv"};
static_assert(kOps.size() == static_cast<size_t>(CollectiveOp::kSendRecv) + 1);
constexpr int kPhases = static_cast<int>(Phase::kOptimizer) + 1;
constexpr int kDTypes = static_cast<int>(DType::kBool) + 1;

const char* Name(MemoryAccess access) {
  for (const auto& [name, value] : kAccessNames) {
    if (value == access) return name;
  }
  return "";
}
const char* Name(HostCall call) {
  for (const auto& [name, value] : kHostCallNames) {
    if (value == call) return name;
  }
  return "";
}

// ------------------------------------------------------------------ writing

// A group as `first:count:stride` where its ranks are evenly spaced, else as a list.
std::string GroupText(const std::vector<RankId>& group) {
  const int64_t stride = group.size() > 1 ? int64_t{group[1]} - int64_t{group[0]} : 1;
  bool even = true;
  for (size_t i = 1; i < group.size(); ++i) even = even && int64_t{group[i]} - int64_t{group[i - 1]} == stride;
  return even ? absl::StrCat(group[0], ":", group.size(), ":", stride) : absl::StrJoin(group, ",");
}

Json KernelJson(const KernelWork& w) {
  Json k = {{"kind", kKernelKinds.at(static_cast<size_t>(w.kind))}, {"dtype", Name(w.dtype)}};
  if (w.kind == KernelKind::kGemm) {
    k["gemm"] = {w.gemm.batch, w.gemm.m, w.gemm.n, w.gemm.k, kPasses.at(static_cast<size_t>(w.gemm.pass)), w.gemm.added_to};
  } else if (w.kind == KernelKind::kAttention) {
    const AttentionShape& a = w.attention;
    k["attention"] = {a.batch,    a.query_heads, a.key_value_heads, a.query_length, a.key_length,
                      a.head_dim, a.causal,      a.backward,        kAttention.at(static_cast<size_t>(a.kernel))};
    if (a.value_dim > 0) k["attention"].push_back(a.value_dim);
  } else if (w.kind == KernelKind::kMemory) {
    k["memory"] = {Name(w.access), w.rows, w.columns};
  }
  if (w.recorded.value() > 0.0) k["recorded"] = w.recorded.value();
  k["flops"] = w.flops.value();
  k["read"] = w.read.value();
  k["written"] = w.written.value();
  return k;
}

Json ContextJson(const TraceContext& c) {
  return {{"hardware", c.hardware},
          {"runtime", kRuntimes.at(static_cast<size_t>(c.runtime))},
          {"compute", Name(c.compute)},
          {"fp8_matmuls", c.fp8_matmuls},
          {"traced_kernels", c.traced_kernels},
          {"tensor", c.tensor},
          {"pipeline", c.pipeline},
          {"context", c.context},
          {"expert", c.expert},
          {"micro_batches", c.micro_batches}};
}

// ------------------------------------------------------------------ reading

// What goes wrong on the way is thrown as text and caught in ReadDescription, as the JSON library's own errors are.
[[noreturn]] void Reject(const std::string& what) { throw std::invalid_argument(what); }

template <typename Names>
size_t IndexOf(const Names& names, const std::string& name) {
  for (size_t i = 0; i < names.size(); ++i) {
    if (name == names[i]) return i;
  }
  Reject(absl::StrCat("`", name, "` is not known"));
}

template <typename Pairs>
auto ValueOf(const Pairs& pairs, const std::string& name) {
  for (const auto& [known, value] : pairs) {
    if (name == known) return value;
  }
  Reject(absl::StrCat("`", name, "` is not known"));
}

DType ReadDType(const std::string& name) {
  for (int t = 0; t < kDTypes; ++t) {
    if (name == Name(static_cast<DType>(t))) return static_cast<DType>(t);
  }
  Reject(absl::StrCat("the type `", name, "` is not known"));
}

Phase ReadPhase(const std::string& name) {
  for (int p = 0; p < kPhases; ++p) {
    if (name == Name(static_cast<Phase>(p))) return static_cast<Phase>(p);
  }
  Reject(absl::StrCat("the phase `", name, "` is not known"));
}

int64_t Count(const Json& value) {
  if (!value.is_number_integer() || value.get<int64_t>() < 0) Reject("a count that is not a whole number");
  return value.get<int64_t>();
}
double Real(const Json& value) {
  const double real = value.get<double>();
  if (!(real >= 0.0 && real < 1e30)) Reject("a number below 0 or beyond reason");
  return real;
}

KernelWork ReadKernel(const Json& k) {
  KernelWork w;
  w.kind = static_cast<KernelKind>(IndexOf(kKernelKinds, k.at("kind").get<std::string>()));
  w.dtype = ReadDType(k.at("dtype").get<std::string>());
  if (w.kind == KernelKind::kGemm) {
    const Json& g = k.at("gemm");
    w.gemm = {Count(g.at(0)), Count(g.at(1)), Count(g.at(2)), Count(g.at(3)),
              static_cast<GemmPass>(IndexOf(kPasses, g.at(4).get<std::string>())), g.size() > 5 ? Count(g.at(5)) : 0};
  } else if (w.kind == KernelKind::kAttention) {
    const Json& a = k.at("attention");
    w.attention = {Count(a.at(0)), Count(a.at(1)), Count(a.at(2)),        Count(a.at(3)),
                   Count(a.at(4)), Count(a.at(5)), a.at(6).get<bool>(), a.at(7).get<bool>(),
                   static_cast<AttentionKernel>(IndexOf(kAttention, a.at(8).get<std::string>())),
                   a.size() > 9 ? Count(a.at(9)) : 0};
  } else if (w.kind == KernelKind::kMemory) {
    const Json& m = k.at("memory");
    w.access = ValueOf(kAccessNames, m.at(0).get<std::string>());
    w.rows = Count(m.at(1));
    w.columns = Count(m.at(2));
  }
  if (k.contains("recorded")) w.recorded = Seconds(Real(k.at("recorded")));
  w.flops = Flops(Real(k.at("flops")));
  w.read = Bytes(Count(k.at("read")));
  w.written = Bytes(Count(k.at("written")));
  return w;
}

std::vector<RankId> ReadGroup(const std::string& text, int64_t world) {
  const bool even = text.find(':') != std::string::npos;
  std::vector<int64_t> numbers;
  for (const auto& part : absl::StrSplit(text, even ? ':' : ',')) {
    int64_t number = 0;
    if (!absl::SimpleAtoi(part, &number)) Reject(absl::StrCat("the group `", text, "`"));
    numbers.push_back(number);
  }
  if (even) {
    if (numbers.size() != 3 || numbers[1] < 1 || numbers[1] > world || std::abs(numbers[2]) > world) {
      Reject(absl::StrCat("the group `", text, "`"));
    }
    const auto [first, count, stride] = std::tuple(numbers[0], numbers[1], numbers[2]);
    numbers.clear();
    for (int64_t i = 0; i < count; ++i) numbers.push_back(first + i * stride);
  }
  std::vector<RankId> group;
  for (const int64_t rank : numbers) {
    if (rank < 0 || rank >= world) Reject(absl::StrCat("rank ", rank, " of ", world));
    group.push_back(static_cast<RankId>(rank));
  }
  return group;
}

Communicator ReadCommunicator(const Json& c, int64_t world) {
  Communicator communicator{c.at("name").get<std::string>(), {}};
  std::vector<uint8_t> seen(static_cast<size_t>(world), 0);
  for (const auto& part : absl::StrSplit(c.at("groups").get<std::string>(), ' ', absl::SkipEmpty())) {
    communicator.groups.push_back(ReadGroup(std::string(part), world));
    for (const RankId rank : communicator.groups.back()) {
      if (seen[rank]++ != 0) Reject(absl::StrCat("rank ", rank, " is in two groups of ", communicator.name));
    }
  }
  return communicator;
}

CollectiveCall ReadCollective(const Json& c, const Program& tables) {
  CollectiveCall call;
  call.op = static_cast<CollectiveOp>(IndexOf(kOps, c.at(0).get<std::string>()));
  call.communicator = static_cast<CommunicatorId>(Count(c.at(1)));
  call.bytes = Bytes(Count(c.at(2)));
  call.dtype = ReadDType(c.at(3).get<std::string>());
  if (call.communicator >= tables.communicators.size()) Reject("a collective on a communicator that is not there");
  return call;
}

int32_t Offset(const Json& value) {
  const auto offset = value.get<int64_t>();
  if (std::abs(offset) > kMostRanks) Reject(absl::StrCat("the offset ", offset));
  return static_cast<int32_t>(offset);
}

Transfer ReadTransfer(const Json& t, const Program& tables) {
  const Transfer transfer{static_cast<CommunicatorId>(Count(t.at(0))), Offset(t.at(1)), Bytes(Count(t.at(2))), Offset(t.at(3)),
                          Bytes(Count(t.at(4)))};
  if (transfer.communicator >= tables.communicators.size()) Reject("a transfer on a communicator that is not there");
  if (transfer.send_bytes + transfer.receive_bytes == Bytes(0)) Reject("a transfer of nothing");
  return transfer;
}

TraceContext ReadContext(const Json& j) {
  TraceContext c;
  c.hardware = j.at("hardware").get<std::string>();
  c.runtime = static_cast<Runtime>(IndexOf(kRuntimes, j.at("runtime").get<std::string>()));
  c.compute = ReadDType(j.at("compute").get<std::string>());
  c.fp8_matmuls = j.at("fp8_matmuls").get<bool>();
  c.traced_kernels = j.value("traced_kernels", false);  // not in the first exports
  c.tensor = std::max<int64_t>(1, Count(j.at("tensor")));
  c.pipeline = std::max<int64_t>(1, Count(j.at("pipeline")));
  c.context = std::max<int64_t>(1, Count(j.at("context")));
  c.expert = std::max<int64_t>(1, Count(j.at("expert")));
  c.micro_batches = Count(j.at("micro_batches"));
  return c;
}

Description ReadAll(const Json& j) {
  Description d;
  if (j.at("format").get<int>() != kDescriptionFormat) {
    Reject(absl::StrCat("format ", j.at("format").get<int>(), " is not ", kDescriptionFormat));
  }
  d.world_size = Count(j.at("world_size"));
  if (d.world_size < 1 || d.world_size > kMostRanks) Reject(absl::StrCat(d.world_size, " ranks"));
  d.context = ReadContext(j.at("context"));
  const Json& totals = j.at("totals");
  d.tables.totals = {Flops(Real(totals.at("model_flops"))), Flops(Real(totals.at("hardware_flops"))),
                     Real(totals.at("tokens")), Real(totals.at("samples")), Count(totals.at("parameters"))};
  for (const Json& s : j.at("streams")) {
    d.tables.streams.push_back(
        {s.at(0).get<std::string>(), static_cast<StreamKind>(IndexOf(kStreamKinds, s.at(1).get<std::string>()))});
  }
  if (d.tables.streams.size() >= 63) Reject("too many streams");
  for (const Json& c : j.at("communicators")) d.tables.communicators.push_back(ReadCommunicator(c, d.world_size));
  for (const Json& c : j.at("collectives")) d.tables.collectives.push_back(ReadCollective(c, d.tables));
  for (const Json& t : j.at("transfers")) d.tables.transfers.push_back(ReadTransfer(t, d.tables));
  for (const Json& k : j.at("kernels")) d.tables.kernels.push_back(ReadKernel(k));
  for (const Json& h : j.at("host_calls")) d.host_calls.push_back(ValueOf(kHostCallNames, h.get<std::string>()));
  for (const Json& p : j.at("phases")) d.phases.push_back(ReadPhase(p.get<std::string>()));
  for (const Json& t : j.at("dtypes")) d.dtypes.push_back(ReadDType(t.get<std::string>()));
  return d;
}

}  // namespace

std::string DescribeProgram(const Program& program, const TraceContext& context) {
  Json j = {{"format", kDescriptionFormat},
            {"world_size", program.world_size()},
            {"context", ContextJson(context)},
            {"totals",
             {{"model_flops", program.totals.model_flops.value()},
              {"hardware_flops", program.totals.hardware_flops.value()},
              {"tokens", program.totals.tokens},
              {"samples", program.totals.samples},
              {"parameters", program.totals.parameters}}}};
  for (const Stream& s : program.streams) j["streams"].push_back({s.name, kStreamKinds.at(static_cast<size_t>(s.kind))});
  j["communicators"] = Json::array();
  for (const Communicator& c : program.communicators) {
    std::vector<std::string> groups;
    for (const auto& group : c.groups) groups.push_back(GroupText(group));
    j["communicators"].push_back({{"name", c.name}, {"groups", absl::StrJoin(groups, " ")}});
  }
  j["collectives"] = Json::array();
  for (const CollectiveCall& c : program.collectives) {
    j["collectives"].push_back({Name(c.op), c.communicator, c.bytes.value(), Name(c.dtype)});
  }
  j["transfers"] = Json::array();
  for (const Transfer& t : program.transfers) {
    j["transfers"].push_back({t.communicator, t.send_offset, t.send_bytes.value(), t.receive_offset, t.receive_bytes.value()});
  }
  j["kernels"] = Json::array();
  for (const KernelWork& work : program.kernels) j["kernels"].push_back(KernelJson(work));
  for (int call = 0; call < kHostCalls; ++call) j["host_calls"].push_back(Name(static_cast<HostCall>(call)));
  for (int phase = 0; phase < kPhases; ++phase) j["phases"].push_back(Name(static_cast<Phase>(phase)));
  for (int type = 0; type < kDTypes; ++type) j["dtypes"].push_back(Name(static_cast<DType>(type)));
  return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Description> ReadDescription(const std::string& text, std::string* error) {
  try {
    return ReadAll(Json::parse(text));
  } catch (const Json::exception& e) {
    *error = e.what();
  } catch (const std::invalid_argument& e) {
    *error = e.what();
  }
  return std::nullopt;
}

}  // namespace simulate
