#include "src/rope/longrope_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "src/rope/critical_dimension.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;

constexpr RopeGeometry kTiny{16, 10000.0, 1000};  // eight pairs

/// A made-up loss whose best factors are neither of the starts.
double bowl(const std::vector<double>& factors) {
  double sum = 0;
  for (size_t i = 0; i < factors.size(); ++i) {
    double best = i < 3 ? 1.0 : i < 5 ? 2.5 : 4.4;
    sum += (factors[i] - best) * (factors[i] - best);
  }
  return sum;
}

struct Trace {
  std::vector<std::vector<double>> asked;
  std::vector<double> best_losses;  // one an iteration
  LongRopeIndividual best;
};

Trace run(LongRopeSearchOptions options) {
  Trace run;
  run.best = search_longrope(
      options, longrope_starts(kTiny, options.factor),
      [&](const std::vector<double>& factors) {
        run.asked.push_back(factors);
        return bowl(factors);
      },
      [&](int64_t iteration, const std::vector<LongRopeIndividual>& parents) {
        EXPECT_EQ(iteration, std::ssize(run.best_losses));
        EXPECT_TRUE(std::is_sorted(parents.begin(), parents.end(),
                                   [](auto& a, auto& b) { return a.loss < b.loss; }));
        run.best_losses.push_back(parents.front().loss);
      });
  return run;
}

const LongRopeSearchOptions kSearch{.factor = 4, .population = 16, .iterations = 30, .seed = 7};

TEST(LongRopeStarts, DivideTheFrequenciesAsTheirFormulasDo) {
  auto starts = longrope_starts(kTiny, 4);
  ASSERT_EQ(starts.size(), 3u);
  EXPECT_EQ(starts[0].rope_type, "linear");
  EXPECT_EQ(starts[0].rescale_factors, std::vector<double>(8, 4.0));
  for (size_t i = 0; i < 8; ++i) {
    double ntk = std::pow(4.0, 2.0 * static_cast<double>(i) / 14);
    EXPECT_NEAR(starts[1].rescale_factors[i], ntk, 1e-5);
  }
  EXPECT_EQ(starts[2].rope_type, "yarn");
  EXPECT_EQ(starts[2].rescale_factors.front(), 1.0);
  EXPECT_EQ(starts[2].rescale_factors.back(), 4.0);
}

TEST(LongRopeStarts, NeverFall) {
  for (double factor : {1.5, 2.0, 32.0}) {
    for (const auto& start : longrope_starts({64, 100000.0, 8192}, factor)) {
      EXPECT_TRUE(std::is_sorted(start.rescale_factors.begin(), start.rescale_factors.end()));
    }
  }
}

TEST(LongRopeSearch, EvaluatesTheStartsFirst) {
  auto starts = longrope_starts(kTiny, 4);
  Trace search = run(kSearch);
  for (size_t i = 0; i < starts.size(); ++i) {
    EXPECT_EQ(search.asked[i], starts[i].rescale_factors);
  }
}

TEST(LongRopeSearch, EveryCandidateIsMonotonicAndInTheSpace) {
  for (const auto& factors : run(kSearch).asked) {
    EXPECT_TRUE(std::is_sorted(factors.begin(), factors.end()));
    EXPECT_GE(factors.front(), 1.0);
    EXPECT_LE(factors.back(), 1.25 * 4);
  }
}

TEST(LongRopeSearch, AsksForNothingTwice) {
  auto asked = run(kSearch).asked;
  EXPECT_EQ(std::set(asked.begin(), asked.end()).size(), asked.size());
}

TEST(LongRopeSearch, EachIterationCostsHalfAPopulation) {
  EXPECT_EQ(run(kSearch).asked.size(), 16u + 30u * 8u);
  EXPECT_EQ(run({.factor = 4, .population = 10, .iterations = 2}).asked.size(), 10u + 2u * 5u);
  EXPECT_EQ(run({.factor = 4, .population = 4, .iterations = 0}).asked.size(), 4u);
}

TEST(LongRopeSearch, FindsBetterThanEveryStart) {
  Trace search = run(kSearch);
  double start = INFINITY;
  for (size_t i = 0; i < 3; ++i) start = std::min(start, bowl(search.asked[i]));
  EXPECT_LT(search.best.loss, 0.1 * start);
  EXPECT_EQ(search.best.loss, bowl(search.best.rescale_factors));
}

