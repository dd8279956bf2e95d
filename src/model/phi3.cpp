#include "src/model/families.h"

namespace longspan {

/// Phi-3, Phi-3.5 and Phi-4 (Abdin et al. 2024, arXiv 2404.14219): LLaMA with fused projections,
/// LongRoPE in the long versions, RoPE on a part of each head in Phi-4-mini.
void read_phi3(Fields& fields, ModelConfig& config) {
  config.max_position_embeddings = 4096;
  config.rms_norm_eps = 1e-5;
  read_shape(fields, config);
  require_silu(fields);
  config.decoder.fused_projections = true;
  // Phi3Config has it whatever config.json says, and it goes before the one in rope_scaling.
  if (!fields.has(kOriginalMaxPositionEmbeddings)) {
    config.source[kOriginalMaxPositionEmbeddings] = 4096;
  }
  int64_t window = read_sliding_window(fields, config, 0);
  config.decoder.layers.assign(static_cast<size_t>(config.num_hidden_layers), {window});

  double& part = config.decoder.partial_rotary_factor;
  fields.in_range("partial_rotary_factor", part, 0.01, 1.0);
  fields.child("rope_parameters").in_range("partial_rotary_factor", part, 0.01, 1.0);
  if (config.rope_geometry().head_dim % 2 != 0) {
    fields.error("partial_rotary_factor",
                 fmt::format("{} of head_dim {} is odd; RoPE wants pairs", part, config.head_dim));
  }
}

}  // namespace longspan
