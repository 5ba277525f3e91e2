#include "sim/output/report_record.h"

#include <nlohmann/json.hpp>

namespace simulate {
namespace {

using Json = nlohmann::ordered_json;

// One description of the fields serves both ways: `Field` writes a value or reads it.
class Writer {
 public:
  template <typename T>
  void Field(const char* name, T& value) { json[name] = value; }
  template <typename Tag>
  void Field(const char* name, Quantity<Tag>& value) { json[name] = value.value(); }
  void Field(const char* name, Bytes& value) { json[name] = value.value(); }
  template <typename T, typename Each>
  void List(const char* name, std::vector<T>& list, const Each& each) {
    json[name] = Json::array();
    for (T& item : list) {
      Writer inner;
      each(inner, item);
      json[name].push_back(std::move(inner.json));
    }
  }
  Json json = Json::object();
};

class Reader {
 public:
  explicit Reader(const Json& j) : json(j) {}
  template <typename T>
  void Field(const char* name, T& value) { value = json.at(name).get<T>(); }
  template <typename Tag>
  void Field(const char* name, Quantity<Tag>& value) { value = Quantity<Tag>(json.at(name).get<double>()); }
  void Field(const char* name, Bytes& value) { value = Bytes(json.at(name).get<int64_t>()); }
  template <typename T, typename Each>
  void List(const char* name, std::vector<T>& list, const Each& each) {
    for (const Json& item : json.at(name)) {
      Reader inner(item);
      each(inner, list.emplace_back());
    }
  }
  const Json& json;
};

// An enum as its number.
template <typename Visitor, typename Enum>
void Number(Visitor& v, const char* name, Enum& value) {
  auto number = static_cast<int>(value);
  v.Field(name, number);
  value = static_cast<Enum>(number);
}

template <typename Visitor>
void VisitMemory(Visitor& v, MemoryUse& m) {
  v.Field("peak_allocated", m.peak_allocated);
  v.Field("peak_active", m.peak_active);
  v.Field("peak_reserved", m.peak_reserved);
  for (size_t c = 0; c < m.at_peak.size(); ++c) v.Field(Name(static_cast<MemoryCategory>(c)), m.at_peak[c]);
  v.Field("framework_outside", m.framework);
  v.Field("out_of_memory", m.out_of_memory);
  v.Field("requested", m.requested);
  Number(v, "failed_category", m.failed_category);
  v.Field("failed_instruction", m.failed_instruction);
  v.Field("retries", m.retries);
}

template <typename Visitor>
void VisitTimes(Visitor& v, Report& r) {
  v.Field("compute", r.breakdown.compute);
  v.List("exposed", r.breakdown.exposed_communication, [](auto& inner, auto& part) {
    inner.Field("kind", part.first);
    inner.Field("seconds", part.second);
  });
  v.Field("pipeline_bubble", r.breakdown.pipeline_bubble);
  v.Field("host_bound", r.breakdown.host_bound);
  v.Field("optimizer", r.breakdown.optimizer);
  v.Field("idle", r.breakdown.idle);
  v.Field("contention", r.breakdown.contention);
  v.Field("recompute", r.breakdown.recompute);
  v.Field("busy", r.communication.busy);
  v.Field("alone", r.communication.alone);
  v.Field("latency", r.communication.latency);
  v.Field("calls", r.communication.calls);
  v.List("path", r.path, [](auto& inner, PathShare& s) {
    inner.Field("kind", s.kind);
    inner.Field("group", s.group);
    inner.Field("link", s.link);
    inner.Field("over", s.over);
    inner.Field("seconds", s.seconds);
    inner.Field("share", s.share);
    inner.Field("count", s.count);
    inner.Field("gain", s.gain_of_ten_percent);
  });
  v.List("trust", r.trust, [](auto& inner, TrustNote& note) {
    inner.Field("what", note.what);
    Number(inner, "confidence", note.confidence);
    inner.Field("share", note.share);
  });
}

template <typename Visitor>
void Visit(Visitor& v, Report& r) {
  v.List("settings", r.settings, [](auto& inner, Setting& s) {
    inner.Field("key", s.first);
    inner.Field("value", s.second);
  });
  v.Field("gpus", r.gpus);
  v.Field("nodes", r.nodes);
  v.Field("data_parallel", r.data_parallel);
  v.Field("tensor_parallel", r.tensor_parallel);
  v.Field("pipeline_parallel", r.pipeline_parallel);
  v.Field("context_parallel", r.context_parallel);
  v.Field("expert_parallel", r.expert_parallel);
  v.Field("global_batch_size", r.global_batch_size);
  v.Field("run_out_of_memory", r.out_of_memory);
  v.Field("step_time", r.step_time);
  v.Field("tflops_per_gpu", r.tflops_per_gpu);
  v.Field("hardware_tflops_per_gpu", r.hardware_tflops_per_gpu);
  v.Field("mfu", r.mfu);
  v.Field("hfu", r.hfu);
  v.Field("tokens_per_s", r.tokens_per_s);
  v.Field("tokens_per_s_per_gpu", r.tokens_per_s_per_gpu);
  v.Field("samples_per_s", r.samples_per_s);
  v.Field("memory_rank", r.memory_rank);
  VisitMemory(v, r.memory);
  v.Field("memory_capacity", r.memory_capacity);
  v.Field("worst_rank", r.worst_rank);
  VisitTimes(v, r);
  v.Field("parameter_count", r.parameters);
  v.Field("model_flops", r.model_flops);
  v.Field("hardware_flops", r.hardware_flops);
  v.Field("tokens", r.tokens);
  v.Field("samples", r.samples);
  v.Field("micro_batches_simulated", r.micro_batches_simulated);
  v.Field("peak", r.peak);
  v.Field("advice", r.advice);
  v.Field("events", r.stats.events);
  v.Field("tasks", r.stats.tasks);
  v.Field("share_updates", r.stats.share_updates);
  v.Field("simulated_ranks", r.stats.simulated_ranks);
}

}  // namespace

std::string RecordReport(const Report& report) {
  Report copy = report;  // visited as if it were read
  Writer writer;
  Visit(writer, copy);
  return writer.json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<Report> ReadReportRecord(const std::string& record) {
  const Json json = Json::parse(record, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  Report report;
  try {  // a field that is missing or of another kind
    Reader reader(json);
    Visit(reader, report);
  } catch (const Json::exception&) {
    return std::nullopt;
  }
  return report;
}

}  // namespace simulate
