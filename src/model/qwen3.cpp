#include "src/model/families.h"

namespace longspan {

/// Qwen3, dense (Yang et al. 2025, arXiv 2505.09388): Qwen2 with an RMSNorm on each head of q and k
/// instead of the biases.
void read_qwen3(Fields& fields, ModelConfig& config) {
  config.num_key_value_heads = 32;
  config.head_dim = 128;
  config.max_position_embeddings = 32768;
  config.rms_norm_eps = 1e-6;
  read_shape(fields, config);
  require_silu(fields);
  config.decoder.qk_norm = true;
  read_attention_bias(fields, config);
  read_qwen_windows(fields, config);
}

}  // namespace longspan
