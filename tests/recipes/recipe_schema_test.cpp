#include "recipes/recipe_schema.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "recipes/override.h"
#include "recipes/recipe_fields.h"
#include "recipes/yaml.h"
#include "src/core/text.h"
#include "tests/recipes/json_schema.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

const Json& schema() {
  static const Json json = recipe_schema();
  return json;
}

Json key(const std::string& path) { return schema().at(Json::json_pointer("/properties/" + path)); }

Json with(const std::vector<std::string>& overrides) {
  Json recipe = {{"model", {{"path", "a"}}}, {"data", {{"path", "b"}}}, {"train", {{"steps", 1}}}};
  Diagnostics diagnostics;
  apply_overrides(overrides, recipe, diagnostics);
  diagnostics.throw_if_any(ExitCode::kRecipe);
  return recipe;
}

bool is_read(const Json& recipe) {
  Diagnostics diagnostics;
  read_recipe(Fields(recipe, diagnostics));
  return diagnostics.empty();
}

TEST(RecipeSchema, SaysTypeBoundsDefaultAndMeaning) {
  EXPECT_EQ(schema()["$schema"], "https://json-schema.org/draft/2020-12/schema");
  EXPECT_EQ(key("lora/oneOf/0/properties/r"), Json({{"type", "integer"},
                                                    {"minimum", 1},
                                                    {"maximum", 65536},
                                                    {"default", 8},
                                                    {"description", "the rank"}}));
  EXPECT_EQ(key("model/properties/dtype")["enum"], Json({"bfloat16", "float32"}));
  EXPECT_EQ(key("optimizer/properties/lr")["exclusiveMinimum"], 0);
  EXPECT_EQ(key("optimizer/properties/betas")["default"], Json({0.9, 0.95}));
  EXPECT_EQ(key("memory/properties/weights")["enum"], Json({"auto", "resident", "mapped"}));
}

TEST(RecipeSchema, WhatStandsInTwoPlacesIsDescribedOnce) {
  const std::string entry = "stages/items/properties/";
  EXPECT_EQ(key(entry + "rope")["$ref"], "#/properties/rope");
  EXPECT_EQ(key(entry + "attention")["$ref"], "#/properties/attention");
  EXPECT_EQ(key(entry + "seq_len")["$comment"], "`train.seq_len`");
}

TEST(RecipeSchema, AcceptsTheShippedRecipes) {
  const JsonSchema check(schema());
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(source_folder() / "recipes")) {
    if (entry.path().extension() != ".yaml") continue;
    Diagnostics diagnostics;
    const std::string text = read_file(entry.path(), ExitCode::kFailure);
    EXPECT_TRUE(check.accepts(read_yaml(text, entry.path(), diagnostics))) << entry.path();
    ++read;
  }
  EXPECT_GE(read, 5);
}

/// One change to a recipe that is valid without it.
class ChangeOfARecipe : public testing::TestWithParam<std::pair<const char*, bool>> {};

TEST_P(ChangeOfARecipe, IsJudgedAlikeBySchemaAndReader) {
  const auto& [change, valid] = GetParam();
  const Json recipe = with({change});
  EXPECT_EQ(JsonSchema(schema()).accepts(recipe), valid) << recipe;
  EXPECT_EQ(is_read(recipe), valid) << recipe;
}

