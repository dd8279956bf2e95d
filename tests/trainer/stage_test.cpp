#include "trainer/stage.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/support/errors.h"

namespace longspan {
namespace {

const std::vector<Stage> kStages = {
    {.steps = 3, .seq_len = 8, .gradient_accumulation_steps = 2},
    {.steps = 1, .seq_len = 16, .batch_size = 4},
    {.steps = 2, .seq_len = 32, .gradient_accumulation_steps = 5},
};

ModelConfig base_of(int64_t max_position_embeddings) {
  ModelConfig config;
  config.head_dim = 64;
  config.max_position_embeddings = max_position_embeddings;
  config.rope_scaling = make_rope_scaling("default");
  return config;
}

std::shared_ptr<const RopeScaling> rope(const Json& json) {
  Diagnostics diagnostics;
  std::shared_ptr<const RopeScaling> scaling = read_rope_scaling(Fields(json, diagnostics));
  diagnostics.throw_if_any(ExitCode::kRecipe);
  return scaling;
}

TEST(Stage, TotalsAreSumsOverStages) {
  EXPECT_EQ(total_steps(kStages), 6);
  EXPECT_EQ(total_tokens(kStages), 3 * 16 + 1 * 64 + 2 * 160);
}

TEST(Stage, EachStepBelongsToOneStage) {
  std::vector<size_t> stages;
  for (int step = 0; step < 6; ++step) stages.push_back(stage_position(kStages, step, false).stage);
  EXPECT_EQ(stages, (std::vector<size_t>{0, 0, 0, 1, 2, 2}));
}

TEST(Stage, RowsCountOnThroughTheStages) {
  std::vector<int64_t> rows;
  for (int step = 0; step < 6; ++step)
    rows.push_back(stage_position(kStages, step, false).first_row);
  EXPECT_EQ(rows, (std::vector<int64_t>{0, 2, 4, 6, 10, 15}));
}

TEST(Stage, OfAnotherStoreBeginsAtItsFirstRow) {
  std::vector<Stage> stages = kStages;
  stages[1].data_path = "own.h5";
  std::vector<int64_t> rows;
  for (int step = 0; step < 6; ++step)
    rows.push_back(stage_position(stages, step, false).first_row);
  EXPECT_EQ(rows, (std::vector<int64_t>{0, 2, 4, 0, 6, 11}));
}

/// The same rows in turn, by two attentions: none is read twice.
TEST(Stage, InTurnOfOneSeqLenShareTheirRows) {
  std::vector<Stage> stages(
      2, {.steps = 2, .seq_len = 8, .attention = make_attention_pattern("full")});
  std::vector<int64_t> rows;
  for (int step = 0; step < 4; ++step) rows.push_back(stage_position(stages, step, true).first_row);
  EXPECT_EQ(rows, (std::vector<int64_t>{0, 1, 2, 3}));
}

TEST(Stage, ThereIsNoStepBeyondTheLastStage) {
  EXPECT_THROW(stage_position(kStages, 6, false), std::logic_error);
}

TEST(Stage, TakesTurnsInProportionToItsSteps) {
  std::vector<Stage> in_turn = kStages;
  for (Stage& stage : in_turn) stage.attention = make_attention_pattern("full");
  std::vector<size_t> stages;
  std::vector<int64_t> rows;
  for (int step = 0; step < 6; ++step) {
    const StagePosition position = stage_position(in_turn, step, true);
    stages.push_back(position.stage);
    rows.push_back(position.first_row);
  }
  // Of 3, 1 and 2 steps: halves of steps at 1/6 3/6 5/6, 1/2, and 1/4 3/4 of the run.
  EXPECT_EQ(stages, (std::vector<size_t>{0, 2, 0, 1, 2, 0}));
  EXPECT_EQ(rows, (std::vector<int64_t>{0, 0, 2, 0, 5, 4}));
  EXPECT_EQ(steps_by_stage(kStages, 6, true), (std::vector<int64_t>{3, 1, 2}));
  EXPECT_EQ(steps_by_stage(kStages, 4, false), (std::vector<int64_t>{3, 1, 0}));
  EXPECT_THROW(stage_position(kStages, 6, true), std::logic_error);
}

TEST(RopeExtension, WithoutScalingTheBaseStaysAsItIs) {
  ModelConfig base = base_of(8192);
  RopeExtension extension = extend_rope(base, nullptr);
  EXPECT_EQ(extension.scaling, base.rope_scaling);
  EXPECT_EQ(extension.max_position_embeddings, 8192);
  EXPECT_EQ(extension.context_length, 8192);
}

TEST(RopeExtension, YarnTakesTheOriginalLengthFromTheBase) {
  auto extension = extend_rope(base_of(8192), rope({{"rope_type", "yarn"}, {"factor", 4}}));
  EXPECT_EQ(extension.max_position_embeddings, 32768);
  EXPECT_EQ(extension.scaling->original_max_position_embeddings(), 8192);
  EXPECT_EQ(extension.scaling->factor(), 4);
}

TEST(RopeExtension, AnOriginalLengthInTheRecipeWins) {
  auto extension = extend_rope(
      base_of(8192),
      rope({{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 2048}}));
  EXPECT_EQ(extension.max_position_embeddings, 8192);
  EXPECT_EQ(extension.original_max_position_embeddings, 2048);
}

TEST(RopeExtension, LinearMultipliesTheContext) {
  auto extension = extend_rope(base_of(8192), rope({{"rope_type", "linear"}, {"factor", 1.5}}));
  EXPECT_EQ(extension.max_position_embeddings, 12288);
  EXPECT_EQ(extension.context_length, 12288);
}

TEST(RopeExtension, DynamicKeepsMaxPositionEmbeddings) {
  auto extension = extend_rope(base_of(8192), rope({{"rope_type", "dynamic"}, {"factor", 2}}));
  EXPECT_EQ(extension.max_position_embeddings, 8192);
  EXPECT_EQ(extension.context_length, 16384);
}

ModelConfig scaled_base(int64_t max_position_embeddings, const Json& json) {
  ModelConfig base = base_of(max_position_embeddings);
  base.rope_scaling = rope(json);
  return base;
}

/// Linear x4 to 32,768 positions.
ModelConfig linear_base(std::optional<int64_t> original) {
  ModelConfig base = scaled_base(32768, {{"rope_type", "linear"}, {"factor", 4}});
  base.original_max_position_embeddings = original;
  return base;
}

TEST(RopeExtension, AScaledBaseIsNeverScaledAgainInSilence) {
  ModelConfig base = linear_base(8192);
  const std::string message = error_of(
      [&] {
        extend_rope(base, rope({{"rope_type", "yarn"}, {"factor", 2}}));
      },
      ExitCode::kRecipe);
  EXPECT_EQ(message,
            "the model's RoPE is scaled already (linear x4, from 8,192 to 32,768 positions); "
            "give no scaling to keep that, or choose on_scaled: replace (the factor counts "
            "from 8,192) or compose (from 32,768)");
}

TEST(RopeExtension, ReplacedIsNotMultiplied) {
  ModelConfig base = linear_base(8192);
  auto extension =
      extend_rope(base, rope({{"rope_type", "yarn"}, {"factor", 2}}), OnScaled::kReplace);
  EXPECT_EQ(extension.original_max_position_embeddings, 8192);
  EXPECT_EQ(extension.max_position_embeddings, 16384);
}

TEST(RopeExtension, ReplacingTwiceGivesTheSame) {
  ModelConfig base = base_of(8192);
  auto scaling = rope({{"rope_type", "yarn"}, {"factor", 2}});
  auto once = extend_rope(base, scaling);
  base.rope_scaling = once.scaling;
  base.max_position_embeddings = once.max_position_embeddings;
  EXPECT_EQ(extend_rope(base, scaling, OnScaled::kReplace).max_position_embeddings, 16384);
}

TEST(RopeExtension, ComposedFactorsMultiply) {
  ModelConfig base = linear_base(8192);
  auto extension =
      extend_rope(base, rope({{"rope_type", "linear"}, {"factor", 2}}), OnScaled::kCompose);
  EXPECT_EQ(extension.scaling->factor(), 8);
  EXPECT_EQ(extension.original_max_position_embeddings, 8192);
  EXPECT_EQ(extension.max_position_embeddings, 65536);
  EXPECT_EQ(extension.context_length, 65536);
}

TEST(RopeExtension, AnUnscaledBaseAsksNothing) {
  auto scaling = rope({{"rope_type", "yarn"}, {"factor", 2}});
  for (auto on_scaled : {OnScaled::kError, OnScaled::kReplace, OnScaled::kCompose}) {
    EXPECT_EQ(extend_rope(base_of(8192), scaling, on_scaled).context_length, 16384);
  }
}

// Qwen's model cards add YaRN x4 of 32,768 and leave max_position_embeddings at 32,768 or 40,960.
TEST(RopeExtension, QwensYarnReachesFurtherThanItsMaxPositionEmbeddings) {
  Json yarn{{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 32768}};
  for (int64_t stated : {32768, 40960}) {
    ModelConfig base = scaled_base(stated, yarn);
    EXPECT_EQ(extend_rope(base, nullptr).context_length, 131072);
    EXPECT_EQ(extend_rope(base, nullptr).max_position_embeddings, stated);
    auto further =
        extend_rope(base, rope({{"rope_type", "yarn"}, {"factor", 2}}), OnScaled::kCompose);
    EXPECT_EQ(further.max_position_embeddings, 262144);
    EXPECT_EQ(further.scaling->original_max_position_embeddings(), 32768);
  }
}

// Llama 3.1 says factor 8 of 8,192 positions and holds 131,072.
TEST(RopeExtension, Llama3ReachesFurtherThanItsFactor) {
  Json llama3{{"rope_type", "llama3"}, {"factor", 8}, {"original_max_position_embeddings", 8192}};
  ModelConfig base = scaled_base(131072, llama3);
  EXPECT_EQ(extend_rope(base, nullptr).context_length, 131072);
  auto further =
      extend_rope(base, rope({{"rope_type", "llama3"}, {"factor", 2}}), OnScaled::kCompose);
  EXPECT_EQ(further.scaling->factor(), 16);
  EXPECT_EQ(further.max_position_embeddings, 262144);
}

TEST(RopeExtension, ALinearBaseBesideItsOriginalLengthReachesFurther) {
  auto kept = extend_rope(linear_base(32768), nullptr);
  EXPECT_EQ(kept.original_max_position_embeddings, 32768);
  EXPECT_EQ(kept.max_position_embeddings, 32768);
  EXPECT_EQ(kept.context_length, 131072);
  auto replaced = extend_rope(linear_base(32768), rope({{"rope_type", "yarn"}, {"factor", 2}}),
                              OnScaled::kReplace);
  EXPECT_EQ(replaced.scaling->original_max_position_embeddings(), 32768);
  EXPECT_EQ(replaced.max_position_embeddings, 65536);
}

TEST(RopeExtension, ALinearBaseOfTwoReadingsAsks) {
  ModelConfig base = linear_base(std::nullopt);
  auto yarn = rope({{"rope_type", "yarn"}, {"factor", 2}});
  for (auto on_scaled : {OnScaled::kReplace, OnScaled::kCompose}) {
    const std::string message =
        error_of([&] { extend_rope(base, yarn, on_scaled); }, ExitCode::kModel);
    EXPECT_EQ(message,
              "max_position_embeddings 32768 beside RoPE linear x4 may be the extended length "
              "(original 8192, extended 32768) or the original one (extended 131072); say "
              "which in the model's config.json: \"original_max_position_embeddings\": 8192 "
              "or 32768");
  }
  auto kept = extend_rope(base, nullptr);  // nothing depends on it up to the shorter one
  EXPECT_EQ(kept.context_length, 32768);
  ASSERT_TRUE(kept.other);
  EXPECT_EQ(kept.other->usable, 131072);
  Json stated{{"rope_type", "yarn"}, {"factor", 4}, {"original_max_position_embeddings", 4096}};
  EXPECT_EQ(extend_rope(base, rope(stated), OnScaled::kReplace).max_position_embeddings, 16384);
}

}  // namespace
}  // namespace longspan
