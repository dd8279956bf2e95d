#include <algorithm>

#include "src/model/families.h"

namespace longspan {

/// Gemma 3 without its images (Kamath et al. 2025, arXiv 2503.19786): five layers with a sliding
/// window and a RoPE of their own between each two with full attention; norms before and after
/// attention and MLP; GeGLU; scaled embeddings.
void read_gemma3(Fields& fields, ModelConfig& config) {
  config.num_key_value_heads = 4;
  config.head_dim = 256;
  config.max_position_embeddings = 131072;
  config.rms_norm_eps = 1e-6;
  config.rope_theta = 1e6;
  config.tie_word_embeddings = true;
  read_shape(fields, config);
  DecoderOptions& decoder = config.decoder;
  std::string hidden_activation = "gelu_pytorch_tanh";
  fields.choice("hidden_activation", hidden_activation, {"gelu_pytorch_tanh"});
  read_attention_bias(fields, config);
  decoder.qk_norm = decoder.gelu_tanh = decoder.zero_centered_norms = decoder.sandwich_norms =
      decoder.scaled_embeddings = true;
  decoder.query_pre_attn_scalar = 256;
  fields.in_range("query_pre_attn_scalar", decoder.query_pre_attn_scalar, 1e-3, 1e9);

  int64_t pattern = 6;
  fields.in_range("sliding_window_pattern", pattern, 1, int64_t{1} << 31);
  pattern = std::max<int64_t>(pattern, 1);
  int64_t window = read_sliding_window(fields, config, 4096);
  read_layer_types(fields, config, window,
                   [&](int64_t layer) { return (layer + 1) % pattern != 0; });
  for (auto& layer : decoder.layers) {
    if (layer.sliding_window > 0) layer.rope = LayerOptions::Rope::kLocal;
  }
  decoder.local_rope.emplace();
  fields.optional("rope_local_base_freq", decoder.local_rope->rope_theta);

  for (const char* key : {"final_logit_softcapping", "attn_logit_softcapping"}) {
    if (fields.has(key)) fields.error(key, "soft-capping is not supported; expected null");
  }
  bool bidirectional = false;
  fields.optional("use_bidirectional_attention", bidirectional);
  if (bidirectional)
    fields.error("use_bidirectional_attention", "is not supported; expected false");
}

}  // namespace longspan
