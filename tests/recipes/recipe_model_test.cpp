#include <gmock/gmock.h>

#include "recipes/recipe.h"
#include "recipes/yaml.h"
#include "tests/recipes/recipe_file.h"
#include "tests/support/tiny_llama.h"

// A recipe beside the model that it trains.

namespace longspan {
namespace {

using testing::HasSubstr;
using testing::Not;

ModelConfig base_of(int64_t max_position_embeddings, const char* rope_type = "default") {
  ModelConfig config = tiny_llama_config();
  config.head_dim = 64;
  config.max_position_embeddings = max_position_embeddings;
  config.rope_scaling = make_rope_scaling(rope_type);
  return config;
}

std::string misfit_of(const Recipe& recipe, const ModelConfig& base) {
  return error_of([&] { check_recipe_against_model(recipe, base); }, ExitCode::kRecipe);
}

TEST_F(RecipeFile, TargetModulesAreAListOrAText) {
  EXPECT_EQ(load(kSmallest, {"lora.target_modules=All-Linear"}).lora.target_pattern, "all-linear");
  const Recipe recipe = load(kSmallest, {"lora.target_modules='.*[qv]_proj'"});
  EXPECT_EQ(recipe.lora.target_pattern, ".*[qv]_proj");
  EXPECT_EQ(load(write_yaml(resolved_recipe(recipe))).lora.target_pattern, ".*[qv]_proj");
  EXPECT_EQ(misfit_of(recipe, base_of(32768)), "no error");
  EXPECT_THAT(misfit_of(load(kSmallest, {"lora.target_modules=q_proj"}), base_of(32768)),
              HasSubstr("lora.target_modules: 'q_proj' is the whole name of no projection"));
  EXPECT_THAT(error_of(kSmallest, {"lora.target_modules='('"}),
              HasSubstr("lora.target_modules: lora.target_modules: '(' is no regular expression"));
  EXPECT_TRUE(load(kSmallest, {"lora.target_modules=[]"}).lora.target_modules.empty());
  EXPECT_THAT(error_of(kSmallest, {"lora.target_modules=''"}),
              HasSubstr("lora.target_modules: is empty, expected"));
}

TEST_F(RecipeFile, AProjectionIsNotAdaptedAndSaved) {
  const std::string said =
      "lora.modules_to_save: 'model.layers.0.self_attn.o_proj' is in target_modules too, and PEFT "
      "loads only one";
  EXPECT_THAT(misfit_of(load(kSmallest, {"lora.modules_to_save=[norm, o_proj]"}), base_of(32768)),
              HasSubstr(said));
  EXPECT_THAT(misfit_of(load(kSmallest,
                             {"lora.modules_to_save=[o_proj]", "lora.target_modules=all-linear"}),
                        base_of(32768)),
              HasSubstr(said));
  EXPECT_EQ(misfit_of(load(kSmallest, {"lora.modules_to_save=[up_proj]"}), base_of(32768)),
            "no error");
}

TEST_F(RecipeFile, SequencesBeyondTheExtendedContextAreRefused) {
  Recipe recipe = load(kStaged);
  EXPECT_EQ(misfit_of(recipe, base_of(8192)), "no error");
  const std::string misfit = misfit_of(recipe, base_of(4096));
  EXPECT_THAT(misfit, HasSubstr("a.yaml:5:9: train.seq_len: 16384 tokens are beyond the context "
                                "of 8192"));
  EXPECT_THAT(misfit, HasSubstr("a.yaml:8:16: stages.1.seq_len: 32768"));
}

TEST_F(RecipeFile, SkippedPositionsBeyondTheExtendedContextAreRefused) {
  const std::string yarn = "rope: {rope_type: yarn, factor: 2}\n";
  const auto packing = [](int64_t target) {
    return fmt::format("packing: {{positions: skip, target_length: {}}}\n", target);
  };
  const std::string text =
      "model: {path: a}\ndata: {path: a.h5}\ntrain: {steps: 1, seq_len: 64}\n" + yarn;
  check_recipe_against_model(load(text + packing(128)), base_of(64));
  EXPECT_THAT(misfit_of(load(text + packing(129)), base_of(64)),
              HasSubstr("packing.target_length: 129 tokens are beyond the context of 128"));
}

TEST_F(RecipeFile, FocusedMemoryFitsItsBatchAndItsModel) {
  const std::vector<std::string> fitting{
      "train.seq_len=64", "train.batch_size=8",
      "attention={pattern: focused_memory, mem_layers: [0, 1], window: 64}"};
  EXPECT_EQ(misfit_of(load(kSmallest, fitting), base_of(64)), "no error");
  const auto with = [&](const std::string& change) {
    std::vector<std::string> overrides = fitting;
    overrides.push_back(change);
    return overrides;
  };
  EXPECT_THAT(error_of(kSmallest, with("train.seq_len=32")),
              HasSubstr("attention: a row of 32 tokens is a window, and `window` is 64"));
  EXPECT_THAT(error_of(kSmallest, with("train.batch_size=6")),
              HasSubstr("attention: the schedule has 4 windows of a document side by side"));
  EXPECT_THAT(misfit_of(load(kSmallest, with("attention.mem_layers=[2]")), base_of(64)),
              HasSubstr("attention: mem_layers has 2, and the model's layers are 0 to 1"));
  // The window becomes max_position_embeddings, from which dynamic RoPE stretches.
  const auto dynamic = with("rope={rope_type: dynamic, factor: 4}");
  EXPECT_EQ(misfit_of(load(kSmallest, dynamic), base_of(64)), "no error");
  EXPECT_THAT(misfit_of(load(kSmallest, dynamic), base_of(32)),
              HasSubstr("rope: rope_type 'dynamic' is measured from max_position_embeddings"));
  ModelConfig qwen = base_of(64);
  qwen.model_type = "qwen2";
  EXPECT_THAT(misfit_of(load(kSmallest, fitting), qwen),
              HasSubstr("attention focused_memory is stated in LongLLaMA's form"));
}

TEST_F(RecipeFile, LayersInGroupsAreLayersOfTheModel) {
  const auto in_layers = [&](const std::string& layers) {
    return load(kSmallest, {"attention={pattern: shifted_sparse, layers: " + layers + "}"});
  };
  const Recipe recipe = in_layers("[1]");
  EXPECT_EQ(misfit_of(recipe, base_of(32768)), "no error");
  EXPECT_EQ(resolved_recipe(recipe)["stages"][0]["attention"]["layers"], Json::array({1}));
  EXPECT_THAT(misfit_of(in_layers("[0, 2]"), base_of(32768)),
              HasSubstr("attention: layers has 2, and the model's layers are 0 to 1"));
}

TEST_F(RecipeFile, HeadsInFullAreHeadsOfTheModel) {
  const auto in_full = [&](int64_t heads) {
    return load(kSmallest,
                {fmt::format("attention={{pattern: shifted_sparse, full_heads: {}}}", heads)});
  };
  const int64_t heads = base_of(32768).num_attention_heads;
  EXPECT_EQ(misfit_of(in_full(heads), base_of(32768)), "no error");
  EXPECT_THAT(misfit_of(in_full(heads + 1), base_of(32768)),
              HasSubstr("attention: full_heads is 10, and the model has 9 query heads"));
}

TEST_F(RecipeFile, WhatDoesNotSuitTheModelIsSaidOnceAndAtItsPlace) {
  const Recipe recipe =
      load(kSmallest + "lora:\n  target_modules: [proj]\n", {"train.seq_len=128"});
  const std::string misfit = misfit_of(recipe, base_of(64));
  EXPECT_THAT(misfit, HasSubstr("command line: train.seq_len: 128 tokens are beyond the context "
                                "of 64"));
  EXPECT_THAT(misfit, HasSubstr("a.yaml:5:3: lora.target_modules: 'proj' matches no module"));
  EXPECT_THAT(misfit, Not(HasSubstr("stages")));
  const Recipe staged =
      load(kSmallest, {"train={seq_len: 128}", "stages=[{steps: 1}, {steps: 2}]"});
  EXPECT_THAT(misfit_of(staged, base_of(64)),
              testing::AllOf(HasSubstr(": train.seq_len: 128 tokens"), Not(HasSubstr("\n"))));
}

TEST_F(RecipeFile, AValidationBeyondTheLongestContextIsWarnedOf) {
  auto warning_of = [&](int64_t seq_len) {
    const auto validation = fmt::format("validation={{path: v.h5, seq_len: {}}}", seq_len);
    const Recipe recipe = load(kStaged, {validation});
    testing::internal::CaptureStderr();
    check_recipe_against_model(recipe, base_of(8192));
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(warning_of(32769), HasSubstr("validation.seq_len: 32769 tokens are beyond the "
                                           "context of 32768"));
  EXPECT_EQ(warning_of(32768), "");
}

TEST_F(RecipeFile, OnlyWeightsOfTheRunsDtypeAreMapped) {
  ModelConfig base = base_of(32768);
  base.source["dtype"] = "float32";
  EXPECT_THAT(
      misfit_of(load(kSmallest, {"memory.weights=mapped"}), base),
      HasSubstr("command line: memory.weights: 'mapped' needs weights that their file holds "
                "as bfloat16; those of models/a are not"));
  EXPECT_EQ(misfit_of(load(kSmallest, {"memory.weights=mapped", "model.dtype=float32"}), base),
            "no error");
  EXPECT_EQ(misfit_of(load(kSmallest), base), "no error");
}

TEST_F(RecipeFile, AScaledBaseIsNotScaledAgainInSilence) {
  ModelConfig base = base_of(32768);
  Json linear{{"factor", 4.0}};
  Diagnostics diagnostics;
  Fields fields(linear, diagnostics);
  auto scaling = make_rope_scaling("linear");
  scaling->read(fields);
  base.rope_scaling = std::move(scaling);
  base.original_max_position_embeddings = 8192;
  const std::string twice = misfit_of(load(kStaged), base);
  EXPECT_THAT(twice, HasSubstr("a.yaml:3:1: rope: the model's RoPE is scaled already (linear x4"));
  EXPECT_THAT(twice, HasSubstr("stages.1.rope: "));
  EXPECT_THAT(twice, HasSubstr("its key is model.on_scaled"));
  EXPECT_NO_THROW(check_recipe_against_model(load(kStaged, {"model.on_scaled=replace"}), base));
  EXPECT_NO_THROW(check_recipe_against_model(load(kSmallest), base));
  // yarn on linear; the second stage is linear itself
  const std::string composed = misfit_of(load(kStaged, {"model.on_scaled=compose"}), base);
  EXPECT_THAT(composed,
              HasSubstr("a.yaml:3:1: rope: no one formula is yarn x2 on top of linear x4"));
  EXPECT_THAT(composed, Not(HasSubstr("stages.1")));
}

TEST_F(RecipeFile, AScalingThatTheFamilyCannotStateIsRefused) {
  ModelConfig base = base_of(32768);
  Recipe dynamic = load(kSmallest, {"rope.rope_type=dynamic", "rope.factor=2"});
  EXPECT_NO_THROW(check_recipe_against_model(dynamic, base));
  base.model_type = "phi3";
  EXPECT_NO_THROW(check_recipe_against_model(load(kSmallest), base));
  EXPECT_NO_THROW(check_recipe_against_model(
      load(kSmallest, {"rope.rope_type=linear", "rope.factor=2"}), base));
  const std::string message = misfit_of(dynamic, base);
  EXPECT_THAT(message, HasSubstr("a.yaml: rope: rope_type 'dynamic'"));
  EXPECT_THAT(message, HasSubstr("expected one of default, linear, ntk, yarn, longrope"));
}

TEST_F(RecipeFile, NamesThatNoModuleAnswersToAreRefused) {
  EXPECT_NO_THROW(check_recipe_against_model(
      load(kSmallest, {"lora.target_modules=[mlp.up_proj, layers.1.self_attn.v_proj]"}),
      base_of(32768)));
  const std::string message = misfit_of(
      load(kSmallest, {"lora.target_modules=[q_proj, proj]", "lora.modules_to_save=[norms]"}),
      base_of(32768));
  EXPECT_THAT(message, HasSubstr("lora.target_modules: 'proj' matches no module of the model; "
                                 "expected names such as q_proj, k_proj"));
  EXPECT_THAT(message, HasSubstr("lora.modules_to_save: 'norms' matches no module"));
}

TEST_F(RecipeFile, AQuantisedProjectionIsNotTrainedWhole) {
  const std::string saved = "lora.modules_to_save=[norm, v_proj]",
                    target = "lora.target_modules=[q_proj]";
  EXPECT_NO_THROW(check_recipe_against_model(load(kSmallest, {saved, target}), base_of(32768)));
  EXPECT_THAT(misfit_of(load(kSmallest, {saved, target, "model.quantization=nf4"}), base_of(32768)),
              HasSubstr("lora.modules_to_save: 'model.layers.0.self_attn.v_proj' is a projection, "
                        "whose weight is frozen in nf4"));
}

}  // namespace
}  // namespace longspan
