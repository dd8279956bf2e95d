#include "recipes/recipe_plan.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "tests/support/errors.h"
#include "tests/support/tiny_llama.h"

namespace longspan {
namespace {

class CheckpointsOfARun : public ::testing::Test {
 protected:
  CheckpointsOfARun() {
    recipe_.stages = {{.steps = 10}};
    recipe_.output_dir = std::filesystem::temp_directory_path() / "no-such-run";
    plan_.memory = default_memory_options();
    plan_.stages = {{recipe_.stages.front(), {}, {}}};
  }

  int64_t at_once(int64_t every_steps, double every_minutes, int64_t keep_last) {
    recipe_.checkpoint = {
        .every_steps = every_steps, .every_minutes = every_minutes, .keep_last = keep_last};
    return checkpoint_space(recipe_, shape_, plan_).at_once;
  }

  Recipe recipe_;
  RunShape shape_ =
      run_shape(tiny_llama_config(), {.r = 4}, at::kBFloat16, Quantization::kNone, 1024, 2);
  Plan plan_;
};

TEST_F(CheckpointsOfARun, AreThoseKeptAndTheOneBeingWritten) {
  EXPECT_EQ(at_once(0, 0, 3), 1);  // that of the end
  EXPECT_EQ(at_once(4, 0, 3), 3);  // steps 4, 8 and 10
  EXPECT_EQ(at_once(5, 0, 3), 2);
  EXPECT_EQ(at_once(1, 0, 3), 4);
  EXPECT_EQ(at_once(0, 1, 2), 3);
  EXPECT_EQ(at_once(0, 1, int64_t{1} << 40), 10);  // one a step at the most
}

TEST_F(CheckpointsOfARun, HoldAdapterMastersAndMoments) {
  const int64_t trained = shape_.parameters.trainable();
  EXPECT_EQ(checkpoint_space(recipe_, shape_, plan_).bytes, trained * (4 + 4 + 8));
  plan_.memory.optimizer_state_bits = 8;
  EXPECT_EQ(checkpoint_space(recipe_, shape_, plan_).bytes, trained * (4 + 4 + 2));
}

TEST_F(CheckpointsOfARun, LeaveRoomForActivationsInTheSamePlace) {
  ASSERT_GT(checkpoint_space(recipe_, shape_, plan_).available.value_or(0), 0);
  plan_.stages.front().memory.disk = int64_t{1} << 60;
  EXPECT_FALSE(checkpoint_space(recipe_, shape_, plan_).fits());
  recipe_.train.memory.offload_dir = "elsewhere";
  EXPECT_TRUE(checkpoint_space(recipe_, shape_, plan_).fits());
}

TEST(PlannedShape, IsNotMappedOnAGpu) {
  Recipe recipe;
  recipe.places.mark("memory.weights", {"run.yaml", 7, 3});
  const ModelConfig config = tiny_llama_config();
  EXPECT_TRUE(run_shape(recipe, config, nullptr, at::kCPU).can_be_mapped);
  EXPECT_FALSE(run_shape(recipe, config, nullptr, at::kCUDA).can_be_mapped);
  recipe.train.memory.weights = FrozenWeights::kMapped;
  EXPECT_THAT(error_of([&] { run_shape(recipe, config, nullptr, at::kCUDA); }, ExitCode::kRecipe),
              testing::StartsWith("run.yaml:7:3: memory.weights: 'mapped' is for the CPU"));
}

}  // namespace
}  // namespace longspan
