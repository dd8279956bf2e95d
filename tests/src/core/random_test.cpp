#include "src/core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace longspan {
namespace {

// The standard states the 10,000th number of a default std::mt19937_64 ([rand.predef]).
constexpr uint64_t kTenThousandth = 9981545732273789042u;

TEST(Random, UniformNumbersAreTheHighBitsOfTheGenerator) {
  std::mt19937_64 generator;
  generator.discard(9999);
  const double drawn = draw_uniform(generator);
  EXPECT_EQ(drawn * 0x1p53, static_cast<double>(kTenThousandth >> 11));
  for (int i = 0; i < 1000; ++i) {
    const double other = draw_uniform(generator);
    EXPECT_TRUE(other >= 0 && other < 1) << other;
  }
}

TEST(Random, NumbersBelowABoundAreEquallyLikely) {
  constexpr int kDraws = 30000;
  std::mt19937_64 generator;
  std::array<int, 3> counts{};
  for (int i = 0; i < kDraws; ++i) ++counts[draw_below(counts.size(), generator)];
  // Six standard deviations of a binomial distribution of 30,000 draws and p = 1/3 are 490.
  for (int count : counts) EXPECT_NEAR(count, kDraws / 3, 490);
}

TEST(Random, ABoundThatIsNoPowerOfTwoLeavesTheLastNumbersOut) {
  // Of 2^64 numbers the last 2^62 would make 0 to 2^62 - 1 likelier than the rest of 3 x 2^62.
  constexpr uint64_t kBound = uint64_t{3} << 62;
  std::mt19937_64 generator, same;
  for (int i = 0; i < 100; ++i) {
    uint64_t expected = same();
    while (expected >= kBound) expected = same();
    EXPECT_EQ(draw_below(kBound, generator), expected);
  }
}

TEST(Random, EachDrawOfASeedHasAGeneratorOfItsOwn) {
  EXPECT_EQ(generator_of(1, 2), generator_of(1, 2));
  EXPECT_NE(generator_of(1, 2), generator_of(2, 1));
  EXPECT_NE(generator_of(1, 2), generator_of(1, 3));
}

}  // namespace
}  // namespace longspan
