#include "sim/output/inputs.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/output/format.h"

namespace simulate {
namespace {

using Json = nlohmann::ordered_json;

class Inputs {
 public:
  void Section(std::string name) { section_ = std::move(name); }
  void Add(const std::string& key, const std::string& value, const std::string& source = "") {
    if (!value.empty()) list_.push_back({{"section", section_}, {"key", key}, {"value", value}, {"source", source}});
  }
  void Add(const std::string& key, int64_t value) {
    if (value != 0) Add(key, absl::StrCat(value));
  }
  [[nodiscard]] std::string Text() const { return list_.dump(-1, ' ', false, Json::error_handler_t::replace); }

 private:
  std::string section_;
  Json list_ = Json::array();
};

std::string ShowRate(BytesPerSecond rate) { return rate.value() > 0.0 ? ShowSize(RoundBytes(rate.value())) + "/s" : ""; }
std::string ShowPeak(FlopsPerSecond peak) {
  return peak.value() > 0.0 ? ShowNumber(peak.value() * 1e-12, 4) + " TFLOPS" : "";
}

void AddModel(const ModelSpec& m, Inputs& inputs) {
  inputs.Section("model");
  inputs.Add("name", m.name);
  inputs.Add("hidden_size", m.hidden_size);
  inputs.Add("num_hidden_layers", m.num_hidden_layers);
  inputs.Add("num_decoder_layers", m.num_decoder_layers);
  inputs.Add("num_attention_heads", m.num_attention_heads);
  inputs.Add("num_key_value_heads", m.num_key_value_heads);
  inputs.Add("head_dim", m.head_dim);
  inputs.Add("intermediate_size", m.intermediate_size);
  inputs.Add("vocab_size", m.vocab_size);
  inputs.Add("num_local_experts", m.experts.num_local_experts);
  inputs.Add("num_experts_per_tok", m.experts.num_experts_per_tok);
}

void AddHardware(const HardwareSpec& h, Inputs& inputs) {
  const AcceleratorSpec& a = h.accelerator;
  const std::string sources = absl::StrJoin(a.sources, "; ");
  inputs.Section("accelerator");
  inputs.Add("name", a.name, sources);
  inputs.Add("memory", ShowSize(a.memory), sources);
  inputs.Add("memory bandwidth", ShowRate(a.memory_bandwidth), sources);
  inputs.Add("peak bf16", ShowPeak(a.peak_bf16), sources);
  inputs.Add("calibration", Name(a.calibration.confidence), a.calibration.source);
  inputs.Add("host", Name(a.host.confidence), a.host.source);
  inputs.Section("node");
  inputs.Add("name", h.node.name, absl::StrJoin(h.node.sources, "; "));
  inputs.Add("accelerators", h.node.accelerators);
  inputs.Add(absl::StrCat("scale-up (", h.node.scale_up.kind, ")"), ShowRate(h.node.scale_up.bandwidth), h.node.scale_up.source);
  inputs.Add("NICs", h.node.nics);
  inputs.Add(absl::StrCat("NIC (", h.node.nic.kind, ")"), ShowRate(h.node.nic.bandwidth), h.node.nic.source);
  inputs.Section("fabric");
  inputs.Add("name", h.fabric.name, absl::StrJoin(h.fabric.sources, "; "));
  inputs.Add("link", ShowRate(h.fabric.link.bandwidth), h.fabric.link.source);
}

void AddTraining(const Scenario& s, Inputs& inputs) {
  const TrainingSpec& t = s.training;
  inputs.Section("training");
  inputs.Add("micro_batch_size", t.micro_batch_size);
  inputs.Add("gradient_accumulation_steps", t.gradient_accumulation_steps);
  inputs.Add("sequence_length", t.sequence_length);
  inputs.Add("decoder_sequence_length", t.decoder_sequence_length);
  inputs.Add("precision", t.precision.name);
  inputs.Section("parallelism");
  inputs.Add("gpus", s.gpus);
  inputs.Add("tensor", s.parallelism.tensor);
  inputs.Add("pipeline stages", s.parallelism.pipeline.stages);
  inputs.Add("virtual stages", s.parallelism.pipeline.virtual_stages);
  inputs.Add("context", s.parallelism.context);
  inputs.Add("expert", s.parallelism.expert);
}

}  // namespace

std::string RenderInputs(const Scenario& scenario, const ReferenceSpec& reference) {
  Inputs inputs;
  AddModel(scenario.model, inputs);
  AddTraining(scenario, inputs);
  AddHardware(scenario.hardware, inputs);
  inputs.Section("reference");
  inputs.Add("source", reference.source, reference.source);
  return inputs.Text();
}

}  // namespace simulate
