#include "sim/config/read_model.h"

#include <algorithm>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "sim/config/node.h"

namespace simulate {
namespace {

constexpr int64_t kMaxWidth = 10'000'000;     // hidden and intermediate sizes
constexpr int64_t kMaxCount = 100'000;        // layers, heads, experts
constexpr int64_t kMaxVocabulary = 100'000'000;
constexpr int64_t kMaxPositions = 100'000'000;

// Keys of config.json that change neither time nor memory.
constexpr const char* kHarmless[] = {
    "_name_or_path", "architectures", "attention_dropout", "attn_pdrop", "auto_map", "aux_loss_alpha", "bos_token_id",
    "classifier_dropout", "decoder_start_token_id", "dropout_rate", "embd_pdrop", "eos_token_id", "ep_size",
    "gradient_checkpointing", "hidden_dropout", "hidden_dropout_prob", "init_config", "init_device",
    "initializer_factor", "initializer_range", "is_encoder_decoder", "layer_norm_eps", "layer_norm_epsilon",
    "n_ctx", "n_group", "norm_topk_prob", "num_nextn_predict_layers", "output_past", "output_router_logits",
    "pad_token_id", "pretraining_tp", "quantization_config", "relative_attention_max_distance", "resid_pdrop",
    "rms_norm_eps", "rope_parameters", "rope_scaling", "rope_theta", "rotary_emb_base", "rotary_pct",
    "routed_scaling_factor", "router_aux_loss_coef", "router_jitter_noise", "scoring_func", "seq_aux",
    "sliding_window", "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
    "summary_use_proj", "task_specific_params", "topk_group", "topk_method", "torch_dtype", "dtype",
    "transformers_version", "use_cache", "moe_layer_freq", "source", "description", "max_window_layers",
    "use_sliding_window", "layer_types", "use_mrope", "rope_local_base_freq"};

class Reader {
 public:
  Reader(MapReader& map, ModelSpec* out, KeyLocations* where) : map_(map), out_(*out), where_(where) {}

  void Read() {
    map_.Optional("name", &out_.name);
    const bool known = map_.Enum<ModelFamily>("model_type",
                                              {{"gpt2", ModelFamily::kGpt2},
                                               {"gpt_neox", ModelFamily::kGptNeox},
                                               {"mpt", ModelFamily::kMpt},
                                               {"llama", ModelFamily::kLlama},
                                               {"mistral", ModelFamily::kLlama},
                                               {"qwen2", ModelFamily::kLlama},
                                               {"qwen3", ModelFamily::kLlama},
                                               {"mixtral", ModelFamily::kMixtral},
                                               {"deepseek_v3", ModelFamily::kDeepseekV3},
                                               {"t5", ModelFamily::kT5}},
                                              &out_.family, true);
    if (!known) {
      IgnoreRest();  // without a family, no other key can be judged
      return;
    }
    Defaults();
    Sizes();
    Switches();
    Experts();
    LatentAttention();
    Derive();
    for (const char* key : kHarmless) map_.Ignore(key);
  }

 private:
  bool Is(ModelFamily family) const { return out_.family == family; }
  bool HasExperts() const { return Is(ModelFamily::kMixtral) || Is(ModelFamily::kDeepseekV3); }

  void IgnoreRest() {
    for (const Node::Entry& entry : node_entries()) map_.Ignore(entry.key);
  }
  const std::vector<Node::Entry>& node_entries() const { return map_.node().entries; }

  // An integer that goes by several names; names[0] is the common one.
  void Integer(std::initializer_list<const char*> names, int64_t high, int64_t* out, bool required) {
    const char* found = nullptr;
    for (const char* name : names) {
      if (!map_.Has(name)) continue;
      if (found != nullptr) {
        map_.Ignore(name);
        Diagnostic& d = map_.Error(name, absl::StrCat("`", name, "` and `", found, "` name the same thing"));
        d.notes.push_back({absl::StrCat("`", found, "` is given here"), map_.where(found)});
        d.help.push_back(absl::StrCat("keep one; an override takes the file's own name, such as `model.", name, "`"));
        continue;
      }
      found = name;
      map_.Integer(name, 1, high, out);
      if (where_ != nullptr) (*where_)[*names.begin()] = map_.where(name);
    }
    if (found == nullptr) map_.Integer(*names.begin(), 1, high, out, required);
    for (const char* name : names) map_.Ignore(name);
  }

