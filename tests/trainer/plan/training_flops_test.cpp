#include "trainer/plan/training_flops.h"

#include <gtest/gtest.h>

#include "src/attention/focused_memory.h"
#include "src/core/diagnostics.h"

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

Stage stage_of(const char* pattern) {
  return {.steps = 1, .seq_len = 16384, .attention = make_attention_pattern(pattern)};
}

TEST(TrainingFlops, ShiftedSparseAttentionIsAQuarterOfFull) {
  const StepFlops full =
      step_flops(smollm2_135m(), stage_of("full"), {.recompute = Recompute::kSelective});
  const StepFlops shifted =
      step_flops(smollm2_135m(), stage_of("shifted_sparse"), {.recompute = Recompute::kSelective});
  // 4 heads score a quarter; 5 are shifted, half a group at either end: 7 / 32.
  EXPECT_NEAR(shifted.attention_forward / full.attention_forward, (4 * 8 + 5 * 7) / (9 * 32.0),
              1e-4);
  EXPECT_EQ(shifted.linears_forward, full.linears_forward);
}

TEST(TrainingFlops, LayersInGroupsAndTheOthersCountForThemselves) {
  const Json keys = {{"pattern", "shifted_sparse"}, {"layers", {0, 1, 2, 3, 4, 5}}};
  Diagnostics diagnostics;
  Stage mixed = stage_of("full");
  mixed.attention = read_attention_pattern(Fields(keys, diagnostics));
  // The first ten layers attend again in backward, six of them in groups.
  const MemoryOptions memory{.recompute = Recompute::kLayer, .recompute_num_layers = 10};
  const double full = step_flops(smollm2_135m(), stage_of("full"), memory).attention_forward;
  const double sparse =
      step_flops(smollm2_135m(), stage_of("shifted_sparse"), memory).attention_forward;
  const StepFlops flops = step_flops(smollm2_135m(), mixed, memory);
  EXPECT_DOUBLE_EQ(flops.attention_forward, (6 * sparse + 24 * full) / 30);
  EXPECT_DOUBLE_EQ(flops.attention_backward, 2.5 * flops.attention_forward);
  EXPECT_DOUBLE_EQ(flops.attention_recomputed, (6 * sparse + 4 * full) / 30);
  EXPECT_NEAR((forward_flops(smollm2_135m(), *stage_of("full").attention, 16384, 1) -
               forward_flops(smollm2_135m(), *mixed.attention, 16384, 1)) /
                  ((full - sparse) * 6 / 30),
              1, 1e-9);
}

TEST(TrainingFlops, AThirdOfTheHeadsInFullCostsWhatAThirdOfTheLayersDoes) {
  const Json keys = {{"pattern", "shifted_sparse"}, {"full_heads", 3}};
  Diagnostics diagnostics;
  Stage mixed = stage_of("full");
  mixed.attention = read_attention_pattern(Fields(keys, diagnostics));
  const MemoryOptions memory{.recompute = Recompute::kSelective};
  const double full = step_flops(smollm2_135m(), stage_of("full"), memory).attention_forward;
  // 3 heads score all, 3 a quarter; 3 are shifted, half a group at either end: 7 / 32.
  EXPECT_NEAR(step_flops(smollm2_135m(), mixed, memory).attention_forward / full,
              (3 * 32 + 3 * 8 + 3 * 7) / (9 * 32.0), 1e-4);
  const double sparse =
      step_flops(smollm2_135m(), stage_of("shifted_sparse"), memory).attention_forward;
  EXPECT_NEAR(step_flops(smollm2_135m(), mixed, memory).attention_forward,
              full / 3 + sparse * 2 / 3, 2e-3 * full);
}

Stage stage_of_windows() {
  FocusedMemoryOptions options;
  options.mem_layers = {7, 15, 22};
  return {.steps = 1,
          .seq_len = 2048,
          .batch_size = 8,
          .gradient_accumulation_steps = 2,
          .attention = std::make_shared<FocusedMemoryAttention>(options)};
}

TEST(TrainingFlops, MemoryLayersAttendToTheWindowsThatTheirScheduleHas) {
  const StepFlops flops =
      step_flops(smollm2_135m(), stage_of_windows(), {.recompute = Recompute::kSelective});
  // Rows of two documents: 0, 1, 2, 3 windows before in the first, and 0, 2, 3, 3 in the second.
  const double window = 2048, own = 8 * window * (window + 1) / 2, before = 14 * window * window;
  EXPECT_DOUBLE_EQ(flops.attention_forward, 2 * 4 * 64 * 9 * (30 * own + 3 * before));
  EXPECT_EQ(flops.attention_backward, 2.5 * flops.attention_forward);
}

