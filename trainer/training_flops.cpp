#include "trainer/training_flops.h"

namespace longspan {

double forward_flops(const ModelConfig& config, const AttentionPattern& attention, int64_t seq_len,
                     int64_t rows) {
  const auto d = [](int64_t value) { return static_cast<double>(value); };
  double attention_weights = 2.0 * d(config.hidden_size) * d(config.head_dim) *
                             d(config.num_attention_heads + config.num_key_value_heads);
  double mlp_weights = 3.0 * d(config.hidden_size) * d(config.intermediate_size);
  double weights = d(config.num_hidden_layers) * (attention_weights + mlp_weights) +
                   d(config.vocab_size) * d(config.hidden_size);
  double pairs = d(attention.scored_pairs(seq_len)) * d(config.num_hidden_layers) *
                 d(config.num_attention_heads);
  return d(rows) * (2.0 * weights * d(seq_len) + 4.0 * d(config.head_dim) * pairs);
}

double step_flops(const ModelConfig& config, const Stage& stage, bool recompute) {
  return (recompute ? 3.0 : 2.0) *
         forward_flops(config, *stage.attention, stage.seq_len,
                       stage.batch_size * stage.gradient_accumulation_steps);
}

}  // namespace longspan