  void Defaults() {
    const bool llama_like = Is(ModelFamily::kLlama) || HasExperts();
    const bool gpt_like = Is(ModelFamily::kGpt2) || Is(ModelFamily::kGptNeox);
    out_.norm = llama_like || Is(ModelFamily::kT5) ? Norm::kRmsNorm : Norm::kLayerNorm;
    out_.attention_bias = out_.mlp_bias = out_.norm_bias = gpt_like;
    out_.gated_mlp = llama_like;
    // Llamas by other names: Qwen2 has a bias on queries, keys and values, Qwen3 norms on queries and keys.
    const Node* type = map_.node().Find("model_type");
    if (type != nullptr && type->text == "qwen2") out_.attention_bias = true;
    if (type != nullptr && type->text == "qwen3") out_.qk_norm = true;
    out_.fused_qkv = gpt_like || Is(ModelFamily::kMpt);
    out_.parallel_residual = Is(ModelFamily::kGptNeox);
    out_.tie_word_embeddings = Is(ModelFamily::kGpt2) || Is(ModelFamily::kMpt) || Is(ModelFamily::kT5);
    if (llama_like) {
      out_.activation = Activation::kSilu;
    } else if (Is(ModelFamily::kGpt2)) {
      out_.activation = Activation::kGeluTanh;
    } else {
      out_.activation = Is(ModelFamily::kT5) ? Activation::kRelu : Activation::kGelu;
    }
    out_.positions = Positions::kLearned;
    if (llama_like || Is(ModelFamily::kGptNeox)) out_.positions = Positions::kRotary;
    if (Is(ModelFamily::kT5)) out_.positions = Positions::kRelativeBias;
  }

  // Family names of the common keys: GPT-2's, MPT's and T5's config.json differ.
  void Sizes() {
    switch (out_.family) {
      case ModelFamily::kGpt2:
        Integer({"hidden_size", "n_embd"}, kMaxWidth, &out_.hidden_size, true);
        Integer({"num_hidden_layers", "n_layer"}, kMaxCount, &out_.num_hidden_layers, true);
        Integer({"num_attention_heads", "n_head"}, kMaxCount, &out_.num_attention_heads, true);
        Integer({"intermediate_size", "n_inner"}, kMaxWidth, &out_.intermediate_size, false);
        Integer({"max_position_embeddings", "n_positions"}, kMaxPositions, &out_.max_position_embeddings, false);
        break;
      case ModelFamily::kMpt:
        Integer({"hidden_size", "d_model"}, kMaxWidth, &out_.hidden_size, true);
        Integer({"num_hidden_layers", "n_layers"}, kMaxCount, &out_.num_hidden_layers, true);
        Integer({"num_attention_heads", "n_heads"}, kMaxCount, &out_.num_attention_heads, true);
        Integer({"intermediate_size"}, kMaxWidth, &out_.intermediate_size, false);
        Integer({"expansion_ratio"}, 1000, &expansion_ratio_, false);
        Integer({"max_position_embeddings", "max_seq_len"}, kMaxPositions, &out_.max_position_embeddings, false);
        break;
      case ModelFamily::kT5:
        Integer({"hidden_size", "d_model"}, kMaxWidth, &out_.hidden_size, true);
        Integer({"num_hidden_layers", "num_layers"}, kMaxCount, &out_.num_hidden_layers, true);
        Integer({"num_decoder_layers"}, kMaxCount, &out_.num_decoder_layers, false);
        Integer({"num_attention_heads", "num_heads"}, kMaxCount, &out_.num_attention_heads, true);
        Integer({"intermediate_size", "d_ff"}, kMaxWidth, &out_.intermediate_size, true);
        Integer({"max_position_embeddings", "n_positions"}, kMaxPositions, &ignored_, false);
        Integer({"relative_attention_num_buckets"}, kMaxCount, &out_.relative_attention_num_buckets, false);
        break;
      default:
        Integer({"hidden_size"}, kMaxWidth, &out_.hidden_size, true);
        Integer({"num_hidden_layers"}, kMaxCount, &out_.num_hidden_layers, true);
        Integer({"num_attention_heads"}, kMaxCount, &out_.num_attention_heads, true);
        Integer({"intermediate_size"}, kMaxWidth, &out_.intermediate_size, !Is(ModelFamily::kGptNeox));
        Integer({"max_position_embeddings"}, kMaxPositions, &out_.max_position_embeddings, false);
        break;
    }
    Integer({"num_key_value_heads"}, kMaxCount, &out_.num_key_value_heads, false);
    if (Is(ModelFamily::kT5)) {
      Integer({"head_dim", "d_kv"}, kMaxWidth, &out_.head_dim, false);
    } else if (!Is(ModelFamily::kDeepseekV3)) {
      Integer({"head_dim"}, kMaxWidth, &out_.head_dim, false);
    }
    Integer({"vocab_size"}, kMaxVocabulary, &out_.vocab_size, true);
  }

