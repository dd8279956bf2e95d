#include "data/tokenizers/merge_boundaries.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace longspan {
namespace {

std::vector<std::string> parts(const MergeBoundaries& boundaries, std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    size_t end = boundaries.next(text);
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

using Parts = std::vector<std::string>;

TEST(MergeBoundaries, LieBetweenCharactersThatNoTokenHasAsNeighbours) {
  MergeBoundaries boundaries;
  boundaries.add("\u2581the");
  boundaries.add("\u2581\u2581");
  boundaries.add("et");
  EXPECT_EQ(parts(boundaries, "\u2581the\u2581\u2581thet\nhet"),
            (Parts{"\u2581the", "\u2581\u2581thet", "\n", "het"}));
}

TEST(MergeBoundaries, TakeAllOtherLettersForOneKind) {
  MergeBoundaries boundaries;
  boundaries.add("\u00e9\u00e8");
  boundaries.add("a\u00e9");
  EXPECT_EQ(parts(boundaries, "a\u65e5\u672ca"), (Parts{"a\u65e5\u672c", "a"}));
  EXPECT_EQ(parts(boundaries, "\u65e5\u2581\u2581"), (Parts{"\u65e5", "\u2581", "\u2581"}));
}

TEST(MergeBoundaries, AreEverywhereWithoutMerges) {
  EXPECT_EQ(parts({}, "ab\u00e9"), (Parts{"a", "b", "\u00e9"}));
  EXPECT_EQ(parts({}, ""), Parts{});
}

}  // namespace
}  // namespace longspan
