#pragma once

#include <cmath>
#include <cstdint>

#include "src/model/model_config.h"
#include "tests/support/largest.h"

namespace longspan {

/// How far two float32 computations of `expected` may lie apart whose longest path adds `terms`
/// numbers, each in an order of its own. The error of a sum of n terms grows as sqrt(n) units in
/// the last place of its largest number (Higham and Mary, "A new approach to probabilistic rounding
/// error analysis", 2019); the factor is for the constant in it and for steps that are no sums. A
/// wrong formula is off by hundreds of it.
inline double float32_bound(double expected, int64_t terms) {
  constexpr double kUnit = 0x1p-24, kRoom = 8;
  return kRoom * kUnit * std::sqrt(static_cast<double>(terms)) * std::abs(expected);
}
inline double float32_bound(const at::Tensor& expected, int64_t terms) {
  return float32_bound(largest(expected), terms);
}

/// What a decoder adds on the way from an embedding to a logit, over `seq_len` tokens: the two
/// norms and six products of each layer, and the head's.
inline int64_t terms_of_logits(const ModelConfig& config, int64_t seq_len) {
  const int64_t layer = 5 * config.hidden_size + config.intermediate_size + config.head_dim +
                        config.num_attention_heads * config.head_dim + seq_len;
  return config.num_hidden_layers * layer + 2 * config.hidden_size;
}

/// What a gradient adds: the way there and back, and the sum over `tokens`.
inline int64_t terms_of_gradients(const ModelConfig& config, int64_t tokens) {
  return 3 * terms_of_logits(config, tokens) + tokens;
}

/// What a token's loss adds: the way to its logits and their softmax.
inline int64_t terms_of_loss(const ModelConfig& config, int64_t seq_len) {
  return terms_of_logits(config, seq_len) + config.vocab_size;
}

}  // namespace longspan
