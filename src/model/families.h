#pragma once

#include <functional>

#include "src/model/family.h"

namespace longspan {

// One family a file; its line in family.cpp makes it known by name. Each sets the defaults of
// transformers' configuration class before it reads.
void read_llama(Fields& fields, ModelConfig& config);
void read_mistral(Fields& fields, ModelConfig& config);
void read_qwen2(Fields& fields, ModelConfig& config);
void read_qwen3(Fields& fields, ModelConfig& config);
void read_smollm3(Fields& fields, ModelConfig& config);
void read_phi3(Fields& fields, ModelConfig& config);
void read_gemma3(Fields& fields, ModelConfig& config);
void read_longllama(Fields& fields, ModelConfig& config);

/// Reads what all families spell alike: sizes, rms_norm_eps, tie_word_embeddings. What `config`
/// holds before is the default; a num_key_value_heads of 0 is as many as query heads, a head_dim of
/// 0 is hidden_size over the query heads.
void read_shape(Fields& fields, ModelConfig& config);

/// attention_bias, the biases of q, k, v and o; absent: none.
void read_attention_bias(Fields& fields, ModelConfig& config);

/// hidden_act must be SiLU, in one of its two names.
void require_silu(Fields& fields);

/// sliding_window: 0 when it is null, `fallback` when it is absent.
int64_t read_sliding_window(Fields& fields, const ModelConfig& config, int64_t fallback);

/// Puts `window` on the layers that layer_types calls sliding_attention; where that key is absent,
/// on those that `slides` chooses.
void read_layer_types(Fields& fields, ModelConfig& config, int64_t window,
                      const std::function<bool(int64_t layer)>& slides);

/// Qwen's use_sliding_window, max_window_layers and layer_types.
void read_qwen_windows(Fields& fields, ModelConfig& config);

}  // namespace longspan
