// Every model file in the repository can be read, and holds what its family says.
#include <catch2/catch.hpp>

#include <filesystem>
#include <string>

#include "sim/config/config.h"

namespace simulate {
namespace {

const SearchPath kRepository{{SIMULATE_SOURCE_DIR}};

ModelSpec Load(const std::string& name) {
  Diagnostics diagnostics;
  const auto model = LoadModel(name, kRepository, diagnostics);
  INFO(diagnostics.Render());
  REQUIRE(model.has_value());
  return *model;
}

TEST_CASE("every model file is read without a complaint") {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SIMULATE_SOURCE_DIR "/models")) {
    const std::string name = entry.path().stem().string();
    const ModelSpec model = Load(name);
    CHECK(model.name == name);
    CHECK(model.head_dim > 0);
    ++files;
  }
  CHECK(files >= 40);
}

TEST_CASE("T5-11B has heads wider than the model, a ReLU without gate and a tied embedding") {
  const ModelSpec m = Load("t5-11b");
  CHECK(m.family == ModelFamily::kT5);
  CHECK(m.hidden_size == 1024);
  CHECK(m.num_attention_heads * m.head_dim == 16384);
  CHECK(m.num_decoder_layers == 24);
  CHECK(m.activation == Activation::kRelu);
  CHECK_FALSE(m.gated_mlp);
  CHECK(m.tie_word_embeddings);
  CHECK(m.norm == Norm::kRmsNorm);
  CHECK(m.positions == Positions::kRelativeBias);
  CHECK(m.relative_attention_num_buckets == 32);
}

TEST_CASE("Llama 3 8B groups its queries") {
  const ModelSpec m = Load("llama-3-8b");
  CHECK(m.num_key_value_heads == 8);
  CHECK(m.head_dim == 128);
  CHECK(m.gated_mlp);
  CHECK(m.activation == Activation::kSilu);
  CHECK(m.positions == Positions::kRotary);
  CHECK_FALSE(m.tie_word_embeddings);
  CHECK_FALSE(m.attention_bias);
}

TEST_CASE("DeepSeek-V3 has latent attention and experts") {
  const ModelSpec m = Load("deepseek-v3");
  CHECK(m.experts.num_local_experts == 256);
  CHECK(m.experts.num_experts_per_tok == 8);
  CHECK(m.experts.first_k_dense_replace == 3);
  CHECK(m.latent_attention.kv_lora_rank == 512);
  CHECK(m.head_dim == 192);
}

TEST_CASE("GPT-2 keeps its own names and defaults") {
  const ModelSpec m = Load("gpt2-xl");
  CHECK(m.hidden_size == 1600);
  CHECK(m.num_attention_heads == 25);
  CHECK(m.intermediate_size == 6400);
  CHECK(m.fused_qkv);
  CHECK(m.mlp_bias);
  CHECK(m.activation == Activation::kGeluTanh);
  CHECK(m.tie_word_embeddings);
}

TEST_CASE("MPT counts its biases and learned positions") {
  const ModelSpec m = Load("mpt-7b");
  CHECK(m.intermediate_size == 16384);
  CHECK(m.attention_bias);
  CHECK(m.positions == Positions::kLearned);
  CHECK(m.fused_qkv);
}

}  // namespace
}  // namespace simulate
