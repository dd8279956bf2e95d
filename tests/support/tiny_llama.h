#pragma once

#include <ATen/Context.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <memory>

#include "src/model/causal_lm.h"

namespace longspan {

/// A LLaMA of 2 layers with 9 query and 3 key/value heads (as SmolLM2 has them), a few thousand
/// parameters.
inline ModelConfig tiny_llama_config() {
  ModelConfig config;
  config.vocab_size = 61;
  config.hidden_size = 36;
  config.intermediate_size = 40;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 9;
  config.num_key_value_heads = 3;
  config.head_dim = 8;
  config.max_position_embeddings = 64;
  config.tie_word_embeddings = true;
  config.rope_scaling = make_rope_scaling("default");
  return config;
}

/// The model with random weights drawn from `seed`.
inline std::unique_ptr<CausalLm> random_model(const ModelConfig& config, uint64_t seed = 1,
                                              at::ScalarType dtype = at::kFloat) {
  at::manual_seed(seed);
  auto model = make_causal_lm(config);
  model->visit_parameters("", [&](const std::string& name, at::Tensor& parameter) {
    bool norm = name.ends_with("norm.weight");
    at::Tensor values = at::empty(parameter.sizes(), at::kFloat).normal_(norm ? 1.0 : 0.0, 0.2);
    parameter = values.to(dtype);
  });
  return model;
}

}  // namespace longspan
