#include "trainer/optimizer/learning_rate.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace longspan {
namespace {

TEST(LearningRate, WarmsUpLinearlyToThePeak) {
  LearningRateOptions options{.type = "constant", .warmup_steps = 4};
  EXPECT_DOUBLE_EQ(learning_rate_factor(options, 0, 10), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate_factor(options, 2, 10), 0.75);
  EXPECT_DOUBLE_EQ(learning_rate_factor(options, 3, 10), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_factor(options, 4, 10), 1.0);
}

TEST(LearningRate, WithoutWarmupStartsAtThePeak) {
  for (const auto& type : learning_rate_types()) {
    EXPECT_DOUBLE_EQ(learning_rate_factor({.type = type}, 0, 10), 1.0) << type;
  }
}

TEST(LearningRate, ConstantStays) {
  EXPECT_DOUBLE_EQ(learning_rate_factor({.type = "constant"}, 9, 10), 1.0);
}

TEST(LearningRate, CosineIsHalfWayInTheMiddleAndEndsAtTheMinimum) {
  LearningRateOptions options{.type = "cosine", .min_lr_ratio = 0.1};
  EXPECT_NEAR(learning_rate_factor(options, 5, 10), 0.55, 1e-12);
  EXPECT_NEAR(learning_rate_factor(options, 10, 10), 0.1, 1e-12);
  EXPECT_NEAR(learning_rate_factor(options, 99, 10), 0.1, 1e-12);
}

TEST(LearningRate, LinearFallsByEqualSteps) {
  LearningRateOptions options{.type = "linear", .warmup_steps = 2};
  for (int step = 2; step < 10; ++step) {
    EXPECT_NEAR(learning_rate_factor(options, step, 10), 1.0 - (step - 2) / 8.0, 1e-12);
  }
}

TEST(LearningRate, NeverRisesAfterWarmup) {
  for (const auto& type : learning_rate_types()) {
    LearningRateOptions options{.type = type, .warmup_steps = 3, .min_lr_ratio = 0.05};
    for (int step = 3; step < 40; ++step) {
      EXPECT_LE(learning_rate_factor(options, step + 1, 40),
                learning_rate_factor(options, step, 40));
      EXPECT_GE(learning_rate_factor(options, step, 40), 0.05);
    }
  }
}

TEST(LearningRate, SurvivesARunThatIsAllWarmup) {
  LearningRateOptions options{.warmup_steps = 5};
  EXPECT_DOUBLE_EQ(learning_rate_factor(options, 4, 5), 1.0);
}

TEST(LearningRate, AnUnknownTypeIsOurMistake) {
  EXPECT_THROW(learning_rate_factor({.type = "square"}, 1, 5), std::logic_error);
}

}  // namespace
}  // namespace longspan