TEST(LongRopeSearch, NeverLosesTheBest) {
  Trace search = run(kSearch);
  ASSERT_EQ(search.best_losses.size(), 31u);
  EXPECT_TRUE(std::is_sorted(search.best_losses.rbegin(), search.best_losses.rend()));
  EXPECT_EQ(search.best_losses.back(), search.best.loss);
}

TEST(LongRopeSearch, TheSeedDecides) {
  LongRopeSearchOptions other = kSearch;
  other.seed = 8;
  EXPECT_EQ(run(kSearch).asked, run(kSearch).asked);
  EXPECT_NE(run(kSearch).asked, run(other).asked);
}

const LongRopeSearchOptions kSearch2{
    .factor = 4, .longrope2 = true, .population = 16, .iterations = 30, .seed = 7};

TEST(LongRope2Starts, HaveOneFactorFromEachPossibleCriticalPairOn) {
  const auto starts = longrope2_starts(kTiny, kSearch2);
  // 1,000 tokens turn pair 2 15.9 times and pair 3 5.03, pair 4 1.59 and pair 5 0.503.
  ASSERT_EQ(starts.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(starts[i].critical_pair, 3 + static_cast<int64_t>(i));
    const auto& factors = starts[i].rescale_factors;
    const double factor = factors.back();
    EXPECT_GE(factor, 4);
    EXPECT_LE(factor, 8);
    for (size_t pair = 3 + i; pair < 8; ++pair) EXPECT_EQ(factors[pair], factor);
    EXPECT_NEAR(factors[1], std::pow(factor, 1.0 / static_cast<double>(3 + i)), 1e-12);
  }
  LongRopeSearchOptions other = kSearch2;
  other.seed = 8;
  EXPECT_NE(longrope2_starts(kTiny, other)[0].rescale_factors, starts[0].rescale_factors);
}

TEST(LongRope2Search, FindsTheCriticalPairAndTheFactorsFromItOn) {
  std::vector<double> wanted{0, 0, 0, 0, 5, 5.5, 6, 7};
  for (size_t i = 0; i < 4; ++i) wanted[i] = std::pow(5, static_cast<double>(i) / 4);
  const auto loss = [&](const std::vector<double>& factors) {
    double sum = 0;
    for (size_t i = 0; i < 8; ++i) sum += std::pow(factors[i] - wanted[i], 2);
    return sum;
  };
  const auto starts = longrope2_starts(kTiny, kSearch2);
  double of_starts = INFINITY;
  for (const auto& start : starts) of_starts = std::min(of_starts, loss(start.rescale_factors));
  int64_t seen = 0;
  const auto best = search_longrope(
      kSearch2, starts,
      [&](const std::vector<double>& factors) {
        ++seen;
        return loss(factors);
      },
      [](int64_t, const std::vector<LongRopeIndividual>& parents) {
        for (const auto& parent : parents) {
          const auto& factors = parent.rescale_factors;
          const auto first = static_cast<size_t>(parent.critical_pair);
          EXPECT_TRUE(std::is_sorted(factors.begin(), factors.end()));
          EXPECT_GE(factors[first], 4);
          EXPECT_LE(factors.back(), 8);
          auto followed = factors;
          scale_before(parent.critical_pair, followed);
          EXPECT_EQ(followed, factors);
        }
      });
  EXPECT_EQ(seen, 16 + 30 * 8);
  EXPECT_EQ(best.critical_pair, 4);
  EXPECT_LT(best.loss, 0.1 * of_starts);
}

TEST(LongRopeSearch, EndsWhereTheSpaceIsExhausted) {
  LongRopeSearchOptions options{.factor = 1.01, .population = 64, .iterations = 3};
  auto best =
      search_longrope(options, longrope_starts({4, 10000.0, 10}, 1.01),
                      [](const std::vector<double>& factors) { return factors[0] + factors[1]; });
  EXPECT_THAT(best.rescale_factors, ElementsAre(1.0, 1.0));
}

}  // namespace
}  // namespace longspan
