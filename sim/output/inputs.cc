#include "sim/output/inputs.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

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

const char* NameOf(Checkpointing c) {
  switch (c) {
    case Checkpointing::kNone: return "none";
    case Checkpointing::kSelective: return "selective";
    case Checkpointing::kSelectiveOperators: return "selective by operators";
    case Checkpointing::kFull: return "full";
  }
  return "";
}
const char* NameOf(AttentionImplementation a) {
  switch (a) {
    case AttentionImplementation::kFlash: return "flash";
    case AttentionImplementation::kEager: return "eager";
    case AttentionImplementation::kMemoryEfficient: return "memory efficient";
    case AttentionImplementation::kSdpa: return "sdpa";
    case AttentionImplementation::kFlash2: return "flash2";
    case AttentionImplementation::kFlash1: return "flash1";
    case AttentionImplementation::kTriton: return "triton";
    case AttentionImplementation::kFusedSoftmax: return "fused softmax";
  }
  return "";
}
const char* NameOf(Optimizer o) {
  switch (o) {
    case Optimizer::kAdamW: return "adamw";
    case Optimizer::kAdam8bit: return "adam8bit";
    case Optimizer::kSgd: return "sgd";
    case Optimizer::kMomentum: return "momentum";
    case Optimizer::kAdafactor: return "adafactor";
  }
  return "";
}
const char* NameOf(OptimizerKernel k) {
  switch (k) {
    case OptimizerKernel::kFused: return ", fused";
    case OptimizerKernel::kForeach: return ", foreach";
    case OptimizerKernel::kForLoop: return ", for_loop";
  }
  return "";
}

const char* NameOf(Runtime r) {
  switch (r) {
    case Runtime::kEager: return "eager";
    case Runtime::kCompiled: return "compiled";
    case Runtime::kCudaGraph: return "CUDA graph";
    case Runtime::kMegatron: return "Megatron";
    case Runtime::kNeuron: return "Neuron";
  }
  return "";
}
const char* NameOf(DataStrategy d) {
  switch (d) {
    case DataStrategy::kDdp: return "ddp";
    case DataStrategy::kFsdp: return "fsdp";
    case DataStrategy::kZero1: return "zero1";
    case DataStrategy::kZero2: return "zero2";
    case DataStrategy::kZero3: return "zero3";
  }
  return "";
}
const char* NameOf(Sharding sharding) {
  switch (sharding) {
    case Sharding::kFullShard: return "full_shard";
    case Sharding::kHybridShard: return "hybrid_shard";
    case Sharding::kShardGradOp: return "shard_grad_op";
    case Sharding::kNoShard: return "no_shard";
  }
  return "";
}
const char* NameOf(PipelineScheduleKind kind) {
  switch (kind) {
    case PipelineScheduleKind::kGpipe: return "gpipe";
    case PipelineScheduleKind::k1F1B: return "1f1b";
    case PipelineScheduleKind::kInterleaved1F1B: return "interleaved_1f1b";
    case PipelineScheduleKind::kZeroBubbleH1: return "zero_bubble_h1";
    case PipelineScheduleKind::kZeroBubbleV: return "zero_bubble_v";
    case PipelineScheduleKind::kDualPipe: return "dualpipe";
  }
  return "";
}
std::string YesNo(bool b) { return b ? "yes" : "no"; }
std::string ShowWait(Seconds s) { return s.value() > 0.0 ? ShowTime(s) : ""; }
std::string ShowShare(double share) { return share > 0.0 ? ShowNumber(share, 3) : ""; }

