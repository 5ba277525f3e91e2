// A transformer as its user describes it. Keys are those of Hugging Face's config.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sim/spec/dtype.h"

namespace simulate {

enum class ModelFamily : uint8_t { kGpt2, kGptNeox, kMpt, kLlama, kMixtral, kDeepseekV3, kT5 };
enum class Norm : uint8_t { kLayerNorm, kRmsNorm };
enum class Activation : uint8_t { kGelu, kGeluTanh, kRelu, kSilu };
enum class Positions : uint8_t { kNone, kLearned, kRotary, kAlibi, kRelativeBias };

[[nodiscard]] constexpr const char* Name(ModelFamily family) {
  switch (family) {
    case ModelFamily::kGpt2: return "gpt2";
    case ModelFamily::kGptNeox: return "gpt_neox";
    case ModelFamily::kMpt: return "mpt";
    case ModelFamily::kLlama: return "llama";
    case ModelFamily::kMixtral: return "mixtral";
    case ModelFamily::kDeepseekV3: return "deepseek_v3";
    case ModelFamily::kT5: return "t5";
  }
  return "";
}

struct ExpertsSpec {
  int64_t num_local_experts = 0;       // 0: dense
  int64_t num_experts_per_tok = 0;
  int64_t moe_intermediate_size = 0;   // 0: intermediate_size
  int64_t n_shared_experts = 0;
  int64_t first_k_dense_replace = 0;   // leading dense layers
  double capacity_factor = 0.0;        // 0: dropless
};

// DeepSeek's multi-head latent attention; all 0: plain attention.
struct LatentAttentionSpec {
  int64_t q_lora_rank = 0;
  int64_t kv_lora_rank = 0;
  int64_t qk_nope_head_dim = 0;
  int64_t qk_rope_head_dim = 0;
  int64_t v_head_dim = 0;
};

struct ModelSpec {
  std::string name;
  ModelFamily family = ModelFamily::kGpt2;
  int64_t hidden_size = 0;             // T5: d_model
  int64_t num_hidden_layers = 0;       // T5: num_layers (encoder)
  int64_t num_decoder_layers = 0;      // T5 only
  int64_t num_attention_heads = 0;     // T5: num_heads
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;                // T5: d_kv; heads * head_dim may differ from hidden_size
  int64_t intermediate_size = 0;       // T5: d_ff
  int64_t vocab_size = 0;
  int64_t max_position_embeddings = 0;
  bool tie_word_embeddings = false;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool norm_bias = false;
  bool gated_mlp = false;
  bool fused_qkv = false;              // one projection for q, k and v
  bool parallel_residual = false;      // GPT-NeoX: attention and MLP read the same input and are added together
  bool qk_norm = false;                // a norm on queries and keys
  // Every block keeps its causal mask, [max_position_embeddings, max_position_embeddings], in this type (minGPT's `mask`).
  std::optional<DType> causal_mask_buffer;
  Norm norm = Norm::kLayerNorm;
  Activation activation = Activation::kGelu;
  Positions positions = Positions::kLearned;
  int64_t relative_attention_num_buckets = 0;   // kRelativeBias: rows of the bias table
  ExpertsSpec experts;
  LatentAttentionSpec latent_attention;
};

}  // namespace simulate
