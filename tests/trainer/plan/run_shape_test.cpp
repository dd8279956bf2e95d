#include "trainer/plan/run_shape.h"

#include <gtest/gtest.h>

#include "tests/trainer/plan/tiny_plan.h"

namespace longspan {
namespace {

TEST(RunShape, KnowsWhatIsAdaptedAndTrained) {
  RunShape shape = tiny_shape(
      {.r = 3, .target_modules = {"q_proj", "down_proj"}, .modules_to_save = {"embed_tokens"}});
  int64_t adapted = 0;
  for (const auto& p : shape.projections) {
    const bool target = p.name == "q_proj" || p.name == "down_proj";
    EXPECT_EQ(p.rank, target ? 3 : 0) << p.name;
    adapted += p.rank > 0;
  }
  EXPECT_EQ(shape.projections.size(), 7u);
  EXPECT_EQ(adapted, 2);
  EXPECT_TRUE(shape.trains_embedding);
  EXPECT_TRUE(shape.trains_head);  // tied
  EXPECT_FALSE(tiny_shape().trains_head);
}

TEST(RunShape, KnowsWhereBackwardEnds) {
  const auto before = [](const LoraOptions& lora) {
    return tiny_shape(lora).blocks_before_trained;
  };
  const std::vector<std::string> none;
  EXPECT_EQ(before({.target_modules = {"k_proj"}, .modules_to_save = none}), 0);
  EXPECT_EQ(before({.target_modules = {"up_proj"}, .modules_to_save = none}), 1);
  EXPECT_EQ(before({.target_modules = {"layers.1.self_attn.q_proj"}, .modules_to_save = none}), 2);
  EXPECT_EQ(before({.target_modules = {"up_proj"}, .modules_to_save = {"norm"}}), 0);
  EXPECT_EQ(before({.target_modules = none, .modules_to_save = {"post_attention_layernorm"}}), 1);
  EXPECT_EQ(before({.target_modules = none, .modules_to_save = {"model.norm"}}), 4);
  EXPECT_EQ(before({.target_modules = none, .modules_to_save = {"embed_tokens"}}), 0);
  const LoraOptions all{
      .target_modules = {}, .target_pattern = "all-linear", .modules_to_save = {}};
  EXPECT_EQ(before(all), 0);
}

// Only the last of the two layers is adapted.
TEST(RunShape, IsThatOfTheLastLayer) {
  const RunShape shape =
      tiny_shape({.r = 3, .target_modules = {"layers.1.self_attn.q_proj"}, .modules_to_save = {}});
  EXPECT_EQ(shape.projections.size(), 7u);
  EXPECT_EQ(shape.projections.front().rank, 3);
}

}  // namespace
}  // namespace longspan
