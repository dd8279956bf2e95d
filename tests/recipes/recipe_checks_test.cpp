#include "recipes/recipe_checks.h"

#include <gmock/gmock.h>

#include "recipes/yaml.h"
#include "tests/recipes/recipe_file.h"

namespace longspan {
namespace {

using testing::HasSubstr;

TEST_F(RecipeFile, WarmupIsNoLongerThanTheRun) {
  EXPECT_THAT(error_of(kStaged, {"lr_schedule.warmup_steps=9"}), HasSubstr("more than the 8"));
  EXPECT_NO_THROW(load(kStaged, {"lr_schedule.warmup_steps=8"}));
}

TEST_F(RecipeFile, WithoutLoraNothingIsFrozen) {
  for (const auto& [bad, said] : std::vector<std::pair<const char*, const char*>>{
           {"model.quantization=nf4", "model.quantization: 'nf4' is for frozen weights"},
           {"memory.weights=mapped", "memory.weights: 'mapped' is for frozen weights"},
           {"optimizer.lora_plus_ratio=16", "optimizer.lora_plus_ratio: is for LoRA's B"}}) {
    EXPECT_THAT(error_of(kSmallest, {bad, "lora=none"}), HasSubstr(said));
    EXPECT_NO_THROW(load(kSmallest, {bad}));
  }
}

TEST_F(RecipeFile, StagesThatTakeTurnsHaveOneRope) {
  const std::string turns = "train.interleave=true";
  EXPECT_THAT(error_of(kStaged, {turns}), HasSubstr("stages.1.rope: is another than that of"));
  const Recipe recipe = load(kStaged, {turns, "stages.1.rope="});
  EXPECT_TRUE(recipe.train.interleave);
  const Json resolved = resolved_recipe(recipe);
  EXPECT_EQ(resolved_recipe(load(write_yaml(resolved))), resolved);
  EXPECT_FALSE(resolved_recipe(load(kStaged))["train"].contains("interleave"));
  EXPECT_THAT(error_of(kSmallest, {turns}), HasSubstr("train.interleave: is for two stages"));
}

TEST_F(RecipeFile, LongMinusShortReadsWindowsOfLongerRows) {
  const std::string loss = kSmallest + "loss: {weights: long_minus_short}\n";
  const Recipe recipe = load(loss);
  EXPECT_EQ(recipe.train.loss.short_context.tokens, 4096);
  EXPECT_EQ(recipe.train.loss.short_context.step, 1024);
  EXPECT_EQ(recipe.train.loss.max_weight, 5);
  EXPECT_EQ(resolved_recipe(recipe)["loss"]["short_step"], 1024);
  EXPECT_FALSE(resolved_recipe(load(kSmallest))["loss"].contains("short_step"));
  EXPECT_NO_THROW(load(loss, {"train.seq_len=5120"}));
  EXPECT_THAT(error_of(loss, {"train.seq_len=5119"}),
              HasSubstr("loss.short_context: 4096 and a short_step of 1024 are all the context"));
  EXPECT_THAT(error_of(loss, {"attention={pattern: focused_memory, window: 8192, mem_layers: [1]}",
                              "train.batch_size=4"}),
              HasSubstr("loss.weights: 'long_minus_short' weighs by the context within a row"));
}

TEST_F(RecipeFile, QuantisedWeightsAreNotMapped) {
  EXPECT_THAT(error_of(kSmallest, {"model.quantization=nf4", "memory.weights=mapped"}),
              HasSubstr("command line: memory.weights: 'mapped' is for weights as their file holds "
                        "them, and nf4 (model.quantization) is made in memory"));
}

}  // namespace
}  // namespace longspan
