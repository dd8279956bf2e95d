#include "src/model/families.h"

namespace longspan {

void read_qwen_windows(Fields& fields, ModelConfig& config) {
  bool use_sliding_window = false;
  fields.optional("use_sliding_window", use_sliding_window);
  int64_t max_window_layers = 28;
  fields.optional("max_window_layers", max_window_layers);
  int64_t window = use_sliding_window ? read_sliding_window(fields, config, 4096) : 0;
  read_layer_types(fields, config, window,
                   [&](int64_t layer) { return window > 0 && layer >= max_window_layers; });
}

/// Qwen2 and Qwen2.5 (Yang et al. 2024, arXiv 2407.10671 and 2412.15115): LLaMA with biases on
/// q, k and v, and a sliding window in the upper layers when use_sliding_window.
void read_qwen2(Fields& fields, ModelConfig& config) {
  config.num_key_value_heads = 32;
  config.max_position_embeddings = 32768;
  config.rms_norm_eps = 1e-6;
  read_shape(fields, config);
  require_silu(fields);
  config.decoder.qkv_bias = true;
  read_qwen_windows(fields, config);
}

}  // namespace longspan
