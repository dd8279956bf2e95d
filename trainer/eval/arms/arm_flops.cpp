#include "trainer/eval/arms/arm_flops.h"

#include <cmath>

#include "trainer/plan/real.h"
#include "trainer/plan/training_flops.h"

namespace longspan {

double reading_flops(const ModelConfig& config, const AttentionPattern& attention, int64_t tokens) {
  const double head = 2.0 * real(config.vocab_size) * real(config.hidden_size);
  return forward_flops(config, attention, tokens, /*rows=*/1) - head * real(tokens - 1);
}

int64_t key_value_bytes(const ModelConfig& config, int64_t tokens, double bits) {
  const double numbers = 2.0 * real(config.num_hidden_layers) * real(config.num_key_value_heads) *
                         real(config.head_dim) * real(tokens);
  return std::llround(numbers * bits / 8);
}

}  // namespace longspan