TEST(TrainingFlops, ReadingCountsWhatMemoryLayersRemember) {
  const Stage stage = stage_of_windows();
  const double all = 8192.0 * 8193 / 2;
  // Windows of 2,048 three times, of 1,024 before the last context and of 1,024.
  const double own = 3 * 2048.0 * 2049 / 2 + 2 * 1024.0 * 1025 / 2;
  const double less = forward_flops(smollm2_135m(), *make_attention_pattern("full"), 8192, 1) -
                      forward_flops(smollm2_135m(), *stage.attention, 8192, 1);
  EXPECT_NEAR(less / (4 * 64 * 9 * 27 * (all - own)), 1, 1e-9);
}

TEST(TrainingFlops, AModelsOwnWindowScoresNoMoreThanItsKeys) {
  ModelConfig config = smollm2_135m();
  const double full =
      step_flops(config, stage_of("full"), {.recompute = Recompute::kNone}).attention_forward;
  const double shifted =
      step_flops(config, stage_of("shifted_sparse"), {.recompute = Recompute::kNone})
          .attention_forward;
  config.decoder.layers.resize(30);
  for (int layer = 0; layer < 15; ++layer) config.decoder.layers[layer].sliding_window = 16;
  // Of 16,384 queries 15 see less than 16 keys.
  const double pairs = 16384.0 * 16385 / 2, windowed = 15 * 16 / 2 + (16384 - 15) * 16;
  EXPECT_DOUBLE_EQ(
      step_flops(config, stage_of("full"), {.recompute = Recompute::kNone}).attention_forward /
          full,
      (pairs + windowed) / (2 * pairs));
  for (LayerOptions& layer : config.decoder.layers) layer.sliding_window = 16384;
  EXPECT_EQ(step_flops(config, stage_of("shifted_sparse"), {.recompute = Recompute::kNone})
                .attention_forward,
            shifted);
}

TEST(TrainingFlops, ForwardPartsAndHalfTheHeadAreTheForwardPass) {
  const Stage stage = stage_of("full");
  const StepFlops flops = step_flops(smollm2_135m(), stage, {.recompute = Recompute::kNone});
  const double forward = forward_flops(smollm2_135m(), *stage.attention, stage.seq_len, 1);
  EXPECT_DOUBLE_EQ(flops.linears_forward + flops.attention_forward + flops.head / 2, forward);
  EXPECT_EQ(flops.linears_recomputed + flops.attention_recomputed, 0);
}

TEST(TrainingFlops, SelectiveRecomputesNoAttentionAndNoLastLinear) {
  const StepFlops selective =
      step_flops(smollm2_135m(), stage_of("full"), {.recompute = Recompute::kSelective});
  EXPECT_EQ(selective.attention_recomputed, 0);
  // q, k, v, gate and up of a layer's 3,538,944 weights.
  EXPECT_NEAR(selective.linears_recomputed / selective.linears_forward, 2322432.0 / 3538944, 1e-9);
  const MemoryOptions of_ten{.recompute = Recompute::kSelective, .recompute_num_layers = 10};
  EXPECT_DOUBLE_EQ(step_flops(smollm2_135m(), stage_of("full"), of_ten).linears_recomputed,
                   selective.linears_recomputed / 3);
  const StepFlops layer =
      step_flops(smollm2_135m(), stage_of("full"), {.recompute = Recompute::kLayer});
  EXPECT_EQ(layer.attention_recomputed, layer.attention_forward);
  // o too, of 576 x 576.
  EXPECT_NEAR(layer.linears_recomputed / layer.linears_forward, (2322432.0 + 331776) / 3538944,
              1e-9);
  const StepFlops plus_plus =
      step_flops(smollm2_135m(), stage_of("full"), {.recompute = Recompute::kSelectivePlusPlus});
  EXPECT_EQ(plus_plus.attention_recomputed, 0);
  const StepFlops mixed = step_flops(smollm2_135m(), stage_of("full"),
                                     {.recompute = Recompute::kLayer,
                                      .recompute_num_layers = 10,
                                      .recompute_rest = Recompute::kSelective});
  EXPECT_DOUBLE_EQ(mixed.attention_recomputed, layer.attention_forward / 3);
  EXPECT_DOUBLE_EQ(mixed.linears_recomputed,
                   (layer.linears_recomputed + 2 * selective.linears_recomputed) / 3);
  EXPECT_EQ(plus_plus.linears_recomputed, layer.linears_recomputed);
}

TEST(TrainingFlops, TrainedProjectionsCostAThirdProduct) {
  const Stage stage = stage_of("full");
  const StepFlops flops = step_flops(smollm2_135m(), stage, {.recompute = Recompute::kNone},
                                     /*trains_head=*/true, /*trained_projections=*/1);
  EXPECT_DOUBLE_EQ(flops.linears_backward, 2 * flops.linears_forward);
}

TEST(TrainingFlops, ATrainedHeadCostsAThirdProduct) {
  const Stage stage = stage_of("full");
  EXPECT_DOUBLE_EQ(
      step_flops(smollm2_135m(), stage, {.recompute = Recompute::kNone}, /*trains_head=*/true).head,
      1.5 * step_flops(smollm2_135m(), stage, {.recompute = Recompute::kNone}).head);
}

}  // namespace
}  // namespace longspan
