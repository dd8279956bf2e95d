#include "trainer/short_context.h"

#include <gtest/gtest.h>

namespace longspan {
namespace {

// A place knows the tokens of its window up to itself: with windows of 4 tokens of context that
// begin 3 apart, places 6, 7, 8 begin at 3, places 9, 10, 11 at 6.
TEST(ShortWindows, PredictEachPlaceOnceWithNoMoreThanTheirContext) {
  const auto windows = short_windows(11, {.tokens = 4, .step = 3});
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[0].begin, 3);
  EXPECT_EQ(windows[0].first, 6);
  EXPECT_EQ(windows[0].end, 9);
  EXPECT_EQ(windows[1].begin, 6);
  EXPECT_EQ(windows[1].first, 9);
  EXPECT_EQ(windows[1].end, 11);  // of the document
}

TEST(ShortWindows, AreNoneWhereTheWholeContextIsShort) {
  EXPECT_TRUE(short_windows(6, {.tokens = 4, .step = 3}).empty());
  EXPECT_EQ(short_windows(7, {.tokens = 4, .step = 3}).size(), 1u);
}

}  // namespace
}  // namespace longspan
