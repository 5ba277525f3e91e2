// The models of the measured training steps, as config/ would read them.
#pragma once

#include <string>

#include "sim/model/model.h"

namespace simulate::testing {

inline ModelSpec Gpt(int64_t layers, int64_t hidden, int64_t heads, int64_t length, int64_t vocabulary = 50304) {
  ModelSpec m;
  m.family = ModelFamily::kGpt2;
  m.name = "gpt";
  m.hidden_size = hidden;
  m.num_hidden_layers = layers;
  m.num_attention_heads = m.num_key_value_heads = heads;
  m.head_dim = hidden / heads;
  m.intermediate_size = 4 * hidden;
  m.vocab_size = vocabulary;
  m.max_position_embeddings = length;
  m.attention_bias = m.mlp_bias = m.norm_bias = true;
  return m;
}

inline ModelSpec Llama(int64_t layers, int64_t hidden, int64_t heads, int64_t key_value_heads, int64_t intermediate) {
  ModelSpec m;
  m.family = ModelFamily::kLlama;
  m.name = "llama";
  m.hidden_size = hidden;
  m.num_hidden_layers = layers;
  m.num_attention_heads = heads;
  m.num_key_value_heads = key_value_heads;
  m.head_dim = hidden / heads;
  m.intermediate_size = intermediate;
  m.vocab_size = 128256;
  m.gated_mlp = true;
  m.norm = Norm::kRmsNorm;
  m.activation = Activation::kSilu;
  m.positions = Positions::kNone;
  return m;
}

inline ModelSpec T5(int64_t layers, int64_t model, int64_t key_value, int64_t heads, int64_t intermediate) {
  ModelSpec m;
  m.family = ModelFamily::kT5;
  m.name = "t5";
  m.hidden_size = model;
  m.num_hidden_layers = m.num_decoder_layers = layers;
  m.num_attention_heads = m.num_key_value_heads = heads;
  m.head_dim = key_value;
  m.intermediate_size = intermediate;
  m.vocab_size = 32128;
  m.tie_word_embeddings = true;
  m.norm = Norm::kRmsNorm;
  m.activation = Activation::kRelu;
  m.positions = Positions::kRelativeBias;
  return m;
}

inline TrainingSpec Training(int64_t length, int64_t batch, const std::string& precision) {
  TrainingSpec t;
  t.sequence_length = t.decoder_sequence_length = length;
  t.micro_batch_size = batch;
  t.precision.name = precision;
  if (precision == "bf16") {
    t.precision.master_weights.reset();
    t.precision.optimizer = DType::kBf16;
  } else if (precision == "autocast") {
    t.precision.parameters = t.precision.gradients = t.precision.gradient_reduction = DType::kFp32;
    t.precision.autocast = true;
  }
  return t;
}

}  // namespace simulate::testing
