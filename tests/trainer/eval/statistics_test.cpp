#include "trainer/eval/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longspan {
namespace {

TEST(StandardError, IsTheSampleDeviationOverRootN) {
  // s = sqrt(((-1.5)^2 + 0.5^2 + 0.5^2 + 0.5^2) / 3) = 1, n = 4
  EXPECT_DOUBLE_EQ(*standard_error({1, 3, 3, 3}), 0.5);
  EXPECT_FALSE(standard_error({2}).has_value());
}

// Reference: evaluation.md 2.2, and the formula of Wilson 1927 evaluated in Python 3.11.
TEST(WilsonInterval, HasTheKnownBounds) {
  EXPECT_NEAR(wilson_interval(3, 3).low, 0.438503, 1e-6);
  EXPECT_NEAR(wilson_interval(5, 5).low, 0.565518, 1e-6);
  EXPECT_NEAR(wilson_interval(10, 10).low, 0.722467, 1e-6);
  EXPECT_NEAR(wilson_interval(50, 50).low, 0.928652, 1e-6);
  EXPECT_NEAR(wilson_interval(8, 10).low, 0.490162, 1e-6);
  EXPECT_NEAR(wilson_interval(8, 10).high, 0.943318, 1e-6);
  EXPECT_NEAR(wilson_interval(0, 3).high, 0.561497, 1e-6);
  EXPECT_DOUBLE_EQ(wilson_interval(0, 3).low, 0);
}

TEST(WilsonInterval, OfNoTrialsSaysNothing) {
  EXPECT_EQ(wilson_interval(0, 0).low, 0);
  EXPECT_EQ(wilson_interval(0, 0).high, 1);
}

// The 97.5 % points of Student's t, by integrating its density in Python 3.11: 4.302653 for 2
// degrees of freedom, 3.182446 for 3, 2.262157 for 9.
TEST(MeanInterval, IsStudentsT) {
  EXPECT_NEAR(mean_interval({-1, 0, 1})->high, 4.302653 / std::sqrt(3), 1e-6);
  EXPECT_NEAR(mean_interval({1, 3, 3, 3})->low, 2.5 - 3.182446 * 0.5, 0.002);
  const Interval ten = *mean_interval({1, 2, 1, 2, 1, 2, 1, 2, 1, 2});
  EXPECT_NEAR(ten.high - ten.low, 2 * 2.262157 * std::sqrt(2.5 / 9 / 10), 1e-4);
  EXPECT_FALSE(mean_interval({2}).has_value());
}

/// Means that lie in one another's intervals, of items that all differ alike.
/// Two documents of 1 and 3 tokens: their mean is that of the tokens, 2.5; residuals -1.5 x 1 / 2
/// and 0.5 x 3 / 2 have the sample deviation 1.0607.
TEST(Weighed, HasTheWeightedMeanAndItsError) {
  const std::vector<double> found = weighed({1, 3}, {1, 3});
  EXPECT_DOUBLE_EQ(mean(found), 2.5);
  EXPECT_DOUBLE_EQ(*standard_error(found), 0.75);
  EXPECT_EQ(weighed({1, 3}, {}), (std::vector<double>{1, 3}));
  EXPECT_EQ(weighed({1, 3}, {7, 7}), (std::vector<double>{1, 3}));
}

TEST(ToldApart, IsByTheDifferencesOfTheSameItems) {
  const std::vector<double> low{2.00, 2.30, 2.60};
  EXPECT_TRUE(told_apart(low, {2.03, 2.33, 2.632}));
  EXPECT_FALSE(told_apart(low, {2.03, 2.33, 2.56}));
  EXPECT_FALSE(told_apart(low, low));
}

TEST(ToldApart, IsByTheIntervalsOfOtherItems) {
  EXPECT_TRUE(told_apart({2.00, 2.01, 2.02}, {3.00, 3.01}));
  EXPECT_FALSE(told_apart({2.00, 2.01, 2.02}, {3.00, 3.20}));  // 3.1 -+ 1.27
  EXPECT_FALSE(told_apart({1}, {9}));
  EXPECT_FALSE(told_apart({1, 1, 1}, {9}));
  EXPECT_FALSE(told_apart({}, {9, 9.1}));
}

/// p of the sign test by its binomial sums: 2 / 2^5 = 0.0625, 2 / 2^6 = 0.03125; of 1 against 8 in
/// 9, 2 (1 + 9) / 2^9 = 0.0391; of 2 against 8 in 10, 2 (1 + 10 + 45) / 2^10 = 0.109.
TEST(ScoresToldApart, IsByTheQuestionsThatOneAloneAnswers) {
  const auto told = [](int64_t only_a, int64_t only_b, int64_t both) {
    std::vector<double> a(both, 1.0), b(both, 1.0);
    a.insert(a.end(), only_a, 1.0);
    b.insert(b.end(), only_a, 0.0);
    a.insert(a.end(), only_b, 0.0);
    b.insert(b.end(), only_b, 1.0);
    return scores_told_apart(a, b);
  };
  EXPECT_FALSE(told(0, 0, 20));
  EXPECT_FALSE(told(5, 0, 15));
  EXPECT_TRUE(told(6, 0, 15));
  EXPECT_TRUE(told(0, 6, 2000));
  EXPECT_TRUE(told(1, 8, 0));
  EXPECT_FALSE(told(2, 8, 0));
  EXPECT_FALSE(told(500, 510, 0));
  EXPECT_TRUE(told(400, 600, 0));
  EXPECT_TRUE(scores_told_apart({0.5, 0.5, 0.5, 0.5, 0.5, 0.5}, {0.2, 0.3, 0, 0, 0.4, 0.1}));
}

TEST(PairedDifference, CancelsWhatTheItemsShare) {
  auto difference = paired_difference({3.5, 2.5, 5.5}, {3, 2, 5});
  EXPECT_DOUBLE_EQ(difference.mean, 0.5);
  EXPECT_DOUBLE_EQ(*difference.standard_error, 0);
}

}  // namespace
}  // namespace longspan
