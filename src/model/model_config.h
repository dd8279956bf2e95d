#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/core/json.h"
#include "src/rope/rope_scaling.h"

namespace longspan {

/// A model's shape, in the words of config.json.
struct ModelConfig {
  std::string model_type = "llama";
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_hidden_layers = 0;
  int64_t num_attention_heads = 0;
  int64_t num_key_value_heads = 0;
  int64_t head_dim = 0;
  double rms_norm_eps = 1e-5;
  bool attention_bias = false;
  bool mlp_bias = false;
  bool tie_word_embeddings = false;
  int64_t max_position_embeddings = 0;  // with the scaling applied: what the model accepts
  double rope_theta = 10000.0;
  std::shared_ptr<const RopeScaling> rope_scaling;  // never null once read; "default" is one
  std::optional<int64_t> bos_token_id, pad_token_id;
  std::vector<int64_t> eos_token_ids;
  Json source = Json::object();  // config.json as read; keys unknown to us survive the export

  /// The geometry the RoPE formulas want: max_position_embeddings is the length before scaling.
  RopeGeometry rope_geometry() const;
};

}  // namespace longspan
