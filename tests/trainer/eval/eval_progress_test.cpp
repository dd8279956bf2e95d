#include "trainer/eval/eval_progress.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

using ::testing::HasSubstr;

TEST(EvalProgress, TakesWhatIsLeftByKindAndByFlops) {
  EvalProgress progress({{"a", "full", 100, {100, 100, 100, 100}}, {"a", "full", 200, {400, 400}}});
  progress.done("a", "full", 100, 2);
  progress.done("a", "full", 100, 2);
  EXPECT_EQ(progress.items(), 6);
  EXPECT_EQ(progress.items_done(), 2);
  // Two more of 2 seconds; the rest at 100 FLOPs in 2 seconds.
  EXPECT_DOUBLE_EQ(progress.seconds_left(), 2 * 2 + 800 / 50.0);
  progress.done("a", "full", 200, 10);
  EXPECT_DOUBLE_EQ(progress.seconds_left(), 2 * 2 + 10);
  EXPECT_THAT(progress.line(), HasSubstr("3 of 6 items, a by full at 200"));
}

/// The first of many questions reads the passage that they share, in what is left too.
TEST(EvalProgress, CountsASharedPassageOnce) {
  EvalProgress progress({{"a", "full", 100, {100, 10, 10, 100, 10, 10}}});
  progress.done("a", "full", 100, 200);
  EXPECT_DOUBLE_EQ(progress.seconds_left(), 280);
  progress.done("a", "full", 100, 20);
  progress.done("a", "full", 100, 20);
  EXPECT_DOUBLE_EQ(progress.seconds_left(), 240);
  EXPECT_DOUBLE_EQ(progress.seconds_of({"a", "full", 100, {100, 10, 10, 10}}), 260);
}

/// What another task has scored is no work: it says nothing of how long the rest takes.
TEST(EvalProgress, TakesNoRateFromItemsWithoutWork) {
  EvalProgress progress({{"a", "full", 100, {0, 100}}, {"a", "full", 200, {50}}});
  progress.done("a", "full", 200, 5);
  progress.done("a", "full", 100, 0);
  EXPECT_DOUBLE_EQ(progress.seconds_left(), 10);
}

/// An arm with a slow kernel is slow in its other tasks too.
TEST(EvalProgress, KnowsTheRateOfEachArm) {
  EvalProgress progress({{"a", "full", 100, {100, 100}}, {"a", "slow", 100, {100, 100}}});
  EXPECT_EQ(progress.seconds_of({"a", "full", 100, {100}}), 0);  // nothing was measured
  progress.done("a", "full", 100, 1);
  EXPECT_DOUBLE_EQ(progress.seconds_of({"a", "slow", 100, {100}}), 1);  // as all others
  progress.done("a", "slow", 100, 5);
  EXPECT_DOUBLE_EQ(progress.seconds_of({"a", "slow", 200, {400}}), 20);
  EXPECT_DOUBLE_EQ(progress.seconds_of({"b", "slow", 100, {100, 100, 100}}), 15);
  EXPECT_DOUBLE_EQ(progress.seconds_of({"b", "full", 100, {100, 100, 100}}), 3);
  EXPECT_DOUBLE_EQ(progress.seconds_of({"b", "third", 100, {100}}), 3);
}

}  // namespace
}  // namespace longspan
