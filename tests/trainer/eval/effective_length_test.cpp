#include "trainer/eval/effective_length.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

/// `right` of 20 questions.
ScoredLength scored(int64_t length, int right) {
  ScoredLength one{length, std::vector<double>(20, 0.0)};
  std::fill_n(one.scores.begin(), right, 1.0);
  return one;
}

TEST(EffectiveLength, IsTheLastThatKeeps85Percent) {
  // 85 % of 20 are 17.
  EXPECT_EQ(effective_length({scored(1024, 20), scored(2048, 17), scored(4096, 16)}).length, 2048);
  EXPECT_EQ(effective_length({scored(1024, 20), scored(2048, 20), scored(4096, 18)}).length, 4096);
  EXPECT_EQ(effective_length({scored(1024, 10), scored(2048, 9), scored(4096, 8)}).length, 2048);
}

TEST(EffectiveLength, IsRightAtTheBoundForAnyNumberOfQuestions) {
  for (size_t n : {20, 29, 58, 94}) {
    ScoredLength first{1024, std::vector<double>(n, 0.0)}, second{2048, first.scores};
    std::fill_n(first.scores.begin(), 20, 1.0);
    std::fill_n(second.scores.begin(), 17, 1.0);
    EXPECT_EQ(effective_length({first, second}).length, 2048) << n;
    second.scores[16] = 0;
    EXPECT_EQ(effective_length({first, second}).length, 1024) << n;
  }
}

TEST(EffectiveLength, ALengthThatFailsEndsIt) {
  EXPECT_EQ(effective_length({scored(1024, 20), scored(2048, 3), scored(4096, 20)}).length, 1024);
}

TEST(EffectiveLength, ThereIsNoneOfAScoreOfZero) {
  const LengthEstimate none = effective_length({scored(1024, 0), scored(2048, 0)});
  EXPECT_EQ(none.length, std::nullopt);
  EXPECT_EQ(length_estimate_label(none), "none");
}

TEST(EffectiveLength, IntervalsFollowFromTheQuestions) {
  const auto sure = effective_length({scored(1024, 20), scored(2048, 20), scored(4096, 0)});
  EXPECT_EQ(sure.low, 2048);
  EXPECT_EQ(sure.high, 2048);
  const auto unsure = effective_length({scored(1024, 20), scored(2048, 17), scored(4096, 15)});
  EXPECT_EQ(unsure.low, 1024);
  EXPECT_EQ(unsure.high, 4096);
  EXPECT_EQ(length_estimate_label(unsure), "2K [1K, 4K]");
}

TEST(EffectiveLength, OneQuestionALengthTellsNothing) {
  const auto estimate = effective_length({{1024, {1.0}}, {2048, {1.0}}, {4096, {0.0}}});
  EXPECT_EQ(estimate.length, 2048);
  EXPECT_EQ(estimate.low, 1024);
  EXPECT_EQ(estimate.high, 4096);
}

TEST(LossFallsUntil, IsTheLengthOfTheLeastLoss) {
  const auto estimate = loss_falls_until({{1024, {3.0, 2.0, 2.5}},
                                          {2048, {2.8, 1.8, 2.31}},
                                          {4096, {2.79, 1.81, 2.3}},
                                          {8192, {3.3, 2.2, 2.9}}});
  EXPECT_EQ(estimate.length, 4096);
  // 2048 is higher by 0.003 on average, with a standard error of 0.007.
  EXPECT_EQ(estimate.low, 2048);
  EXPECT_EQ(estimate.high, 4096);
}

/// Of three documents: 0.053 with a standard error of 0.026, of which the interval has 4.3.
TEST(LossFallsUntil, FewDocumentsTellLittleApart) {
  const std::vector<double> least{2.0, 2.29, 2.6}, above{2.05, 2.3, 2.7};
  const auto estimate = loss_falls_until({{1024, above}, {2048, least}, {4096, {3.0, 3.3, 3.6}}});
  EXPECT_EQ(estimate.length, 2048);
  EXPECT_EQ(estimate.low, 1024);
  EXPECT_EQ(estimate.high, 2048);
}

/// A length that fewer documents reach has no pairs.
TEST(LossFallsUntil, OtherDocumentsAreComparedByTheirIntervals) {
  const auto estimate = loss_falls_until(
      {{1024, {2.0, 2.1, 2.05}}, {2048, {1.9, 1.91}}, {4096, {9.0, 9.1, 9.05, 9.02}}});
  EXPECT_EQ(estimate.length, 2048);
  EXPECT_EQ(estimate.low, 1024);
  EXPECT_EQ(estimate.high, 2048);
}

TEST(LossFallsUntil, OneDocumentHasNoInterval) {
  const auto estimate = loss_falls_until({{1024, {3.0}}, {2048, {2.8}}});
  EXPECT_EQ(estimate.length, 2048);
  EXPECT_EQ(estimate.low, std::nullopt);
  EXPECT_EQ(length_estimate_label(estimate), "2K");
}

}  // namespace
}  // namespace longspan
