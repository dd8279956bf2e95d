#include "recipes/recipe.h"

#include <gmock/gmock.h>

#include "recipes/resume_identity.h"
#include "recipes/yaml.h"
#include "tests/recipes/recipe_file.h"
#include "tests/support/places.h"

namespace longspan {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST_F(RecipeFile, NeedsOnlyModelDataAndSteps) {
  Recipe recipe = load(kSmallest);
  EXPECT_EQ(recipe.model.path, "models/a");
  EXPECT_EQ(recipe.model.dtype, "bfloat16");
  EXPECT_EQ(recipe.output_dir, "runs/a");
  ASSERT_EQ(recipe.stages.size(), 1u);
  EXPECT_EQ(recipe.stages[0].steps, 10);
  EXPECT_EQ(recipe.stages[0].attention->name(), "full");
  EXPECT_EQ(recipe.stages[0].rope, nullptr);
}

TEST_F(RecipeFile, StagesTakeFromTheTopWhatTheyDoNotSay) {
  Recipe recipe = load(kStaged);
  ASSERT_EQ(recipe.stages.size(), 2u);
  EXPECT_EQ(recipe.stages[0].seq_len, 16384);
  EXPECT_EQ(recipe.stages[0].attention->name(), "shifted_sparse");
  EXPECT_EQ(recipe.stages[0].rope->rope_type(), "yarn");
  EXPECT_EQ(recipe.stages[1].seq_len, 32768);
  EXPECT_EQ(recipe.stages[1].gradient_accumulation_steps, 2);
  EXPECT_EQ(recipe.stages[1].attention->name(), "full");
  EXPECT_EQ(recipe.stages[1].rope->factor(), 4);
}

TEST_F(RecipeFile, AStageMayHaveAStoreOfItsOwn) {
  const Recipe recipe = load(kStaged, {"stages.1.data_path=long.h5"});
  EXPECT_EQ(recipe.stages[0].data_path, "");
  EXPECT_EQ(recipe.stages[1].data_path, "long.h5");
  const Json stages = resolved_recipe(recipe)["stages"];
  EXPECT_FALSE(stages[0].contains("data_path"));
  EXPECT_EQ(stages[1]["data_path"], "long.h5");
}

TEST_F(RecipeFile, NamesPlaceAndNearestKey) {
  EXPECT_THAT(error_of(kSmallest + "rope:\n  rope_type: yarn\n  facter: 2\n"),
              HasSubstr("a.yaml:6:3: rope.facter: unknown key; did you mean 'factor'?"));
}

TEST_F(RecipeFile, ReportsAllErrorsAtOnce) {
  std::string errors = error_of(R"(model: {path: models/a, dtype: float16}
data: {path: 12}
train: {steps: 0, seqlen: 10}
optimizer: {lr: fast, betas: [0.9]}
lora: {r: 0, lora_dropout: 1.5}
lr_schedule: {type: cosin}
modell: {}
)");
  for (const char* part :
       {":1:25: model.dtype: 'float16'", ":2:8: data.path: expected a text, got 12",
        ":3:9: train.steps: 0 is out of range",
        ":3:19: train.seqlen: unknown key; did you mean 'seq_len'?",
        ":4:13: optimizer.lr: expected a number, got \"fast\"",
        ":4:23: optimizer.betas:", ":5:8: lora.r: 0 is out of range", ":5:14: lora.lora_dropout",
        ":6:15: lr_schedule.type: 'cosin'", ":7:1: modell: unknown key; did you mean 'model'?"}) {
    EXPECT_THAT(errors, HasSubstr(part));
  }
}

TEST_F(RecipeFile, ReportsEachErrorOnce) {
  for (const char* bad : {"train.steps=x", "train.steps=1.5", "train.steps=0", "data.path=12",
                          "data.path=''", "optimizer.lr=x", "lora.r=[]", "train.seed=-1",
                          "attention=full", "rope={rope_type: yarm}"}) {
    EXPECT_THAT(error_of(kSmallest, {bad}), Not(HasSubstr("\n"))) << bad;
  }
}

TEST_F(RecipeFile, MissingKeysAreNamedAtTheirParent) {
  std::string errors = error_of("data:\n  shuffle: false\n");
  EXPECT_THAT(errors, HasSubstr("model.path: is missing"));
  EXPECT_THAT(errors, HasSubstr("a.yaml:1:1: data.path: is missing"));
  EXPECT_THAT(errors, HasSubstr("train.steps: is missing"));
}

TEST_F(RecipeFile, AnEmptyFileAndAListAreErrors) {
  EXPECT_THAT(error_of(""), HasSubstr("model.path: is missing"));
  EXPECT_THAT(error_of("- 1\n- 2\n"), HasSubstr("expected a map"));
}

TEST_F(RecipeFile, OverridesAreReadWithTheRest) {
  Recipe recipe = load(kSmallest, {"optimizer.lr=5e-4", "train.steps=3", "output.dir=runs/b"});
  EXPECT_EQ(recipe.train.optimizer.lr, 5e-4);
  EXPECT_EQ(recipe.stages[0].steps, 3);
  EXPECT_EQ(recipe.output_dir, "runs/b");
}

TEST_F(RecipeFile, UnknownOverridesAreMarkedCommandLine) {
  EXPECT_THAT(error_of(kSmallest, {"optimizer.learning_rate=1"}),
              HasSubstr("command line: optimizer.learning_rate: unknown key"));
  EXPECT_THAT(error_of(kSmallest, {"optimiser.lr=1"}), HasSubstr("did you mean 'optimizer'?"));
}

TEST_F(RecipeFile, StagesAndTrainStepsExcludeEachOther) {
  EXPECT_THAT(error_of(kStaged, {"train.steps=3"}), HasSubstr("give steps in each of them"));
  EXPECT_THAT(error_of(kSmallest, {"stages=[]", "train.steps="}), HasSubstr("at least one stage"));
  EXPECT_THAT(error_of(kStaged, {"stages.0.steps="}), HasSubstr("stages.0.steps: is missing"));
}

TEST_F(RecipeFile, NumbersThatAreNoneAreRefused) {
  for (const char* bad : {"optimizer.lr=.nan", "optimizer.lr=.inf", "optimizer.lr=0",
                          "optimizer.lr=-1", "train.max_grad_norm=.nan", "train.steps=1.5"}) {
    EXPECT_THAT(error_of(kSmallest, {bad}), HasSubstr("command line")) << bad;
  }
}

TEST_F(RecipeFile, AValidationNeedsAPath) {
  EXPECT_THAT(error_of(kSmallest + "validation: {every_steps: 2}\n"),
              HasSubstr("validation.path: is missing"));
}

TEST_F(RecipeFile, TheResolvedRecipeReadsBackAsTheSame) {
  for (const auto& text : {kSmallest, kStaged}) {
    Recipe recipe = load(text, {"validation={path: v.h5, sequences: 2}", "checkpoint.keep_last=5"});
    Json resolved = resolved_recipe(recipe);
    Recipe again = load(write_yaml(resolved));
    EXPECT_EQ(resolved_recipe(again), resolved) << resolved.dump(2);
  }
}

TEST_F(RecipeFile, RankAndAlphaPatternsAreInTheOrderThatPeftReadsThemIn) {
  Recipe recipe = load(kSmallest, {"lora.rank_pattern={v_proj: 4, 'layers.0.*q_proj': 16}",
                                   "lora.alpha_pattern={v_proj: 2.5}"});
  using Ranks = std::vector<std::pair<std::string, int64_t>>;
  EXPECT_EQ(recipe.lora.rank_pattern, (Ranks{{"layers.0.*q_proj", 16}, {"v_proj", 4}}));
  EXPECT_EQ(recipe.lora.for_module("model.layers.0.self_attn.q_proj").r, 16);
  EXPECT_EQ(recipe.lora.for_module("model.layers.1.self_attn.v_proj").lora_alpha, 2.5);
  EXPECT_EQ(load(write_yaml(resolved_recipe(recipe))).lora.rank_pattern, recipe.lora.rank_pattern);
  for (const char* bad : {"lora.rank_pattern={v_proj: 0}", "lora.rank_pattern={v_proj: 1.5}",
                          "lora.rank_pattern=[4]", "lora.alpha_pattern={'(': 2}"}) {
    EXPECT_THAT(error_of(kSmallest, {bad}), HasSubstr("_pattern:")) << bad;
  }
}

TEST_F(RecipeFile, PositionsSkipUpToATarget) {
  EXPECT_FALSE(load(kSmallest).packing.skips());
  const Recipe recipe = load(kSmallest + "packing: {positions: skip, target_length: 32768}\n");
  EXPECT_EQ(recipe.packing.target_length, 32768);
  EXPECT_EQ(load(write_yaml(resolved_recipe(recipe))).packing.target_length, 32768);
  EXPECT_NE(resume_identity(recipe), resume_identity(load(kSmallest)));
  EXPECT_THAT(error_of(kSmallest + "packing: {positions: skip}\n"), HasSubstr("skip needs it"));
  EXPECT_THAT(error_of(kSmallest + "packing: {target_length: 32768}\n"),
              HasSubstr("is for positions: skip"));
  EXPECT_THAT(error_of(kSmallest + "packing: {positions: skip, target_length: 4096}\n"),
              HasSubstr("leaves nothing to skip"));
}

TEST_F(RecipeFile, DocumentsOfARowMaySeeThoseBeforeThem) {
  const Recipe by_default = load(kSmallest),
               masked = load(kSmallest, {"packing.document_mask=true"});
  EXPECT_TRUE(by_default.packing.document_mask);
  EXPECT_EQ(resume_identity(masked), resume_identity(by_default));
  const Recipe recipe = load(kSmallest, {"packing.document_mask=false"});
  EXPECT_FALSE(recipe.packing.document_mask);
  EXPECT_FALSE(load(write_yaml(resolved_recipe(recipe))).packing.document_mask);
  EXPECT_NE(resume_identity(recipe), resume_identity(by_default));
}

TEST_F(RecipeFile, LoraMayBeNone) {
  EXPECT_FALSE(load(kSmallest).lora.none);
  const Recipe recipe = load(kSmallest + "lora: none\n");
  EXPECT_TRUE(recipe.lora.none);
  EXPECT_FALSE(recipe.lora.targets("model.layers.0.self_attn.q_proj"));
  EXPECT_TRUE(recipe.lora.saves("model.layers.0.self_attn.q_proj"));
  const Json resolved = resolved_recipe(recipe);
  EXPECT_EQ(resolved["lora"], "none");
  EXPECT_EQ(resolved_recipe(load(write_yaml(resolved))), resolved);
  EXPECT_NE(resume_identity(recipe), resume_identity(load(kSmallest)));
  EXPECT_THAT(error_of(kSmallest, {"lora=all"}),
              HasSubstr("command line: lora: expected a map or none, got \"all\""));
}

TEST_F(RecipeFile, LossWeightsMayChangeOnResume) {
  const Recipe recipe = load(kSmallest + "loss: {weights: effective_context, alpha: 0.3}\n");
  EXPECT_EQ(recipe.train.loss.alpha, 0.3);
  EXPECT_THAT(error_of(kSmallest + "loss: {weights: exact}\n"),
              HasSubstr("uniform, effective_context, long_minus_short"));
}

TEST_F(RecipeFile, DocumentsAreKeptByTheirScores) {
  const Recipe recipe = load(kSmallest, {"data.scores=s.jsonl", "data.keep_share=0.25"});
  EXPECT_EQ(recipe.data.scores, "s.jsonl");
  const Json resolved = resolved_recipe(recipe);
  EXPECT_EQ(resolved["data"]["keep_share"], 0.25);
  EXPECT_EQ(resolved_recipe(load(write_yaml(resolved))), resolved);
  EXPECT_FALSE(resume_identity(recipe)["data"].contains("scores"));  // but what they keep counts
  EXPECT_FALSE(resolved_recipe(load(kSmallest))["data"].contains("keep_share"));
  EXPECT_THAT(error_of(kSmallest, {"data.keep_share=0.25"}),
              HasSubstr("data.keep_share: is for data.scores"));
}

TEST_F(RecipeFile, WeightsMayHaveLearningRatesOfTheirOwn) {
  const std::vector<std::string> given{
      "optimizer={lora_plus_ratio: 16, groups: [{pattern: norm, lr: 2e-5}, {pattern: lora_B, "
      "weight_decay: 0}]}",
      "lora.lora_dropout=0.05"};
  const Recipe recipe = load(kSmallest, given);
  const AdamWOptions& optimizer = recipe.train.optimizer;
  EXPECT_EQ(optimizer.lora_plus_ratio, 16);
  ASSERT_EQ(optimizer.groups.size(), 2u);
  EXPECT_EQ(optimizer.groups[0].lr, 2e-5);
  EXPECT_FALSE(optimizer.groups[0].weight_decay);
  EXPECT_EQ(optimizer.groups[1].weight_decay, 0);
  EXPECT_EQ(recipe.lora.lora_dropout, 0.05);
  const Json resolved = resolved_recipe(recipe);
  EXPECT_EQ(resolved_recipe(load(write_yaml(resolved))), resolved);
  EXPECT_NE(resume_identity(recipe), resume_identity(load(kSmallest)));
  // What runs of before these keys resolved must stay their identity.
  const Json before = resolved_recipe(load(kSmallest));
  EXPECT_FALSE(before["lora"].contains("lora_dropout"));
  EXPECT_FALSE(before["optimizer"].contains("lora_plus_ratio"));
  EXPECT_FALSE(before["optimizer"].contains("groups"));
}

TEST_F(RecipeFile, OnScaledReachesEveryStage) {
  Recipe recipe = load(kStaged, {"model.on_scaled=compose"});
  for (const Stage& stage : recipe.stages) EXPECT_EQ(stage.on_scaled, OnScaled::kCompose);
  EXPECT_THAT(error_of(kStaged, {"model.on_scaled=add"}),
              HasSubstr("model.on_scaled: 'add' is not known; expected one of error, replace, "
                        "compose"));
}

TEST_F(RecipeFile, RopeMayBeAFileOfTheSearch) {
  std::string file = (folder_ / "found.json").string();
  std::ofstream(file) << R"({"rope_type": "longrope", "factor": 4,
                             "short_factor": [1, 1], "long_factor": [1, 4]})";
  Recipe recipe = load(kStaged, {"rope=" + file});
  EXPECT_EQ(recipe.stages[0].rope->rope_type(), "longrope");
  EXPECT_EQ(recipe.stages[1].rope->rope_type(), "linear");
  EXPECT_EQ(load(kStaged, {"stages.1.rope=" + file}).stages[1].rope->factor(), 4);
  EXPECT_THAT(error_of(kStaged, {"rope=none.json"}), HasSubstr("none.json"));
  std::ofstream(file) << R"({"rope_type": "longrope"})";
  EXPECT_THAT(error_of(kStaged, {"rope=" + file}), HasSubstr("rope.long_factor: is missing"));
}

TEST_F(RecipeFile, ARopeThatIsNoFileIsAnErrorAmongOthers) {
  const std::string errors = error_of(kSmallest + "rope: linear\ntrian: {}\n");
  EXPECT_THAT(errors, HasSubstr("a.yaml:4:1: rope: linear: cannot open"));
  EXPECT_THAT(errors, HasSubstr("expected a map such as {rope_type: linear, factor: 4.0}, or the "
                                "path of a JSON file"));
  EXPECT_THAT(errors, HasSubstr("a.yaml:5:1: trian: unknown key"));
  EXPECT_THAT(error_of(kStaged, {"stages.1.rope=yarn"}),
              HasSubstr("command line: stages.1.rope: yarn: cannot open"));
}

TEST(ShippedRecipes, AreValid) {
  const std::filesystem::path folder = source_folder() / "recipes";
  int read = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    EXPECT_NO_THROW(load_recipe(entry.path(), {})) << entry.path();
    ++read;
  }
  EXPECT_GE(read, 10);
}

}  // namespace
}  // namespace longspan