  void ReadActivation(const char* key) {
    map_.Enum<Activation>(key,
                          {{"gelu", Activation::kGelu},
                           {"gelu_new", Activation::kGeluTanh},
                           {"gelu_fast", Activation::kGeluTanh},
                           {"gelu_pytorch_tanh", Activation::kGeluTanh},
                           {"relu", Activation::kRelu},
                           {"silu", Activation::kSilu},
                           {"swish", Activation::kSilu}},
                          &out_.activation);
  }

  void Switches() {
    map_.Optional("tie_word_embeddings", &out_.tie_word_embeddings);
    bool no_bias = true;
    if (Is(ModelFamily::kMpt) && map_.Optional("no_bias", &no_bias)) {
      out_.attention_bias = out_.mlp_bias = out_.norm_bias = !no_bias;
    }
    map_.Optional("attention_bias", &out_.attention_bias);
    map_.Optional("mlp_bias", &out_.mlp_bias);
    map_.Optional("norm_bias", &out_.norm_bias);
    map_.Optional("gated_mlp", &out_.gated_mlp);
    map_.Optional("fused_qkv", &out_.fused_qkv);
    map_.Optional("qk_norm", &out_.qk_norm);
    if (!Is(ModelFamily::kT5)) ReadMaskBuffer();
    bool parallel = out_.parallel_residual;
    if (map_.Optional(Is(ModelFamily::kGptNeox) ? "use_parallel_residual" : "parallel_residual", &parallel)) {
      out_.parallel_residual = parallel;
    }
    map_.Enum<Norm>("norm", {{"layer_norm", Norm::kLayerNorm}, {"rms_norm", Norm::kRmsNorm}}, &out_.norm);
    ReadActivation("hidden_act");
    if (Is(ModelFamily::kGpt2)) ReadActivation("activation_function");
    if (Is(ModelFamily::kT5)) ReadFeedForward();
    ReadPositions();
  }

  // T5 names activation and gating in one word, e.g. `gated-gelu`.
  void ReadFeedForward() {
    map_.Value("feed_forward_proj", [&](ValueReader& v) {
      std::string text;
      if (!v.Read(&text)) return;
      const std::vector<std::string> valid = {"relu", "gelu", "gated-gelu", "gated-silu"};
      if (std::find(valid.begin(), valid.end(), text) == valid.end()) return v.ReportBadName(text, valid);
      out_.gated_mlp = absl::StartsWith(text, "gated-");
      out_.activation = text == "relu" ? Activation::kRelu
                        : text == "gated-silu" ? Activation::kSilu : Activation::kGeluTanh;
    });
    // What the two halves of feed_forward_proj mean; they may stand beside it.
    map_.Ignore("dense_act_fn");
    map_.Ignore("is_gated_act");
  }

  void ReadMaskBuffer() {
    map_.Enum<std::optional<DType>>(
        "causal_mask_buffer",
        {{"none", {}}, {"bool", DType::kBool}, {"bf16", DType::kBf16}, {"fp16", DType::kFp16}, {"fp32", DType::kFp32}},
        &out_.causal_mask_buffer);
  }

  void ReadPositions() {
    bool alibi = false, learned = true;
    if (Is(ModelFamily::kMpt)) {
      map_.Optional("learned_pos_emb", &learned);
      map_.Optional("alibi", &alibi);
      out_.positions = alibi ? Positions::kAlibi : learned ? Positions::kLearned : Positions::kNone;
    }
    map_.Enum<Positions>("positions",
                         {{"none", Positions::kNone},
                          {"learned", Positions::kLearned},
                          {"rotary", Positions::kRotary},
                          {"alibi", Positions::kAlibi},
                          {"relative_bias", Positions::kRelativeBias}},
                         &out_.positions);
  }

  void Experts() {
    ExpertsSpec& e = out_.experts;
    if (!HasExperts()) return;
    if (Is(ModelFamily::kDeepseekV3)) {
      Integer({"num_local_experts", "n_routed_experts"}, kMaxCount, &e.num_local_experts, true);
      map_.Integer("n_shared_experts", 0, kMaxCount, &e.n_shared_experts);
      map_.Integer("first_k_dense_replace", 0, kMaxCount, &e.first_k_dense_replace);
    } else {
      Integer({"num_local_experts"}, kMaxCount, &e.num_local_experts, true);
    }
    Integer({"num_experts_per_tok"}, kMaxCount, &e.num_experts_per_tok, true);
    Integer({"moe_intermediate_size"}, kMaxWidth, &e.moe_intermediate_size, false);
    map_.Number("capacity_factor", 0, 1000, &e.capacity_factor);
    if (e.num_local_experts > 0 && e.num_experts_per_tok > e.num_local_experts) {
      map_.Error("num_experts_per_tok", "a token cannot go to more experts than there are").label =
          absl::StrCat("there are ", e.num_local_experts);
    }
    if (e.first_k_dense_replace > out_.num_hidden_layers && out_.num_hidden_layers > 0) {
      map_.Error("first_k_dense_replace", "more dense layers than layers").label =
          absl::StrCat("there are ", out_.num_hidden_layers);
    }
  }

