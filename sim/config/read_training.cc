#include "sim/config/read_training.h"

#include "absl/strings/str_cat.h"
#include "sim/config/node.h"

namespace simulate {
namespace {

constexpr int64_t kMaxBatch = 1'000'000;
constexpr int64_t kMaxSequence = 100'000'000;
constexpr int64_t kMaxWays = 1'000'000;   // of any one dimension of the layout

PrecisionSpec Uniform(const char* name, DType type) {
  PrecisionSpec p;
  p.name = name;
  p.parameters = p.compute = p.gradients = p.gradient_reduction = p.optimizer = type;
  p.master_weights.reset();
  return p;
}

// 16-bit weights and gradients beside fp32 master weights and optimizer state.
PrecisionSpec Mixed(const char* name, DType type) {
  PrecisionSpec p = Uniform(name, type);
  p.master_weights = DType::kFp32;
  p.optimizer = DType::kFp32;
  return p;
}

// fp32 everywhere but in the multipliers.
PrecisionSpec Computed(const char* name, DType type, bool autocast) {
  PrecisionSpec p = Uniform(name, DType::kFp32);
  p.compute = type;
  p.autocast = autocast;
  return p;
}

PrecisionSpec Fp8Mixed() {
  PrecisionSpec p = Mixed("fp8_mixed", DType::kBf16);
  p.fp8_matmuls = true;
  return p;
}

bool ReadPreset(ValueReader& v, PrecisionSpec* out) {
  return v.ReadEnum<PrecisionSpec>({{"fp32", Uniform("fp32", DType::kFp32)},
                                    {"tf32", Computed("tf32", DType::kTf32, false)},
                                    {"fp16", Uniform("fp16", DType::kFp16)},
                                    {"bf16", Uniform("bf16", DType::kBf16)},
                                    {"bf16_autocast", Computed("bf16_autocast", DType::kBf16, true)},
                                    {"fp16_autocast", Computed("fp16_autocast", DType::kFp16, true)},
                                    {"bf16_mixed", Mixed("bf16_mixed", DType::kBf16)},
                                    {"fp16_mixed", Mixed("fp16_mixed", DType::kFp16)},
                                    {"fp8_mixed", Fp8Mixed()}},
                                   out);
}

void ReadType(MapReader& map, const char* key, DType* out) {
  map.Enum<DType>(key, {{"fp32", DType::kFp32}, {"fp16", DType::kFp16}, {"bf16", DType::kBf16}}, out);
}

// A preset's name, or a mapping that starts from `preset` and says what differs.
void ReadPrecision(ValueReader& value, PrecisionSpec* out) {
  if (!value.IsMap()) {
    ReadPreset(value, out);
    return;
  }
  value.ReadMap([&](MapReader& map) {
    map.Value("preset", [&](ValueReader& v) { ReadPreset(v, out); });
    if (map.node().entries.size() > (map.Has("preset") ? 1u : 0u)) out->name = "custom";
    ReadType(map, "parameters", &out->parameters);
    map.Enum<DType>("compute",
                    {{"fp32", DType::kFp32}, {"tf32", DType::kTf32}, {"fp16", DType::kFp16}, {"bf16", DType::kBf16}},
                    &out->compute);
    ReadType(map, "gradients", &out->gradients);
    ReadType(map, "gradient_reduction", &out->gradient_reduction);
    map.Enum<std::optional<DType>>("master_weights", {{"none", std::nullopt}, {"fp32", DType::kFp32}},
                                   &out->master_weights);
    map.Enum<DType>("optimizer",
                    {{"fp32", DType::kFp32}, {"fp16", DType::kFp16}, {"bf16", DType::kBf16}, {"int8", DType::kInt8}},
                    &out->optimizer);
    map.Optional("autocast", &out->autocast);
    map.Optional("fp8_matmuls", &out->fp8_matmuls);
  });
}

void ReadSequenceLength(ValueReader& value, bool encoder_decoder, TrainingSpec* out) {
  if (!value.IsMap()) {
    if (value.ReadInteger(1, kMaxSequence, &out->sequence_length) && encoder_decoder) {
      out->decoder_sequence_length = out->sequence_length;
    }
    return;
  }
  if (!encoder_decoder) {
    value.Error("`sequence_length` has two parts only for an encoder-decoder model").label =
        "this model has one sequence";
    return;
  }
  value.ReadMap([&](MapReader& map) {
    map.Integer("encoder", 1, kMaxSequence, &out->sequence_length, true);
    map.Integer("decoder", 1, kMaxSequence, &out->decoder_sequence_length, true);
  });
}

bool ReadPolicy(ValueReader& v, Checkpointing* out) {
  return v.ReadEnum<Checkpointing>(
      {{"none", Checkpointing::kNone},
       {"selective", Checkpointing::kSelective},
       {"selective_operators", Checkpointing::kSelectiveOperators},
       {"full", Checkpointing::kFull}},
      out);
}

void ReadCheckpointing(ValueReader& value, TrainingSpec* out) {
  if (!value.IsMap()) {
    ReadPolicy(value, &out->activation_checkpointing);
    return;
  }
  value.ReadMap([&](MapReader& map) {
    map.Value("policy", [&](ValueReader& v) { ReadPolicy(v, &out->activation_checkpointing); }, true);
    map.Integer("every", 1, 100'000, &out->checkpoint_every);
    map.Optional("head", &out->checkpoint_head);
    if (bool stops = false; map.Optional("early_stop", &stops)) out->checkpoint_early_stop = stops;
    map.Optional("offload", &out->offload_activations);
  });
}

bool ReadStrategy(ValueReader& v, DataStrategy* out) {
  return v.ReadEnum<DataStrategy>({{"ddp", DataStrategy::kDdp},
                                   {"fsdp", DataStrategy::kFsdp},
                                   {"zero1", DataStrategy::kZero1},
                                   {"zero2", DataStrategy::kZero2},
                                   {"zero3", DataStrategy::kZero3}},
                                  out);
}

bool ReadBucket(MapReader& map, const char* key, int64_t* out) {
  Bytes size;
  if (!map.Optional(key, &size)) return false;
  if (size.value() < 1) {
    map.Error(key, absl::StrCat("`", map.path(key), "` is out of range")).label = "must be at least 1 B";
    return false;
  }
  *out = size.value();
  return true;
}

void ReadData(ValueReader& value, DataParallelSpec* out) {
  if (!value.IsMap()) {
    ReadStrategy(value, &out->strategy);
    return;
  }
  value.ReadMap([&](MapReader& map) {
    map.Value("strategy", [&](ValueReader& v) { ReadStrategy(v, &out->strategy); }, true);
    map.Enum<Sharding>("sharding",
                       {{"full_shard", Sharding::kFullShard},
                        {"hybrid_shard", Sharding::kHybridShard},
                        {"shard_grad_op", Sharding::kShardGradOp},
                        {"no_shard", Sharding::kNoShard}},
                       &out->sharding);
    map.Enum<FsdpVersion>("version", {{"1", FsdpVersion::kFsdp1}, {"2", FsdpVersion::kFsdp2}}, &out->version);
    map.Integer("shard_size", 1, 10'000'000, &out->shard_size);
    map.Enum<BackwardPrefetch>(
        "backward_prefetch",
        {{"none", BackwardPrefetch::kNone}, {"pre", BackwardPrefetch::kPre}, {"post", BackwardPrefetch::kPost}},
        &out->backward_prefetch);
    map.Optional("forward_prefetch", &out->forward_prefetch);
    map.Optional("limit_all_gathers", &out->limit_all_gathers);
    map.Optional("pads_gradients", &out->pads_gradients);
    ReadBucket(map, "bucket_size", &out->bucket_bytes);
    ReadBucket(map, "first_bucket_size", &out->first_bucket_bytes);
    map.Optional("gradient_as_bucket_view", &out->gradient_as_bucket_view);
    map.Optional("static_graph", &out->static_graph);
    map.Optional("overlap", &out->overlap);
    map.Optional("reduce_scatter", &out->reduce_scatter);
    map.Enum<Offload>("offload",
                      {{"none", Offload::kNone}, {"optimizer", Offload::kOptimizer}, {"parameters", Offload::kParameters}},
                      &out->offload);
    map.Integer("max_live_parameters", 0, int64_t{1} << 50, &out->max_live_parameters);
    map.Integer("max_reuse_distance", 0, int64_t{1} << 50, &out->max_reuse_distance);
    map.Integer("reduce_bucket_size", 1, int64_t{1} << 50, &out->reduce_bucket_size);
    map.Enum<Zero3Implementation>("zero3_implementation",
                                  {{"asynchronous", Zero3Implementation::kAsynchronous}, {"synchronous", Zero3Implementation::kSynchronous}},
                                  &out->zero3_implementation);
  });
}

void ReadPipeline(ValueReader& value, PipelineSpec* out) {
  if (!value.IsMap()) {
    value.ReadInteger(1, kMaxWays, &out->stages);
    return;
  }
  value.ReadMap([&](MapReader& map) {
    map.Integer("stages", 1, kMaxWays, &out->stages, true);
    map.Enum<PipelineScheduleKind>("schedule",
                                   {{"gpipe", PipelineScheduleKind::kGpipe},
                                    {"1f1b", PipelineScheduleKind::k1F1B},
                                    {"interleaved_1f1b", PipelineScheduleKind::kInterleaved1F1B},
                                    {"zero_bubble_h1", PipelineScheduleKind::kZeroBubbleH1},
                                    {"zero_bubble_v", PipelineScheduleKind::kZeroBubbleV},
                                    {"dualpipe", PipelineScheduleKind::kDualPipe}},
                                   &out->schedule);
    map.Integer("virtual_stages", 1, 1000, &out->virtual_stages);
    map.Optional("uneven", &out->uneven);
    map.Enum<PipelinePartition>("partition",
                                {{"blocks", PipelinePartition::kBlocks},
                                 {"embedding", PipelinePartition::kEmbedding},
                                 {"head", PipelinePartition::kHead},
                                 {"ends", PipelinePartition::kEnds},
                                 {"layers", PipelinePartition::kLayers},
                                 {"parameters", PipelinePartition::kParameters}},
                                &out->partition);
    map.Integer("first_stage_layers", 0, kMaxWays, &out->first_stage_layers);
    map.Integer("last_stage_layers", 0, kMaxWays, &out->last_stage_layers);
    map.Enum<std::optional<P2pOverlap>>("overlap_p2p",
                                        {{"none", P2pOverlap::kNone}, {"steady", P2pOverlap::kSteady}, {"all", P2pOverlap::kAll}},
                                        &out->overlap_p2p);
    map.Optional("scatter_gather", &out->scatter_gather);
    map.Integer("kept_outputs", 0, 1'000'000, &out->kept_outputs);
    // As in Megatron, several chunks per stage are what makes 1F1B interleaved.
    if (out->virtual_stages > 1 && out->schedule == PipelineScheduleKind::k1F1B) {
      out->schedule = PipelineScheduleKind::kInterleaved1F1B;
    } else if (out->virtual_stages == 1 && out->schedule == PipelineScheduleKind::kInterleaved1F1B) {
      out->schedule = PipelineScheduleKind::k1F1B;
    }
  });
}

void ReadOptimizer(MapReader& map, TrainingSpec* out) {
  map.Enum<Optimizer>("optimizer",
                      {{"adamw", Optimizer::kAdamW},
                       {"adam8bit", Optimizer::kAdam8bit},
                       {"sgd", Optimizer::kSgd},
                       {"momentum", Optimizer::kMomentum},
                       {"adafactor", Optimizer::kAdafactor}},
                      &out->optimizer);
  map.Enum<OptimizerKernel>("optimizer_kernel",
                            {{"fused", OptimizerKernel::kFused},
                             {"foreach", OptimizerKernel::kForeach},
                             {"for_loop", OptimizerKernel::kForLoop}},
                            &out->optimizer_kernel);
  map.Optional("clip_grad_norm", &out->clip_grad_norm);
}

// Every linear layer of a block by default, 16-bit weights or as `base` says.
void ReadLora(ValueReader& value, LoraSpec* out) {
  using Name = std::string;
  value.ReadMap([&](MapReader& map) {
    map.Integer("rank", 1, 1'000'000, &out->rank, true);
    map.List("targets", [&](ValueReader& v) {
      std::string target;
      if (v.ReadEnum<Name>({{"q", Name("q")}, {"k", Name("k")}, {"v", Name("v")}, {"o", Name("o")}, {"w1", Name("w1")}, {"w2", Name("w2")}, {"w3", Name("w3")}},
                           &target)) {
        out->targets.push_back(target);
      }
    });
    if (!map.Has("targets")) out->targets = {"q", "k", "v", "o", "w1", "w2", "w3"};
    map.Enum<std::optional<DType>>("base",
                                   {{"as_precision", std::nullopt}, {"nf4", DType::kInt4}, {"int8", DType::kInt8}, {"fp8", DType::kFp8}},
                                   &out->base);
  });
}

}  // namespace

bool ReadTraining(ValueReader& value, bool encoder_decoder, TrainingSpec* out, int64_t* global_batch_size) {
  *global_batch_size = 0;
  return value.ReadMap([&](MapReader& map) {
    map.Integer("micro_batch_size", 1, kMaxBatch, &out->micro_batch_size, true);
    map.Integer("gradient_accumulation_steps", 1, kMaxBatch, &out->gradient_accumulation_steps);
    map.Integer("global_batch_size", 1, int64_t{1} << 40, global_batch_size);
    map.Value("sequence_length", [&](ValueReader& v) { ReadSequenceLength(v, encoder_decoder, out); }, true);
    map.Value("precision", [&](ValueReader& v) { ReadPrecision(v, &out->precision); });
    map.Value("activation_checkpointing", [&](ValueReader& v) { ReadCheckpointing(v, out); });
    map.Enum<AttentionImplementation>("attention",
                                      {{"flash", AttentionImplementation::kFlash},
                                       {"eager", AttentionImplementation::kEager},
                                       {"memory_efficient", AttentionImplementation::kMemoryEfficient},
                                       {"sdpa", AttentionImplementation::kSdpa},
                                       {"flash2", AttentionImplementation::kFlash2},
                                       {"flash1", AttentionImplementation::kFlash1},
                                       {"triton", AttentionImplementation::kTriton},
                                       {"fused_softmax", AttentionImplementation::kFusedSoftmax}},
                                      &out->attention);
    map.Optional("fused_norm", &out->fused_norm);
    map.Value("lora", [&](ValueReader& v) { ReadLora(v, &out->lora); });
    map.Enum<LossImplementation>("loss",
                                 {{"composed", LossImplementation::kComposed},
                                  {"direct", LossImplementation::kDirect},
                                  {"fused", LossImplementation::kFused}},
                                 &out->loss);
    map.Integer("loss_metrics", 0, 100, &out->loss_metrics);
    map.Enum<NormArithmetic>("norm_arithmetic",
                             {{"fp32", NormArithmetic::kFp32}, {"mixed", NormArithmetic::kMixed}, {"input", NormArithmetic::kInput}},
                             &out->norm_arithmetic);
    map.Enum<std::optional<NormKernel>>(
        "norm_kernel", {{"torch", NormKernel::kTorch}, {"apex", NormKernel::kApex}, {"persistent", NormKernel::kPersistent}}, &out->norm_kernel);
    map.Optional("fused_permutation", &out->fused_permutation);
    map.Enum<RotaryImplementation>("rotary",
                                   {{"fused", RotaryImplementation::kFused},
                                    {"rotate_half", RotaryImplementation::kRotateHalf},
                                    {"complex", RotaryImplementation::kComplex},
                                    {"matrix", RotaryImplementation::kMatrix}},
                                   &out->rotary);
    map.Number("dropout", 0, 0.999, &out->dropout);
    ReadOptimizer(map, out);
    map.Enum<Runtime>("runtime",
                      {{"eager", Runtime::kEager},
                       {"compiled", Runtime::kCompiled},
                       {"cuda_graph", Runtime::kCudaGraph},
                       {"megatron", Runtime::kMegatron},
                       {"neuron", Runtime::kNeuron}},
                      &out->runtime);
    map.Optional("set_to_none", &out->set_to_none);
    map.Optional("expandable_segments", &out->expandable_segments);
    map.Optional("record_streams", &out->record_streams);
    map.Optional("fused_accumulation", &out->fused_accumulation);
    map.Enum<HostWaits>("host_waits",
                        {{"never", HostWaits::kNever},
                         {"loss", HostWaits::kLoss},
                         {"passes", HostWaits::kPasses},
                         {"collectives", HostWaits::kCollectives},
                         {"layers", HostWaits::kLayers}},
                        &out->host_waits);
    map.Optional("transformer_engine", &out->transformer_engine);
    map.Optional("traced_kernels", &out->traced_kernels);
    map.Optional("use_cache", &out->use_cache);
    map.Number("tokens", 0, 1e18, &out->tokens);
  });
}

bool ReadParallelism(ValueReader& value, ParallelismSpec* out) {
  return value.ReadMap([&](MapReader& map) {
    map.Value("data", [&](ValueReader& v) { ReadData(v, &out->data); });
    map.Integer("tensor", 1, kMaxWays, &out->tensor);
    map.Optional("sequence_parallel", &out->sequence_parallel);
    map.Optional("tensor_overlap", &out->tensor_overlap);
    map.Optional("async_tensor_all_reduce", &out->async_tensor_all_reduce);
    map.Optional("vocabulary_parallel", &out->vocabulary_parallel);
    map.Optional("gather_logits", &out->gather_logits);
    map.Enum<TensorImplementation>("tensor_implementation",
                                   {{"dtensor", TensorImplementation::kDtensor}, {"plain", TensorImplementation::kPlain}},
                                   &out->tensor_implementation);
    map.Value("pipeline", [&](ValueReader& v) { ReadPipeline(v, &out->pipeline); });
    map.Integer("context", 1, kMaxWays, &out->context);
    map.Enum<ContextImplementation>("context_implementation",
                                    {{"all_gather", ContextImplementation::kAllGather},
                                     {"ring", ContextImplementation::kRing},
                                     {"ring_all_gather", ContextImplementation::kRingAllGather},
                                     {"all_to_all", ContextImplementation::kAllToAll}},
                                    &out->context_implementation);
    map.Integer("expert", 1, kMaxWays, &out->expert);
  });
}

}  // namespace simulate
