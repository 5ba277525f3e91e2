#include "sim/output/json.h"

#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "sim/report/explain.h"
#include "sim/report/metric.h"

namespace simulate {
namespace {

using Json = nlohmann::ordered_json;

// A setting's YAML text as the JSON value that it reads as.
Json Scalar(const std::string& text) {
  int64_t integer = 0;
  if (absl::SimpleAtoi(text, &integer)) return integer;
  double real = 0.0;
  if (absl::SimpleAtod(text, &real)) return real;
  if (text == "true" || text == "false") return text == "true";
  return text;
}

Json Number(const Report& r, const char* metric) {
  const std::optional<double> value = Metric(r, metric);
  return value ? Json(*value) : Json(nullptr);
}

Json BreakdownJson(const Report& r) {
  if (r.out_of_memory) return nullptr;
  Json exposed = Json::object();
  for (const auto& [kind, seconds] : r.breakdown.exposed_communication) exposed[kind] = seconds.value();
  return {{"compute", r.breakdown.compute.value()},
          {"exposed_communication", exposed},
          {"pipeline_bubble", r.breakdown.pipeline_bubble.value()},
          {"host_bound", r.breakdown.host_bound.value()},
          {"optimizer", r.breakdown.optimizer.value()},
          {"idle", r.breakdown.idle.value()}};
}

// Figures that are parts of others, so they stay out of `breakdown`, which sums to the step.
Json DetailJson(const Report& r) {
  if (r.out_of_memory) return nullptr;
  return {{"rank", r.worst_rank},
          {"contention_s", r.breakdown.contention.value()},
          {"recompute_s", r.breakdown.recompute.value()},
          {"communication_busy_s", r.communication.busy.value()},
          {"communication_alone_s", r.communication.alone.value()},
          {"communication_latency_s", r.communication.latency.value()},
          {"communication_calls", r.communication.calls},
          {"micro_batches_simulated", r.micro_batches_simulated},
          {"hardware_flops", r.hardware_flops.value()},
          {"peak_flops_per_s", r.peak.value()}};
}

// Largest first; null for runs that have none.
Json PathJson(const Report& r) {
  if (r.path.empty()) return nullptr;
  Json list = Json::array();
  for (const PathShare& s : r.path) {
    Json share = {{"kind", s.kind}};
    if (!s.group.empty()) share["group"] = s.group;
    if (!s.over.empty()) share["over"] = s.over;
    share["count"] = s.count;
    share["seconds"] = s.seconds.value();
    share["share"] = s.share;
    share["ten_percent_saves_s"] = s.gain_of_ten_percent.value();
    list.push_back(share);
  }
  return list;
}

Json MemoryJson(const Report& r) {
  Json memory = Json::object();
  for (size_t c = 0; c < r.memory.at_peak.size(); ++c) {
    memory[Name(static_cast<MemoryCategory>(c))] = r.memory.at_peak[c].value();
  }
  return memory;
}

Json OutOfMemoryJson(const Report& r) {
  return {{"requested_bytes", r.memory.requested.value()},
          {"category", Name(r.memory.failed_category)},
          {"rank", r.memory_rank}};
}

Json ReferenceJson(const Report& r) {
  Json list = Json::array();
  for (const ReferenceResult& x : r.reference) {
    Json point = {{"metric", x.metric},
                  {"value", x.value},
                  {"predicted", x.missing ? Json(nullptr) : Json(x.predicted)},
                  {"error", x.missing ? Json(nullptr) : Json(x.error)},
                  {"tolerance", x.tolerance > 0.0 ? Json(x.tolerance) : Json(nullptr)}};
    if (!x.note.empty()) point["note"] = x.note;
    list.push_back(point);
  }
  return list;
}

Json RunJson(const Report& r) {
  Json run;
  run["settings"] = Json::object();
  for (const auto& [key, value] : r.settings) run["settings"][key] = Scalar(value);
  run["gpus"] = r.gpus;
  run["nodes"] = r.nodes;
  run["data_parallel"] = r.data_parallel;
  run["tensor_parallel"] = r.tensor_parallel;
  run["pipeline_parallel"] = r.pipeline_parallel;
  run["context_parallel"] = r.context_parallel;
  run["expert_parallel"] = r.expert_parallel;
  run["global_batch_size"] = r.global_batch_size;
  run["status"] = r.out_of_memory ? "out_of_memory" : "ok";
  for (const char* name : {"step_time_s", "tflops_per_gpu", "hardware_tflops_per_gpu", "mfu", "hfu", "tokens_per_s",
                           "tokens_per_s_per_gpu", "samples_per_s"}) {
    run[name] = Number(r, name);
  }
  run["peak_allocated_bytes"] = r.memory.peak_allocated.value();
  run["peak_active_bytes"] = r.memory.peak_active.value();
  run["peak_reserved_bytes"] = r.memory.peak_reserved.value();
  run["memory_capacity_bytes"] = r.memory_capacity.value();
  run["memory"] = MemoryJson(r);
  if (r.out_of_memory) run["out_of_memory"] = OutOfMemoryJson(r);
  run["breakdown"] = BreakdownJson(r);
  run["detail"] = DetailJson(r);
  run["critical_path"] = PathJson(r);
  run["advice"] = r.advice;
  run["parameters"] = r.parameters;
  run["model_flops"] = r.model_flops.value();
  run["reference"] = ReferenceJson(r);
  run["confidence"] = Json::array();
  for (const TrustNote& note : r.trust) {
    run["confidence"].push_back({{"what", note.what}, {"confidence", Name(note.confidence)}, {"share", note.share}});
  }
  return run;
}

}  // namespace

std::string RenderJson(const std::string& title, const std::vector<Report>& reports) {
  Json result = {{"schema", kResultSchema}, {"title", title}, {"summary", Explain(reports)}, {"runs", Json::array()}};
  for (const Report& r : reports) result["runs"].push_back(RunJson(r));
  return result.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace simulate