void AddModel(const ModelSpec& m, Inputs& inputs) {
  inputs.Section("model");
  inputs.Add("name", m.name);
  inputs.Add("family", Name(m.family));
  inputs.Add("hidden_size", m.hidden_size);
  inputs.Add("num_hidden_layers", m.num_hidden_layers);
  inputs.Add("num_decoder_layers", m.num_decoder_layers);
  inputs.Add("num_attention_heads", m.num_attention_heads);
  inputs.Add("num_key_value_heads", m.num_key_value_heads);
  inputs.Add("head_dim", m.head_dim);
  inputs.Add("intermediate_size", m.intermediate_size);
  inputs.Add("vocab_size", m.vocab_size);
  inputs.Add("max_position_embeddings", m.max_position_embeddings);
  inputs.Add("tie_word_embeddings", YesNo(m.tie_word_embeddings));
  inputs.Add("gated_mlp", YesNo(m.gated_mlp));
  if (m.causal_mask_buffer) inputs.Add("causal_mask_buffer", Name(*m.causal_mask_buffer));
  inputs.Add("num_local_experts", m.experts.num_local_experts);
  inputs.Add("num_experts_per_tok", m.experts.num_experts_per_tok);
  inputs.Add("moe_intermediate_size", m.experts.moe_intermediate_size);
}

void AddAccelerator(const AcceleratorSpec& a, Inputs& inputs) {
  const std::string sources = absl::StrJoin(a.sources, "; ");
  inputs.Section("accelerator");
  inputs.Add("name", a.name, sources);
  inputs.Add("memory", ShowSize(a.memory), sources);
  inputs.Add("memory bandwidth", ShowRate(a.memory_bandwidth), sources);
  inputs.Add("compute units", absl::StrCat(a.compute_units), sources);
  inputs.Add("peak bf16", ShowPeak(a.peak_bf16), sources);
  inputs.Add("peak fp16", ShowPeak(a.peak_fp16), sources);
  inputs.Add("peak tf32", ShowPeak(a.peak_tf32), sources);
  inputs.Add("peak fp8", ShowPeak(a.peak_fp8), sources);
  inputs.Add("power", a.power.value() > 0.0 ? ShowNumber(a.power.value(), 4) + " W" : "", sources);
  const Calibration& c = a.calibration;
  inputs.Section("calibration");
  inputs.Add("confidence", Name(c.confidence), c.source);
  inputs.Add("matrix products: share of the peak", ShowShare(c.gemm.efficiency), c.source);
  inputs.Add("matrix products in fp8: share of the peak", ShowShare(c.gemm.efficiency_fp8), c.source);
  inputs.Add("fused attention, forward: share of the peak", ShowShare(c.attention[0][0].efficiency), c.source);
  inputs.Add("fused attention, backward: share of the peak", ShowShare(c.attention[0][1].efficiency), c.source);
  inputs.Add("elementwise: share of the memory bandwidth", ShowShare(c.memory.access[0].bandwidth), c.source);
  inputs.Add("launch gap", ShowWait(c.launch_gap), c.source);
  inputs.Add("power limit: slowest clock", ShowShare(c.power.droop), c.source);
  inputs.Add("spread between chips", ShowShare(c.power.spread), c.source);
  inputs.Section("host");
  inputs.Add("confidence", Name(a.host.confidence), a.host.source);
  inputs.Add("eager operator", ShowWait(a.host.cost[static_cast<size_t>(HostCall::kOperator)]), a.host.source);
  inputs.Add("backward node", ShowWait(a.host.cost[static_cast<size_t>(HostCall::kAutogradNode)]), a.host.source);
  inputs.Add("collective call", ShowWait(a.host.cost[static_cast<size_t>(HostCall::kCollective)]), a.host.source);
  inputs.Add("launch latency", ShowWait(a.host.launch_latency), a.host.source);
}

void AddLink(const char* what, const LinkSpec& link, Inputs& inputs) {
  const std::string name = link.kind.empty() ? what : absl::StrCat(what, " (", link.kind, ")");
  inputs.Add(absl::StrCat(name, " bandwidth, each way"), ShowRate(link.bandwidth), link.source);
  inputs.Add(absl::StrCat(name, " latency"), ShowWait(link.latency), link.source);
  if (link.bandwidth.value() > 0.0) inputs.Add(absl::StrCat(name, " efficiency"), ShowShare(link.efficiency), link.source);
}

