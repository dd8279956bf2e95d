#include "trainer/training_flops.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

ModelConfig smollm2_135m() {
  ModelConfig config;
  config.vocab_size = 49152;
  config.hidden_size = 576;
  config.intermediate_size = 1536;
  config.num_hidden_layers = 30;
  config.num_attention_heads = 9;
  config.num_key_value_heads = 3;
  config.head_dim = 64;
  return config;
}

// The formula of an independent count: 0.2124e9 L + 34560 L^2, and 56.6e6 L for all logits.
TEST(TrainingFlops, OfSmollm2AreThoseOfTheReferenceFormula) {
  auto full = make_attention_pattern("full");
  for (int64_t length : {1024, 8192, 16384}) {
    double l = static_cast<double>(length);
    double expected = 0.2124e9 * l + 34560 * l * l + 56.6e6 * l;
    EXPECT_NEAR(forward_flops(smollm2_135m(), *full, length, 1) / expected, 1.0, 2e-3);
  }
}

TEST(TrainingFlops, ShiftedSparseAttentionIsCheaper) {
  Stage stage{.steps = 1, .seq_len = 16384};
  stage.attention = make_attention_pattern("full");
  double full = step_flops(smollm2_135m(), stage, true);
  stage.attention = make_attention_pattern("shifted_sparse");
  double shifted = step_flops(smollm2_135m(), stage, true);
  EXPECT_NEAR(full / shifted, 2.0, 0.1);
}

}  // namespace
}  // namespace longspan
