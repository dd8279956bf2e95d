#include "trainer/eval/arms/arm_flops.h"

#include <cmath>

#include "src/attention/attention.h"
#include "trainer/plan/real.h"
#include "trainer/plan/training_flops.h"

namespace longspan {

double reading_flops(const ModelConfig& config, const AttentionPattern& attention, int64_t tokens) {
  const double head = 2.0 * real(config.vocab_size) * real(config.hidden_size);
  return forward_flops(config, attention, tokens, /*rows=*/1) - head * real(tokens - 1);
}

int64_t key_value_bytes(const ModelConfig& config, const AttentionPattern& attention,
                        int64_t tokens, double bits) {
  const KeyValueForm form{config.num_key_value_heads, config.head_dim, bits};
  double bytes = 0;
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    bytes += attention.kept_bytes(layer, tokens, form);
  }
  return std::llround(bytes);
}

}  // namespace longspan
