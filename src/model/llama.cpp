#include "src/model/families.h"

namespace longspan {

/// LLaMA 1, 2 and 3 (Touvron et al. 2023, arXiv 2302.13971 and 2307.09288; Dubey et al. 2024), and
/// all that took over its model_type: SmolLM2, TinyLlama, Yi, Vicuna.
void read_llama(Fields& fields, ModelConfig& config) {
  config.max_position_embeddings = 2048;
  config.rms_norm_eps = 1e-6;
  read_shape(fields, config);
  require_silu(fields);
  read_attention_bias(fields, config);
  fields.optional("mlp_bias", config.decoder.mlp_bias);

  int64_t window = read_sliding_window(fields, config, 0);
  if (window > 0 && window < config.max_position_embeddings) {
    fields.error("sliding_window",
                 fmt::format("{}: a llama model has none; is its model_type mistral?", window));
  }
}

}  // namespace longspan
