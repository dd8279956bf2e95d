#include "trainer/plan/layer_memory.h"

#include <gtest/gtest.h>

#include "tests/trainer/plan/tiny_plan.h"

namespace longspan {
namespace {

// Of 1,000 tokens in bfloat16: hidden states of 36, queries of 9 heads of 8, keys of 3, gate or up
// of 100, what A makes of them with rank 4; a number of 4 bytes a query.
constexpr int64_t kHidden = 2000 * 36, kQueries = 2000 * 72, kKeys = 2000 * 24;
constexpr int64_t kIntermediate = 2000 * 100, kReduced = 2000 * 4, kOfEachQuery = 4000 * 9;
// q, k, v and the intervals lead to attention's result. Its backward makes the gradients of the
// three and a dot product a query, from that of its result.
constexpr int64_t kGraph = kQueries + 2 * kKeys + kOfEachQuery;
constexpr int64_t kGradients = kQueries + kGraph;

LoraOptions lora_of(const char* module) {
  return {.r = 4, .target_modules = {module}, .modules_to_save = {}};
}

LoraOptions dora_of(const char* module, double dropout = 0) {
  LoraOptions lora = lora_of(module);
  lora.use_dora = true;
  lora.lora_dropout = dropout;
  return lora;
}

BackwardOfLayer backward_of_layer(const LoraOptions& lora, Recompute recompute,
                                  bool sandwich_norms = false) {
  ModelConfig config = tiny_llama_config();
  config.intermediate_size = 100;
  config.decoder.sandwich_norms = sandwich_norms;
  const RunShape shape = run_shape(config, lora, at::kBFloat16, Quantization::kNone, 1024, 2);
  const PassTensors tensors{shape.config, /*element=*/2, /*rows=*/1, /*row_tokens=*/1000};
  return LayerMemory(shape, tensors).backward({.recompute = recompute});
}

TEST(LayerMemory, WhatDownProjHeldIsFreeWhereGateAndUpHaveGradients) {
  const auto mlp = [](const LoraOptions& lora, Recompute recompute) {
    return backward_of_layer(lora, recompute).mlp;
  };
  const LoraOptions lora = lora_of("down_proj"), dora = dora_of("down_proj");
  // gate, up, their product and the gradients of the three; with DoRA down_proj's output is made.
  EXPECT_EQ(mlp(lora, Recompute::kSelective), kHidden + 6 * kIntermediate);
  EXPECT_EQ(mlp(dora, Recompute::kSelective), 2 * kHidden + 6 * kIntermediate);
  // The product was kept, and what A made of it, and DoRA's output before it was scaled.
  EXPECT_EQ(mlp(lora, Recompute::kNone), kHidden + 2 * kIntermediate - kReduced);
  EXPECT_EQ(mlp(dora, Recompute::kNone), 2 * kIntermediate - kReduced);
}

TEST(LayerMemory, WhatOProjHeldIsFreeInTheBackwardOfAttention) {
  const auto attention = [](const LoraOptions& lora, Recompute recompute) {
    return backward_of_layer(lora, recompute).attention;
  };
  const LoraOptions lora = lora_of("o_proj"), dora = dora_of("o_proj");
  EXPECT_EQ(attention(lora, Recompute::kSelective), kHidden + kGraph + kGradients);
  EXPECT_EQ(attention(dora, Recompute::kSelective), 2 * kHidden + kGraph + kGradients);
  EXPECT_EQ(attention(lora, Recompute::kNone), kHidden + kGradients - kReduced);
  EXPECT_EQ(attention(dora, Recompute::kNone), kGradients - kReduced);
}

// The mask and what is left of the input, the output before it is scaled; the gradients of what is
// left of the input, of what is taken from it, and of it.
TEST(LayerMemory, DoraThatDropsElementsHasThreeGradientsOfItsInput) {
  const BackwardOfLayer of_mlp =
      backward_of_layer(dora_of("down_proj", 0.1), Recompute::kSelective);
  EXPECT_EQ(of_mlp.mlp, 3 * kHidden + kReduced + (3 + 2 + 3) * kIntermediate);
  const LoraOptions of_o_proj = dora_of("o_proj", 0.1);
  EXPECT_EQ(backward_of_layer(of_o_proj, Recompute::kSelective).attention,
            kGraph + 3 * kHidden + kReduced + (2 + 3) * kQueries);
  EXPECT_EQ(backward_of_layer(of_o_proj, Recompute::kNone).attention, kHidden + 3 * kQueries);
}

// What the norm after it gives down_proj is free once DoRA has scaled it.
TEST(LayerMemory, DoraTakesTheGradientOfANorm) {
  const BackwardOfLayer of_mlp = backward_of_layer(dora_of("down_proj", 0.1), Recompute::kSelective,
                                                   /*sandwich_norms=*/true);
  EXPECT_EQ(of_mlp.mlp, 3 * kHidden + kReduced + (2 + 2 + 3) * kIntermediate);
}

// Its input, o_proj's output, waits too, and what it makes, and the residual's sum.
TEST(LayerMemory, ANormAfterAttentionWaitsForTheMlp) {
  const auto sandwiched = [](Recompute recompute) {
    return backward_of_layer(lora_of("up_proj"), recompute, /*sandwich_norms=*/true);
  };
  EXPECT_EQ(sandwiched(Recompute::kSelectivePlusPlus).mlp - sandwiched(Recompute::kSelective).mlp,
            kGraph + 3 * kHidden);
  // There o_proj's output is free in attention's backward.
  EXPECT_EQ(sandwiched(Recompute::kSelective).attention, 2 * kHidden + kGraph + kGradients);
}

}  // namespace
}  // namespace longspan