INSTANTIATE_TEST_SUITE_P(
    Recipes, ChangeOfARecipe,
    testing::Values(
        std::pair{"lora.r=16", true}, std::pair{"lora.r=0", false}, std::pair{"lora.r=1.5", false},
        std::pair{"lora.rr=16", false}, std::pair{"lora={}", true}, std::pair{"lora=[]", false},
        std::pair{"lora=none", true}, std::pair{"lora=full", false},
        std::pair{"lora.rank_pattern={v_proj: 4}", true},
        std::pair{"lora.rank_pattern={v_proj: x}", false},
        std::pair{"lora.alpha_pattern={v_proj: 0.5}", true},
        std::pair{"lora.target_modules=[q_proj]", true}, std::pair{"lora.target_modules=[]", true},
        std::pair{"lora.target_modules=all-linear", true},
        std::pair{"lora.target_modules=''", false}, std::pair{"lora.lora_dropout=0.1", true},
        std::pair{"lora.lora_dropout=1", false}, std::pair{"optimizer.lora_plus_ratio=16", true},
        std::pair{"optimizer.lora_plus_ratio=0", false},
        std::pair{"optimizer.groups=[{pattern: norm, lr: 1e-5}]", true},
        std::pair{"optimizer.groups=[{lr: 1e-5}]", false},
        std::pair{"optimizer.groups=[{pattern: norm}]", false},
        std::pair{"optimizer.groups=[{pattern: norm, lr: 0}]", false},
        std::pair{"model.path=''", false}, std::pair{"model={dtype: float32}", false},
        std::pair{"model.dtype=float16", false}, std::pair{"data.shuffle=1", false},
        std::pair{"optimizer.lr=0", false}, std::pair{"optimizer.betas=[0.9]", false},
        std::pair{"optimizer.betas=[0.9, 1]", false}, std::pair{"optimizer.betas=[0, 0.999]", true},
        std::pair{"train={}", false}, std::pair{"train.recompute=true", false},
        std::pair{"train.seed=-1", false}, std::pair{"stages=[{steps: 2}]", false},
        std::pair{"unknown=1", false},
        std::pair{"rope={rope_type: yarn, factor: 2, beta_fast: 16}", true},
        std::pair{"rope={type: yarn, factor: 2}", true},
        std::pair{"rope={rope_type: yarn, factor: 2, finetuned: true}", true},
        std::pair{"rope={rope_type: linear, factor: 2, beta_fast: 16}", false},
        std::pair{"rope={rope_type: yarn}", false}, std::pair{"rope={factor: 2}", false},
        std::pair{"rope={rope_type: su, factor: 2, short_factor: [1], long_factor: [2]}", true},
        std::pair{"rope={rope_type: longrope, factor: 2, short_factor: [0], long_factor: [2]}",
                  false},
        std::pair{"rope={}", true}, std::pair{"rope={rope_type: default}", true},
        std::pair{"attention={pattern: shifted_sparse, group_size: 64}", true},
        std::pair{"attention={pattern: shifted_sparse, layers: []}", true},
        std::pair{"attention={pattern: shifted_sparse, layers: [0, 2]}", true},
        std::pair{"attention={pattern: shifted_sparse, layers: [-1]}", false},
        std::pair{"attention={pattern: shifted_sparse, layers: 2}", false},
        std::pair{"attention={pattern: full, layers: [0]}", false},
        std::pair{"attention={pattern: shifted_sparse, full_heads: 3}", true},
        std::pair{"attention={pattern: shifted_sparse, full_heads: -1}", false},
        std::pair{"attention={pattern: full, full_heads: 3}", false},
        std::pair{"attention={group_size: 64}", false},
        std::pair{"attention={pattern: sliding_window, window: 8, sinks: 0}", true},
        std::pair{"attention={pattern: full, window: 8}", false},
        std::pair{"memory.offload_ram=4GB", true}, std::pair{"memory.offload_ram=1.5GiB", true},
        std::pair{"memory.offload_ram=4 apples", false}, std::pair{"memory.offload_ram=7", true},
        std::pair{"memory.chunk_tokens=auto", true}, std::pair{"memory.chunk_tokens=-1", false},
        std::pair{"memory.optimizer_state_bits=8", true},
        std::pair{"memory.optimizer_state_bits=16", false},
        std::pair{"validation={sequences: 2}", false}, std::pair{"validation={path: v.h5}", true},
        std::pair{"checkpoint.keep_last=0", false}, std::pair{"output.dir=x", true}));

TEST(RecipeSchema, StagesHaveStepsOfTheirOwn) {
  Json recipe =
      with({"stages=[{steps: 2}, {steps: 1, seq_len: 64, rope: {rope_type: yarn, factor: 2}}]"});
  recipe.erase("train");
  EXPECT_TRUE(JsonSchema(schema()).accepts(recipe));
  EXPECT_TRUE(is_read(recipe));
  recipe["stages"][1]["rope"]["factr"] = 2;
  EXPECT_FALSE(JsonSchema(schema()).accepts(recipe));
  EXPECT_FALSE(is_read(recipe));
  recipe["stages"] = {{{"seq_len", 64}}};
  EXPECT_FALSE(JsonSchema(schema()).accepts(recipe));
  EXPECT_FALSE(is_read(recipe));
}

TEST(RecipeSchema, RopeMayBeAFile) {
  EXPECT_TRUE(JsonSchema(schema()).accepts(with({"rope=found.json"})));
}

}  // namespace
}  // namespace longspan
