#include "data/store/position_skip.h"

#include <gmock/gmock.h>

#include <map>

#include "src/core/random.h"

namespace longspan {
namespace {

TEST(SkippedPositions, JumpOnceAndStayBelowTheTarget) {
  std::map<int64_t, int64_t> lasts, jumps_at;
  for (uint64_t n = 0; n < 4000; ++n) {
    auto generator = generator_of(7, n);
    const auto positions = skipped_positions(5, 8, generator);
    ASSERT_EQ(positions.size(), 5u);
    EXPECT_EQ(positions.front(), 0);
    EXPECT_LT(positions.back(), 8);
    int64_t jumps = 0;
    for (size_t i = 1; i < positions.size(); ++i) {
      EXPECT_GT(positions[i], positions[i - 1]);
      if (positions[i] == positions[i - 1] + 1) continue;
      ++jumps;
      ++jumps_at[static_cast<int64_t>(i)];
    }
    EXPECT_LE(jumps, 1);
    ++lasts[positions.back()];
  }
  // Each of 4 skips and each of 4 places is as likely as the others: 1,000 of 4,000, 27 the
  // standard deviation, of the jumps 3/4 of that.
  ASSERT_EQ(lasts.size(), 4u);
  for (const auto& [last, count] : lasts) EXPECT_NEAR(count, 1000, 150) << last;
  ASSERT_EQ(jumps_at.size(), 4u);
  for (const auto& [place, count] : jumps_at) EXPECT_NEAR(count, 750, 150) << place;
}

TEST(SkippedPositions, AreConsecutiveWhereNothingCanBeSkipped) {
  auto generator = generator_of(1, 1);
  EXPECT_THAT(skipped_positions(4, 4, generator), testing::ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(skipped_positions(4, 3, generator), testing::ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(skipped_positions(1, 9, generator), testing::ElementsAre(0));
}

TEST(SkippedPositions, AreAFunctionOfTheSeed) {
  auto first = generator_of(3, 5), again = generator_of(3, 5), other = generator_of(3, 6);
  const auto positions = skipped_positions(1000, 100000, first);
  EXPECT_EQ(skipped_positions(1000, 100000, again), positions);
  EXPECT_NE(skipped_positions(1000, 100000, other), positions);
}

}  // namespace
}  // namespace longspan
