#include "trainer/eval/arms/bm25.h"

#include <gtest/gtest.h>

#include <cmath>

namespace longspan {
namespace {

TEST(Bm25, IsTheFormula) {
  // N 3, lengths 4, 5 and 3: mean 4. "key" is in 2 texts, "red" in 1.
  const auto scores =
      bm25_scores({"the red KEY, key", "a key to all that", "nothing at-all"}, "Red key?");
  const double idf_key = std::log(1 + (3 - 2 + 0.5) / 2.5), idf_red = std::log(1 + 2.5 / 1.5);
  EXPECT_NEAR(scores[0], idf_key * 2 * 2.2 / (2 + 1.2) + idf_red * 2.2 / (1 + 1.2), 1e-12);
  EXPECT_NEAR(scores[1], idf_key * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 5 / 4)), 1e-12);
  EXPECT_EQ(scores[2], 0);
}

TEST(Bm25, AWordAskedTwiceCountsOnce) {
  const std::vector<std::string> texts{"naïve key", "other"};
  EXPECT_EQ(bm25_scores(texts, "key key NAÏVE naïve"), bm25_scores(texts, "key naïve"));
  EXPECT_GT(bm25_scores(texts, "naïve")[0], 0);
}

TEST(Bm25, OfNothingIsNothing) {
  EXPECT_TRUE(bm25_scores({}, "key").empty());
  EXPECT_EQ(bm25_scores({"", "key"}, "?"), (std::vector<double>{0, 0}));
}

}  // namespace
}  // namespace longspan
