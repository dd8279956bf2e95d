#include "src/rope/critical_dimension.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace longspan {
namespace {

TEST(CriticalDimension, IsThatOfThePaper) {
  EXPECT_EQ(critical_pair({96, 10000.0, 2048}), 31);    // Phi3-mini
  EXPECT_EQ(critical_pair({128, 500000.0, 8192}), 35);  // LLaMA3-8B
}

TEST(CriticalDimension, IsTheFirstPairOfNoMoreTurns) {
  for (const RopeGeometry& geometry : {RopeGeometry{64, 100000.0, 8192}, {80, 10000.0, 4096}}) {
    const auto inv_freq = unscaled_inv_freq(geometry);
    const auto turns = [&](int64_t pair) {
      return static_cast<double>(geometry.max_position_embeddings) *
             inv_freq[static_cast<size_t>(pair)] / (2 * std::numbers::pi);
    };
    for (double most : {1.0, 10.0}) {
      const int64_t pair = critical_pair(geometry, most);
      EXPECT_LE(turns(pair), most);
      EXPECT_GT(turns(pair - 1), most);
    }
  }
}

TEST(CriticalDimension, IsOneOfThePairs) {
  EXPECT_EQ(critical_pair({8, 10000.0, 4}), 0);              // no pair turns once
  EXPECT_EQ(critical_pair({8, 10000.0, 1'000'000'000}), 3);  // each does
}

TEST(ScaleBefore, IsNtkByTheBaseUnderWhichThePairHasItsFactor) {
  const RopeGeometry geometry{64, 100000.0, 8192};
  const auto inv_freq = unscaled_inv_freq(geometry);
  std::vector<double> factors(32, 5.5);
  scale_before(17, factors);
  // The base b with b^(-2 x 17 / 64) = the rescaled frequency of pair 17.
  const double base = std::pow(inv_freq[17] / 5.5, -64.0 / (2 * 17));
  for (size_t i = 0; i < 17; ++i) {
    const double rescaled = std::pow(base, -2.0 * static_cast<double>(i) / 64);
    EXPECT_NEAR(inv_freq[i] / factors[i] / rescaled, 1, 1e-5) << i;
  }
  for (size_t i = 17; i < 32; ++i) EXPECT_EQ(factors[i], 5.5);
  EXPECT_TRUE(std::is_sorted(factors.begin(), factors.end()));
}

}  // namespace
}  // namespace longspan