  void LatentAttention() {
    if (!Is(ModelFamily::kDeepseekV3)) return;
    LatentAttentionSpec& l = out_.latent_attention;
    map_.Integer("q_lora_rank", 0, kMaxWidth, &l.q_lora_rank);  // 0: queries are not compressed
    Integer({"kv_lora_rank"}, kMaxWidth, &l.kv_lora_rank, true);
    Integer({"qk_nope_head_dim"}, kMaxWidth, &l.qk_nope_head_dim, true);
    Integer({"qk_rope_head_dim"}, kMaxWidth, &l.qk_rope_head_dim, true);
    Integer({"v_head_dim"}, kMaxWidth, &l.v_head_dim, true);
    out_.head_dim = l.qk_nope_head_dim + l.qk_rope_head_dim;
  }

  // What follows from other keys when it is left out.
  void Derive() {
    if (out_.num_key_value_heads == 0) out_.num_key_value_heads = out_.num_attention_heads;
    if (out_.intermediate_size == 0) out_.intermediate_size = expansion_ratio_ * out_.hidden_size;
    if (Is(ModelFamily::kT5)) {
      if (out_.num_decoder_layers == 0) out_.num_decoder_layers = out_.num_hidden_layers;
      if (out_.relative_attention_num_buckets == 0) out_.relative_attention_num_buckets = 32;  // T5Config's default
    }
    if (out_.num_attention_heads > 0 && out_.num_attention_heads % out_.num_key_value_heads != 0) {
      map_.Error("num_key_value_heads", "key-value heads must divide the attention heads").label =
          absl::StrCat(out_.num_attention_heads, " heads cannot share ", out_.num_key_value_heads);
    }
    if (out_.head_dim == 0 && out_.num_attention_heads > 0 && out_.hidden_size > 0) DeriveHeadDim();
    if (out_.positions == Positions::kLearned && out_.max_position_embeddings == 0) {
      const char* key = Is(ModelFamily::kGpt2) ? "n_positions" : Is(ModelFamily::kMpt) ? "max_seq_len" : "max_position_embeddings";
      map_.diagnostics().Error(absl::StrCat(map_.path().empty() ? "this file" : absl::StrCat("`", map_.path(), "`"),
                                            " lacks the key `", key, "`"), map_.where())
          .help.emplace_back("learned positions are a table with one row per position");
    }
  }

  void DeriveHeadDim() {
    if (out_.hidden_size % out_.num_attention_heads == 0) {
      out_.head_dim = out_.hidden_size / out_.num_attention_heads;
      return;
    }
    const char* heads = "num_attention_heads";
    for (const char* name : {"n_head", "n_heads", "num_heads"}) {
      if (map_.Has(name)) heads = name;
    }
    Diagnostic& error = map_.Error(heads, "the hidden size must be a multiple of the number of heads");
    error.label = absl::StrCat(out_.hidden_size, " cannot be split ", out_.num_attention_heads, " ways");
    error.help.push_back(absl::StrCat("give the size of a head as `", Is(ModelFamily::kT5) ? "d_kv" : "head_dim", "`"));
  }

  MapReader& map_;
  ModelSpec& out_;
  KeyLocations* where_;
  int64_t expansion_ratio_ = 4;
  int64_t ignored_ = 0;
};

// JSON writes what is absent as null.
Node WithoutNulls(Node node) {
  node.entries.erase(std::remove_if(node.entries.begin(), node.entries.end(),
                                    [](const Node::Entry& e) { return e.value.kind == Node::Kind::kNull; }),
                     node.entries.end());
  return node;
}

}  // namespace

bool ReadModel(ValueReader& value, const std::string& default_name, ModelSpec* out, KeyLocations* where) {
  *out = ModelSpec{};
  out->name = default_name;
  const Node cleaned = absl::EndsWith(value.where().file, ".json") ? WithoutNulls(value.node()) : Node{};
  ValueReader reader(cleaned.kind == Node::Kind::kMap ? cleaned : value.node(), value.path(), value.diagnostics());
  return reader.ReadMap([&](MapReader& map) {
    if (where != nullptr) (*where)[""] = map.where();
    Reader(map, out, where).Read();
  });
}

}  // namespace simulate
