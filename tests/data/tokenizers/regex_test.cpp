#include "data/tokenizers/regex.h"

#include <gtest/gtest.h>

#include <vector>

namespace longspan {
namespace {

using Places = std::vector<std::pair<size_t, size_t>>;

Places matches(const std::string& pattern, std::string_view text,
               Regex::Kind kind = Regex::Kind::kPattern) {
  RegexScratch scratch;
  Places places;
  Regex(pattern, "t", kind).for_each_match(text, scratch, [&](size_t begin, size_t end) {
    places.emplace_back(begin, end);
  });
  return places;
}

// As onig's find_iter: an empty match right behind another is none.
TEST(Regex, FindsEmptyMatchesToo) {
  EXPECT_EQ(matches("b*", "abba"), (Places{{0, 0}, {1, 3}, {4, 4}}));
  EXPECT_EQ(matches("(?=[A-Z])", "aB\u00e9C"), (Places{{1, 1}, {4, 4}}));
  EXPECT_EQ(matches("", "\u00e9a"), (Places{{0, 0}, {2, 2}, {3, 3}}));
  EXPECT_EQ(matches("x", ""), Places{});
}

// tokenizers 0.23.3: Split(Regex("\\w+"), "isolated") and so on.
TEST(Regex, AWordIsOnigurumas) {
  EXPECT_EQ(matches("\\w+", "a\u0300b_ \u2460\u24d0"), (Places{{0, 5}, {9, 12}}));
  EXPECT_EQ(matches("\\w+", "x\u00b2\u00bd \u2462"), (Places{{0, 5}}));
  EXPECT_EQ(matches("\\W", "a\u0300 "), (Places{{3, 4}}));
  EXPECT_EQ(matches("[^\\w\\s]+", "e\u0301 -+"), (Places{{4, 6}}));
  EXPECT_EQ(matches("\\h+", "xfF9 g"), (Places{{1, 4}}));
  EXPECT_EQ(matches("\\\\w", "\\w"), (Places{{0, 2}}));
}

TEST(Regex, ALiteralHasNoSigns) {
  EXPECT_EQ(matches("a.", "aba.", Regex::Kind::kLiteral), (Places{{2, 4}}));
  EXPECT_EQ(matches("\\E", "\\E", Regex::Kind::kLiteral), (Places{{0, 2}}));
}

}  // namespace
}  // namespace longspan