void AddHardware(const HardwareSpec& h, Inputs& inputs) {
  AddAccelerator(h.accelerator, inputs);
  inputs.Section("node");
  const std::string node = absl::StrJoin(h.node.sources, "; ");
  inputs.Add("name", h.node.name, node);
  inputs.Add("accelerators", absl::StrCat(h.node.accelerators), node);
  AddLink("scale-up", h.node.scale_up, inputs);
  inputs.Add("NICs", absl::StrCat(h.node.nics), node);
  AddLink("NIC", h.node.nic, inputs);
  AddLink("PCIe", h.node.pcie, inputs);
  if (h.node.price.value() > 0.0) inputs.Add("price", ShowNumber(h.node.price.value(), 4) + " $/h", node);
  if (h.node.power.value() > 0.0) inputs.Add("power", ShowNumber(h.node.power.value(), 5) + " W", node);
  inputs.Section("fabric");
  const std::string fabric = absl::StrJoin(h.fabric.sources, "; ");
  inputs.Add("name", h.fabric.name, fabric);
  AddLink("link", h.fabric.link, inputs);
  inputs.Add("switch latency", ShowWait(h.fabric.switch_latency), fabric);
  for (const FabricLevel& level : h.fabric.levels) {
    inputs.Add(absl::StrCat("level ", level.name), absl::StrCat(level.ports > 0 ? absl::StrCat(level.ports, " below each switch, ") : "",
               "oversubscription ", ShowNumber(level.oversubscription, 3),
               level.latency.value() > 0.0 ? absl::StrCat(", latency ", ShowWait(level.latency)) : ""), fabric);
  }
}

void AddTraining(const Scenario& s, Inputs& inputs) {
  const TrainingSpec& t = s.training;
  inputs.Section("training");
  inputs.Add("micro_batch_size", t.micro_batch_size);
  inputs.Add("gradient_accumulation_steps", t.gradient_accumulation_steps);
  inputs.Add("sequence_length", t.sequence_length);
  inputs.Add("decoder_sequence_length", t.decoder_sequence_length);
  inputs.Add("precision", t.precision.name);
  inputs.Add("activation_checkpointing", NameOf(t.activation_checkpointing));
  inputs.Add("attention", NameOf(t.attention));
  inputs.Add("dropout", ShowShare(t.dropout));
  inputs.Add("optimizer", absl::StrCat(NameOf(t.optimizer), NameOf(t.optimizer_kernel)));
  inputs.Add("runtime", NameOf(t.runtime));
  inputs.Add("clip_grad_norm", YesNo(t.clip_grad_norm));
  if (t.tokens > 0.0) inputs.Add("tokens", ShowCount(t.tokens));
  const ParallelismSpec& p = s.parallelism;
  inputs.Section("parallelism");
  inputs.Add("gpus", s.gpus);
  inputs.Add("data strategy", NameOf(p.data.strategy));
  if (p.data.strategy == DataStrategy::kFsdp) {
    inputs.Add("sharding", NameOf(p.data.sharding));
    inputs.Add("FSDP version", absl::StrCat(static_cast<int>(p.data.version)));
    inputs.Add("limit_all_gathers", YesNo(p.data.limit_all_gathers));
  }
  inputs.Add("tensor", p.tensor);
  inputs.Add("sequence_parallel", YesNo(p.sequence_parallel));
  inputs.Add("pipeline stages", p.pipeline.stages);
  if (p.pipeline.stages > 1) {
    inputs.Add("pipeline schedule", NameOf(p.pipeline.schedule));
    inputs.Add("virtual stages", p.pipeline.virtual_stages);
  }
  inputs.Add("context", p.context);
  inputs.Add("expert", p.expert);
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

std::string FilesJson(const std::vector<InputFile>& files) {
  constexpr size_t kLongest = 40'000;
  Json list = Json::array();
  for (const InputFile& file : files) {
    std::ifstream stream(file.path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    std::string shown = text.str();
    if (shown.size() > kLongest) shown = shown.substr(0, shown.rfind('\n', kLongest) + 1) + "...\n";
    const std::string path = "/" + file.path;
    size_t begin = path.rfind('/') + 1;
    for (const char* folder : {"/models/", "/hardware/", "/scenarios/"}) {
      if (const size_t at = path.rfind(folder); at != std::string::npos) begin = at + 1;
    }
    list.push_back({{"path", path.substr(begin)}, {"text", shown}});
  }
  return list.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace simulate
