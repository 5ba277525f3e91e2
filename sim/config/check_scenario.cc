#include "sim/config/check_scenario.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/config/read_cluster.h"
#include "sim/config/tree_edit.h"

namespace simulate {
namespace {

std::vector<int64_t> DivisorsUpTo(int64_t n, int64_t most) {
  std::vector<int64_t> divisors;
  for (int64_t d = 1; d <= std::min({n, most, int64_t{100'000}}); ++d) {
    if (n % d == 0) divisors.push_back(d);
  }
  return divisors;
}

class Checker {
 public:
  Checker(const ScenarioSource& source, Scenario* scenario, Diagnostics& diagnostics)
      : source_(source), s_(*scenario), diagnostics_(diagnostics) {}

  bool Check() {
    Gpus();
    Product();
    Tensor();
    Pipeline();
    Sequence();
    Cache();
    Experts();
    Sharding();
    Offloading();
    Lora();
    Batch();
    PipelineFill();
    Precision();
    Perturbations();
    Magnitude();
    return ok_;
  }

 private:
  SourceLocation At(const std::string& path) const { return LocationOf(source_.tree, path); }

  Diagnostic& Error(std::string message, const std::string& path) {
    ok_ = false;
    return diagnostics_.Error(std::move(message), At(path));
  }
  void NoteModel(Diagnostic& d, const std::string& key, const std::string& fact) const {
    auto found = source_.model_where.find(key);
    if (found == source_.model_where.end()) found = source_.model_where.find("");
    d.notes.push_back({fact, found == source_.model_where.end() ? SourceLocation{} : found->second});
  }
  void Note(Diagnostic& d, const std::string& path, const std::string& fact) const {
    d.notes.push_back({fact, At(path)});
  }
  static void HelpDivisors(Diagnostic& d, int64_t n, int64_t most, const std::string& bound) {
    d.help.push_back(absl::StrCat("divisors of ", n, bound, ": ", absl::StrJoin(DivisorsUpTo(n, most), ", ")));
  }

  const ParallelismSpec& layout() const { return s_.parallelism; }
  int64_t ModelWays() const { return layout().tensor * layout().pipeline.stages * layout().context; }
  int64_t DataWays() const { return s_.gpus / ModelWays(); }
  int64_t Layers() const { return s_.model.num_hidden_layers + s_.model.num_decoder_layers; }

  void Gpus() {
    const HardwareSpec& h = s_.hardware;
    const int64_t per_node = std::max<int64_t>(1, h.node.accelerators);
    const bool drawn = h.fabric.topology == FabricTopology::kExplicit;  // a drawn graph has no nodes to fill
    if (!drawn && s_.gpus > per_node && s_.gpus % per_node != 0) {
      // A rack-scale node is often used in part: 64 of 72.
      const bool rack = per_node > 16;
      Diagnostic& d = rack ? diagnostics_.Warning("accelerators do not fill whole nodes", At("cluster.gpus"))
                           : Error("accelerators must fill whole nodes", "cluster.gpus");
      d.label = absl::StrCat(s_.gpus, " do not fill nodes of ", per_node);
      Note(d, "cluster.hardware", absl::StrCat("a node of `", h.name, "` has ", per_node));
      const int64_t below = s_.gpus / per_node * per_node;
      d.help.push_back(absl::StrCat("the nearest counts are ", below, " and ", below + per_node));
      if (rack) d.help.emplace_back("`cluster.gpus_per_node: 64` gives the job so many of each");
    }
    const ClusterProblem problem = CheckClusterSize(h, s_.gpus);
    if (problem.message.empty()) return;
    Diagnostic& d = Error(problem.message, "cluster.gpus");
    d.label = problem.label;
    Note(d, "cluster.hardware", "the hardware is chosen here");
    if (!problem.help.empty()) d.help.push_back(problem.help);
  }

  void Product() {
    const int64_t ways = ModelWays();
    if (s_.gpus % ways == 0) return;
    Diagnostic& d = Error("the layout must divide the number of accelerators", "cluster.gpus");
    d.label = absl::StrCat(s_.gpus, " is not a multiple of ", ways);
    const std::pair<const char*, int64_t> parts[] = {{"parallelism.tensor", layout().tensor},
                                                     {"parallelism.pipeline.stages", layout().pipeline.stages},
                                                     {"parallelism.context", layout().context}};
    for (const auto& [path, size] : parts) {
      if (size > 1) Note(d, path, absl::StrCat("`", path, "` is ", size, " here"));
    }
    divides_ = false;
  }

  void Tensor() {
    const int64_t tensor = layout().tensor;
    if (tensor == 1) return;
    const int64_t heads = s_.model.num_attention_heads;
    const int64_t groups = s_.model.num_key_value_heads;
    if (heads % tensor != 0) {
      Diagnostic& d = Error("tensor parallel size must divide the number of attention heads", "parallelism.tensor");
      d.label = absl::StrCat(heads, " heads cannot be split ", tensor, " ways");
      NoteModel(d, "num_attention_heads", "the number of heads is set here");
      HelpDivisors(d, heads, s_.hardware.node.accelerators,
                   absl::StrCat(" that fit one ", s_.hardware.node.accelerators, "-device node"));
    } else if (groups % tensor != 0 && tensor % groups != 0) {
      Diagnostic& d = Error("tensor parallel size must divide the number of key-value heads, or be a multiple of it",
                            "parallelism.tensor");
      d.label = absl::StrCat(groups, " key-value heads cannot be split ", tensor, " ways");
      NoteModel(d, "num_key_value_heads", "the number of key-value heads is set here");
    }
    if (s_.model.intermediate_size % tensor != 0) {
      Diagnostic& d = Error("tensor parallel size must divide the intermediate size", "parallelism.tensor");
      d.label = absl::StrCat(s_.model.intermediate_size, " columns cannot be split ", tensor, " ways");
      NoteModel(d, "intermediate_size", "the intermediate size is set here");
    }
    if (s_.model.vocab_size % tensor != 0) {
      Diagnostic& d = diagnostics_.Warning("the vocabulary does not divide by the tensor parallel size",
                                           At("parallelism.tensor"));
      d.label = absl::StrCat(s_.model.vocab_size, " rows are padded to ", RoundUp(s_.model.vocab_size, tensor));
      NoteModel(d, "vocab_size", "the vocabulary is set here");
    }
  }

  void Pipeline() {
    const PipelineSpec& p = layout().pipeline;
    if (p.stages == 1) {
      if (p.virtual_stages == 1) return;
      Error("virtual stages need a pipeline of several stages", "parallelism.pipeline.virtual_stages").label =
          "the pipeline has one stage";
      return;
    }
    const bool interleaved = p.schedule == PipelineScheduleKind::kInterleaved1F1B;
    if (p.virtual_stages > 1 && !interleaved && p.schedule != PipelineScheduleKind::kZeroBubbleV) {
      Error("this schedule has one chunk of layers per stage", "parallelism.pipeline.virtual_stages")
          .help.emplace_back("virtual stages belong to the schedule `interleaved_1f1b`");
    }
    Chunks();
    if (p.first_stage_layers >= 0 || p.last_stage_layers >= 0) {
      OuterStages();
    } else {
      Stages(p.stages * (interleaved ? p.virtual_stages : 1));
    }
  }

  void Stages(int64_t chunks) {
    const PipelineSpec& p = layout().pipeline;
    const PipelinePartition by = p.partition;
    const int64_t least = p.schedule == PipelineScheduleKind::kZeroBubbleV ? 2 * p.stages : chunks;  // two chunks a stage, uneven as need be
    const bool counts_one = by == PipelinePartition::kEmbedding || by == PipelinePartition::kHead;
    const bool counts_both = by == PipelinePartition::kEnds || by == PipelinePartition::kParameters;
    const int64_t ends = counts_one ? 1 : counts_both ? 2 : 0;
    if (Layers() + ends < least) {
      Diagnostic& d = Error("a pipeline cannot have more stages than layers", "parallelism.pipeline.stages");
      d.label = absl::StrCat(Layers(), " layers", ends == 0 ? "" : ends == 1 ? " and one end" : " and two ends", " cannot fill ", least, " stages");
      NoteModel(d, "num_hidden_layers", "the number of layers is set here");
      if (ends == 0 && Layers() + 2 >= least) {
        d.help.emplace_back("`parallelism.pipeline.partition: ends` gives the embedding and the head chunks of their own");
      }
    } else if (Layers() % chunks != 0 && !p.uneven && by == PipelinePartition::kBlocks) {
      Diagnostic& d = Error("pipeline stages must divide the number of layers", "parallelism.pipeline.stages");
      d.label = absl::StrCat(Layers(), " layers cannot be split ", chunks, " ways");
      NoteModel(d, "num_hidden_layers", "the number of layers is set here");
      HelpDivisors(d, Layers(), Layers(), "");
      d.help.emplace_back("`parallelism.pipeline.uneven: true` lets stages differ by one layer");
    } else if ((counts_one || by == PipelinePartition::kEnds) && s_.model.family == ModelFamily::kT5) {
      Error("the partitions `embedding`, `head` and `ends` are for models of one stack", "parallelism.pipeline.partition")
          .help.emplace_back("choose `blocks`, `layers` or `parameters`");
    } else if (const int64_t items = Layers() + 3; by == PipelinePartition::kLayers && items / least == 1 && least - items % least >= 2) {
      // Embedding, blocks, final norm and head are spread; the last two stages would take the norm and the head.
      Diagnostic& d = Error("a stage would hold nothing but the final norm", "parallelism.pipeline.partition");
      d.label = absl::StrCat(items, " items over ", least, " stages");
      d.help.emplace_back("choose fewer stages, or the partition `ends`");
    }
  }

  // Megatron-LM's get_num_layers_to_build: an outer stage has the layers it is given, the others share the rest.
  void OuterStages() {
    const PipelineSpec& p = layout().pipeline;
    const std::string first = "parallelism.pipeline.first_stage_layers", last = "parallelism.pipeline.last_stage_layers";
    const std::string any = p.first_stage_layers >= 0 ? first : last;
    const bool folded = p.schedule == PipelineScheduleKind::kZeroBubbleV || p.schedule == PipelineScheduleKind::kDualPipe;
    if (p.partition != PipelinePartition::kBlocks) {
      Note(Error("outer stages of a size of their own need the partition `blocks`", any), "parallelism.pipeline.partition",
           "the partition is set here");
    }
    if (folded) {
      Note(Error("outer stages of a size of their own are for schedules that go from the first stage to the last", any),
           "parallelism.pipeline.schedule", "the schedule is set here");
    }
    if (s_.model.family == ModelFamily::kT5) Error("outer stages of a size of their own are for models of one stack", any);
    const int64_t v = p.virtual_stages;
    int64_t rest = Layers(), others = p.stages;
    bool divides = true;
    for (const auto& [key, own] : {std::pair{first, p.first_stage_layers}, {last, p.last_stage_layers}}) {
      if (own < 0) continue;
      rest -= own;
      --others;
      if (own % v == 0 && (own > 0 || v == 1)) continue;
      divides = false;
      Diagnostic& d = Error("virtual stages must divide the layers of an outer stage", key);
      d.label = absl::StrCat(own, " layers cannot fill ", v, " chunks evenly");
    }
    const bool even = others == 0 ? rest == 0 : rest % (others * v) == 0 || p.uneven;
    if (!divides || (rest >= others * v && even)) return;
    Diagnostic& d = Error("the stages between the outer ones must share the other layers evenly", any);
    d.label = absl::StrCat(rest, " of ", Layers(), " layers for ", others * v, v == 1 ? " stages" : " chunks");
    NoteModel(d, "num_hidden_layers", "the number of layers is set here");
  }

  // What is not written for stages of several chunks or split backwards: FSDP's units and the first ZeRO-3's gathers, waits by layer.
  void Chunks() {
    const PipelineSpec& p = layout().pipeline;
    const bool two_chunks = p.schedule == PipelineScheduleKind::kZeroBubbleV || p.schedule == PipelineScheduleKind::kDualPipe;
    const bool chunks = two_chunks || p.schedule == PipelineScheduleKind::kInterleaved1F1B;
    const bool splits = two_chunks || p.schedule == PipelineScheduleKind::kZeroBubbleH1;
    if (chunks && s_.training.host_waits == HostWaits::kLayers) {  // it would wait for what the next chunk has posted ahead
      Diagnostic& d = Error("a host that waits after every layer cannot post a chunk's messages ahead", "training.host_waits");
      Note(d, "parallelism.pipeline", "a stage holds several chunks of layers");
      d.help.emplace_back("choose `passes`, or the schedule `1f1b`, `gpipe` or `zero_bubble_h1`");
    }
    const bool fsdp = layout().data.strategy == DataStrategy::kFsdp && (chunks || splits);
    const bool first_zero3 = layout().data.strategy == DataStrategy::kZero3 && chunks &&
                             layout().data.zero3_implementation == Zero3Implementation::kSynchronous;
    if (!fsdp && !first_zero3) return;
    Diagnostic& d = Error("this schedule is not simulated with this way to shard", "parallelism.pipeline");
    d.label = chunks ? "a stage holds several chunks of layers" : "backwards are split in two";
    Note(d, "parallelism.data.strategy", fsdp ? "FSDP's units take a stage of one chunk, and whole backwards" : "the synchronous ZeRO-3 takes a stage of one chunk");
    d.help.emplace_back("choose the schedule `1f1b` or `gpipe`, or shard with `zero1` or `zero2`");
  }

  // Needs gradient_accumulation_steps, which Batch() settles.
  void PipelineFill() {
    const PipelineSpec& p = layout().pipeline;
    const int64_t micro_batches = s_.training.gradient_accumulation_steps;
    if (p.stages == 1 || !ok_) return;
    const bool global = source_.global_batch_size > 0;
    const std::string key = global ? "training.global_batch_size" : "training.gradient_accumulation_steps";
    if (p.schedule == PipelineScheduleKind::kInterleaved1F1B && micro_batches % p.stages != 0) {
      Diagnostic& d = Error("an interleaved pipeline needs a multiple of its stages as micro-batches", key);
      d.label = absl::StrCat(micro_batches, " micro-batches do not divide by ", p.stages, " stages");
      Note(d, "parallelism.pipeline.stages", "the number of stages is set here");
    } else if (p.schedule == PipelineScheduleKind::kDualPipe &&
               (p.stages % 2 != 0 || micro_batches % 2 != 0 || micro_batches < 2 * p.stages)) {
      Diagnostic& d = Error("DualPipe needs an even number of stages, and of micro-batches at least twice as many", key);
      d.label = absl::StrCat(micro_batches, " micro-batches");
      Note(d, "parallelism.pipeline.stages", absl::StrCat("the number of stages, ", p.stages, ", is set here"));
    } else if (micro_batches < p.stages) {
      Diagnostic& d = diagnostics_.Warning("fewer micro-batches than pipeline stages", At(key));
      d.label = absl::StrCat(micro_batches, " micro-batches never fill ", p.stages, " stages");
      d.help.emplace_back("each gradient accumulation step is one micro-batch of the pipeline");
    }
  }

  void Sequence() {
    const TrainingSpec& t = s_.training;
    for (const int64_t length : {t.sequence_length, t.decoder_sequence_length}) {
      if (length > 0 && layout().context > 1 && length % layout().context != 0) {
        Diagnostic& d = Error("context parallel size must divide the sequence length", "parallelism.context");
        d.label = absl::StrCat(length, " positions cannot be split ", layout().context, " ways");
        Note(d, "training.sequence_length", "the sequence length is set here");
        break;
      }
      if (length > 0 && layout().sequence_parallel && length % layout().tensor != 0) {
        Diagnostic& d = Error("with sequence parallelism the tensor parallel size must divide the sequence length",
                              "parallelism.tensor");
        d.label = absl::StrCat(length, " positions cannot be split ", layout().tensor, " ways");
        Note(d, "training.sequence_length", "the sequence length is set here");
        break;
      }
    }
    Ring();
    if (layout().tensor_overlap && !layout().sequence_parallel) {
      Diagnostic& d = Error("what overlaps with products are the gathers and scatters of sequence parallelism", "parallelism.tensor_overlap");
      d.help.push_back("add `sequence_parallel: true`");
    }
    if (s_.model.positions == Positions::kLearned && t.sequence_length > s_.model.max_position_embeddings) {
      Diagnostic& d = Error("the sequence is longer than the model's table of positions", "training.sequence_length");
      d.label = absl::StrCat("the table has ", s_.model.max_position_embeddings, " rows");
      NoteModel(d, "max_position_embeddings", "the number of positions is set here");
      d.help.push_back(absl::StrCat("shorten the sequence, or set `model.max_position_embeddings` to ", t.sequence_length));
    }
  }

  void Cache() {
    if (!s_.training.use_cache || s_.model.latent_attention.kv_lora_rank == 0) return;
    Error("what a latent attention keeps in past_key_values is not modelled", "training.use_cache");
  }

  void Ring() {
    const int64_t context = layout().context;
    if (context == 1 || layout().context_implementation == ContextImplementation::kAllGather) return;
    const TrainingSpec& t = s_.training;
    const bool unfused = t.attention == AttentionImplementation::kEager || t.attention == AttentionImplementation::kFusedSoftmax;
    if (unfused || s_.model.family == ModelFamily::kT5) {
      Diagnostic& d = Error("ring attention needs a causal, fused attention kernel", "parallelism.context_implementation");
      d.label = !unfused ? absl::StrCat("the attention of ", Name(s_.model.family), " is not") : "this attention has no kernel of its own";
      if (unfused) Note(d, "training.attention", "the attention is set here");
      d.help.emplace_back("choose `all_gather`, or `training.attention: flash`");
    }
    const int64_t heads = s_.model.num_attention_heads, pairs = s_.model.num_key_value_heads > 0 ? s_.model.num_key_value_heads : heads;
    if (const int64_t ways = layout().tensor * context;
        layout().context_implementation == ContextImplementation::kAllToAll && (heads % ways != 0 || pairs % ways != 0)) {
      Diagnostic& d = Error("the exchange of heads gives every rank as many", "parallelism.context_implementation");
      d.label = absl::StrCat(heads % ways != 0 ? heads : pairs, heads % ways != 0 ? " heads" : " pairs of keys and values", " cannot be split ", ways, " ways");
      d.help.emplace_back("choose `ring` or `all_gather`");
    }
    if (t.sequence_length % context == 0 && t.sequence_length % (2 * context) != 0) {
      Diagnostic& d = Error("ring attention cuts the sequence into twice as many pieces as ranks", "parallelism.context");
      d.label = absl::StrCat(t.sequence_length, " positions cannot be split ", 2 * context, " ways");
      Note(d, "training.sequence_length", "the sequence length is set here");
    }
  }

  void Experts() {
    const int64_t expert = layout().expert;
    if (expert == 1) return;
    const int64_t experts = s_.model.experts.num_local_experts;
    if (experts == 0) {
      Diagnostic& d = Error("expert parallelism needs a model with experts", "parallelism.expert");
      NoteModel(d, "", absl::StrCat("`", s_.model.name, "` is of the family ", Name(s_.model.family), ", which has none"));
      return;
    }
    if (experts % expert != 0) {
      Diagnostic& d = Error("expert parallel size must divide the number of experts", "parallelism.expert");
      d.label = absl::StrCat(experts, " experts cannot be split ", expert, " ways");
      NoteModel(d, "num_local_experts", "the number of experts is set here");
      HelpDivisors(d, experts, experts, "");
    }
    const int64_t ranks = DataWays() * layout().context;  // as in Megatron, experts spread over these
    if (divides_ && ranks % expert != 0) {
      Diagnostic& d = Error("expert parallel size must divide the data-parallel ranks", "parallelism.expert");
      d.label = absl::StrCat(ranks, " ranks cannot be split ", expert, " ways");
      Note(d, "cluster.gpus", absl::StrCat(s_.gpus, " accelerators over a layout of ", ModelWays(), " leave ",
                                           DataWays(), " data-parallel ranks"));
    }
  }

  void Sharding() {
    const int64_t shard = layout().data.shard_size;
    if (shard == 0 || !divides_) return;
    const int64_t ranks = DataWays() * layout().context;
    if (ranks % shard == 0) return;
    Diagnostic& d = Error("the shard size must divide the data-parallel ranks", "parallelism.data.shard_size");
    d.label = absl::StrCat(ranks, " ranks cannot be split into groups of ", shard);
  }

  void Lora() {
    if (!s_.training.lora.on()) return;
    if (layout().data.strategy != DataStrategy::kDdp || layout().tensor > 1 || layout().pipeline.stages > 1 || s_.model.experts.num_local_experts > 0 ||
        s_.training.runtime == Runtime::kMegatron) {
      Error("LoRA runs with whole, dense models: on one accelerator or under `ddp`", "training.lora")
          .help.emplace_back("`parallelism.data: ddp`, without tensor or pipeline parallelism, outside of Megatron");
    }
    if (s_.training.precision.autocast) {
      Error("LoRA's frozen weights have no fp32 original to cast from", "training.precision")
          .help.emplace_back("`precision: bf16` stores weights and adapters in 16 bits");
    }
  }

  // Only what exists: FSDP's CPUOffload takes everything, DeepSpeed's ZeRO the optimizer and in stage 3 the weights, too.
  void Offloading() {
    const DataParallelSpec& data = layout().data;
    const TrainingSpec& t = s_.training;
    if (t.offload_activations && t.activation_checkpointing != Checkpointing::kFull) {
      Error("only checkpointed blocks' inputs can wait on the host", "training.activation_checkpointing.offload")
          .help.emplace_back("`policy: full` makes them the only activations that stay");
    }
    if (data.offload != Offload::kNone && !OffloadedState(data)) return;
    if (data.offload == Offload::kNone && !t.offload_activations) return;
    const NodeSpec& node = s_.hardware.node;
    const bool steps = data.offload != Offload::kNone;
    if (node.pcie.bandwidth.value() > 0 && (!steps || node.host_memory_bandwidth.value() > 0)) return;
    Diagnostic& d = Error("offloading needs to know the host", steps ? "parallelism.data.offload" : "training.activation_checkpointing.offload");
    d.label = absl::StrCat("`", s_.hardware.name, "` states no ", node.pcie.bandwidth.value() > 0 ? "`host_memory_bandwidth`" : "`pcie`");
    Note(d, "cluster.hardware", "the hardware is chosen here");
    d.help.emplace_back("state them in the node's file: `pcie`, `host_memory_bandwidth`, `host_memory`");
  }

  bool OffloadedState(const DataParallelSpec& data) {
    const bool megatron = s_.training.runtime == Runtime::kMegatron && data.strategy == DataStrategy::kZero1;
    const bool zero = !megatron && data.strategy != DataStrategy::kDdp && data.strategy != DataStrategy::kFsdp;
    if (!zero && data.strategy != DataStrategy::kFsdp) {
      Error("this strategy keeps its state on the device", "parallelism.data.offload")
          .help.emplace_back("offload belongs to `fsdp`, `zero2`, `zero3` and, outside of Megatron, `zero1`");
    } else if (data.strategy == DataStrategy::kFsdp && data.offload == Offload::kOptimizer) {
      Error("FSDP offloads parameters, gradients and optimizer together", "parallelism.data.offload")
          .help.emplace_back("`offload: parameters` is its CPUOffload");
    } else if (zero && data.strategy != DataStrategy::kZero3 && data.offload == Offload::kParameters) {
      Error("only stage 3 of ZeRO divides the weights, so only it can offload them", "parallelism.data.offload")
          .help.emplace_back("`offload: optimizer`, or `strategy: zero3`");
    } else {
      return true;
    }
    return false;
  }

  void Batch() {
    const int64_t global = source_.global_batch_size;
    if (global == 0 || !divides_) return;
    const int64_t per_step = s_.training.micro_batch_size * DataWays();
    const Node* training = source_.tree.Find("training");
    const bool stated = training != nullptr && training->Find("gradient_accumulation_steps") != nullptr;
    if (stated && per_step * s_.training.gradient_accumulation_steps != global) {
      Diagnostic& d = Error("the global batch and the accumulation steps contradict each other",
                            "training.global_batch_size");
      d.label = absl::StrCat("the other settings make ", per_step * s_.training.gradient_accumulation_steps);
      Note(d, "training.gradient_accumulation_steps", "the accumulation steps are set here");
      d.help.emplace_back("leave one of the two out");
      return;
    }
    if (global % per_step != 0) {
      Diagnostic& d = Error("the global batch must be a multiple of micro-batch times data-parallel ranks",
                            "training.global_batch_size");
      d.label = absl::StrCat(global, " is not a multiple of ", s_.training.micro_batch_size, " x ", DataWays());
      Note(d, "training.micro_batch_size", "the micro-batch is set here");
      Note(d, "cluster.gpus", absl::StrCat(s_.gpus, " accelerators make ", DataWays(), " data-parallel ranks"));
      return;
    }
    s_.training.gradient_accumulation_steps = global / per_step;
  }

  void Precision() {
    const AcceleratorSpec& a = s_.hardware.accelerator;
    const PrecisionSpec& p = s_.training.precision;
    DType missing = p.compute;
    if (a.Peak(p.compute).value() > 0) {
      if (!p.fp8_matmuls || a.peak_fp8.value() > 0) return;
      missing = DType::kFp8;
    }
    Diagnostic& d = Error("the accelerator does not compute in this precision", "training.precision");
    d.label = absl::StrCat("`", a.name, "` has no ", Name(missing), " peak");
    Note(d, "cluster.hardware", "the hardware is chosen here");
    std::vector<std::string> able;
    for (const DType type : {DType::kFp32, DType::kTf32, DType::kFp16, DType::kBf16, DType::kFp8}) {
      if (a.Peak(type).value() > 0) able.emplace_back(Name(type));
    }
    if (!able.empty()) d.help.push_back(absl::StrCat("it computes in ", absl::StrJoin(able, ", ")));
  }

  void Perturbations() {
    for (const Perturbation& p : s_.perturb) {
      if (p.rank < s_.gpus) continue;
      Error("there is no such rank to perturb", "perturb").label =
          absl::StrCat("ranks run from 0 to ", s_.gpus - 1);
    }
  }

  // Sizes that would leave int64 behind are no training run.
  void Magnitude() {
    const TrainingSpec& t = s_.training;
    const ModelSpec& m = s_.model;
    const auto positions = static_cast<double>(std::max(t.sequence_length, t.decoder_sequence_length));
    const double tokens = static_cast<double>(t.micro_batch_size) * positions;
    const double widest = static_cast<double>(std::max({m.vocab_size, m.intermediate_size, m.hidden_size,
                                                        m.num_attention_heads * m.head_dim}));
    const double scores = tokens * positions * static_cast<double>(m.num_attention_heads);
    const double experts = static_cast<double>(std::max<int64_t>(1, m.experts.num_local_experts));
    const double weights = static_cast<double>(Layers()) * experts * 4 * static_cast<double>(m.hidden_size) * widest;
    constexpr double kMost = 1e15;  // elements of one tensor, or of all weights
    if (std::max({tokens * widest, scores}) > kMost) {
      Error("one tensor of this run would have more than 1e15 elements", "training.micro_batch_size");
    }
    if (weights > kMost) {
      ok_ = false;
      const auto found = source_.model_where.find("");
      diagnostics_.Error("this model would have more than 1e15 parameters",
                         found == source_.model_where.end() ? SourceLocation{} : found->second);
    }
  }

  const ScenarioSource& source_;
  Scenario& s_;
  Diagnostics& diagnostics_;
  bool ok_ = true;
  bool divides_ = true;
};

}  // namespace

bool CheckScenario(const ScenarioSource& source, Scenario* scenario, Diagnostics& diagnostics) {
  return Checker(source, scenario, diagnostics).Check();
}

}  // namespace simulate
