#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/core/json.h"
#include "src/rope/rope_scaling.h"

namespace longspan {

class AttentionPattern;

/// How one layer attends, where the layers of a model differ.
struct LayerOptions {
  enum class Rope { kGlobal, kLocal, kNone };  // the model's; DecoderOptions::local_rope; NoPE

  int64_t sliding_window = 0;  // keys that a query sees, its own included; 0: no limit
  Rope rope = Rope::kGlobal;
};

/// A RoPE beside the model's own, that no recipe scales: that of Gemma 3's sliding layers.
struct LocalRope {
  double rope_theta = 10000.0;
  std::shared_ptr<const RopeScaling> rope_scaling;
};

/// Where a family departs from LLaMA; its file in src/model sets them.
struct DecoderOptions {
  bool qkv_bias = false, o_bias = false, mlp_bias = false;
  bool qk_norm = false;                // an RMSNorm over each head of q and k before RoPE
  bool fused_projections = false;      // qkv_proj and gate_up_proj instead of three and two
  double partial_rotary_factor = 1.0;  // the part of head_dim that RoPE turns
  std::vector<LayerOptions> layers;    // one a layer; empty: LayerOptions{} in all

  // Gemma's.
  bool gelu_tanh = false;            // instead of SiLU
  bool zero_centered_norms = false;  // RMSNorm multiplies by 1 + weight
  bool sandwich_norms = false;       // RMSNorm after attention and after the MLP too
  bool scaled_embeddings = false;    // embeddings times sqrt(hidden_size)
  double query_pre_attn_scalar = 0;  // scores are divided by its root; 0: by that of head_dim
  std::optional<LocalRope> local_rope;
};

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
  bool tie_word_embeddings = false;
  int64_t max_position_embeddings = 0;  // with the scaling applied: what the model accepts
  double rope_theta = 10000.0;
  std::shared_ptr<const RopeScaling> rope_scaling;  // never null once read; "default" is one
  /// The length before a scaling that has no such key of its own (linear); see context_length.
  std::optional<int64_t> original_max_position_embeddings;
  std::optional<int64_t> bos_token_id, pad_token_id;
  std::vector<int64_t> eos_token_ids;
  DecoderOptions decoder;
  /// How config.json says that the model attends; null: "full".
  std::shared_ptr<const AttentionPattern> attention;
  Json source = Json::object();  // config.json as read; keys unknown to us survive the export

  /// The geometry the RoPE formulas want: head_dim is the part of it that turns, and
  /// max_position_embeddings the length before scaling.
  RopeGeometry rope_geometry() const;
  /// That of decoder.local_rope, which must be there.
  RopeGeometry local_rope_geometry() const;
  LayerOptions layer(int64_t index) const;
};

}  // namespace longspan
