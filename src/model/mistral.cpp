#include "src/model/families.h"

namespace longspan {

/// Mistral 7B (Jiang et al. 2023, arXiv 2310.06825), Mistral NeMo and Ministral: LLaMA with, in the
/// first version, a sliding window in every layer, and in Ministral in those that layer_types
/// names. An absent sliding_window is transformers' 4096.
void read_mistral(Fields& fields, ModelConfig& config) {
  config.num_key_value_heads = 8;
  config.max_position_embeddings = 131072;
  config.rms_norm_eps = 1e-6;
  read_shape(fields, config);
  require_silu(fields);
  int64_t window = read_sliding_window(fields, config, 4096);
  read_layer_types(fields, config, window, [&](int64_t) { return window > 0; });
}

}  // namespace longspan
