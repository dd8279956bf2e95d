#include <algorithm>

#include "src/model/families.h"

namespace longspan {

namespace {

/// Layers without RoPE: those with a 0 in no_rope_layers, or every no_rope_layer_interval-th.
void read_nope_layers(Fields& fields, ModelConfig& config) {
  int64_t interval = 4;
  fields.in_range("no_rope_layer_interval", interval, 1, int64_t{1} << 31);
  interval = std::max<int64_t>(interval, 1);
  std::vector<int64_t> uses_rope;
  fields.optional("no_rope_layers", uses_rope);
  auto& layers = config.decoder.layers;
  if (fields.has("no_rope_layers") && uses_rope.size() < layers.size()) {
    return fields.error("no_rope_layers", fmt::format("has {} entries for {} layers",
                                                      uses_rope.size(), layers.size()));
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    bool rope =
        uses_rope.empty() ? (static_cast<int64_t>(i) + 1) % interval != 0 : uses_rope[i] != 0;
    if (!rope) layers[i].rope = LayerOptions::Rope::kNone;
  }
}

}  // namespace

/// SmolLM3 (Hugging Face 2025): LLaMA in which every fourth layer has no positions at all (NoPE,
/// Yang et al. 2025, arXiv 2501.18795).
void read_smollm3(Fields& fields, ModelConfig& config) {
  config.num_key_value_heads = 4;
  config.max_position_embeddings = 32768;
  config.rms_norm_eps = 1e-6;
  config.rope_theta = 2e6;
  config.tie_word_embeddings = true;
  read_shape(fields, config);
  require_silu(fields);
  read_attention_bias(fields, config);
  fields.optional("mlp_bias", config.decoder.mlp_bias);
  bool use_sliding_window = false;
  fields.optional("use_sliding_window", use_sliding_window);

  config.decoder.layers.resize(static_cast<size_t>(config.num_hidden_layers));
  read_nope_layers(fields, config);
  int64_t window = read_sliding_window(fields, config, 0);
  read_layer_types(fields, config, window, [&](int64_t layer) {
    return use_sliding_window && window > 0 &&
           config.layer(layer).rope == LayerOptions::Rope::kNone;
  });
}

}  // namespace longspan
