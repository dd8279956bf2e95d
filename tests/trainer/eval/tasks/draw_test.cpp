#include "trainer/eval/tasks/draw.h"

#include <gmock/gmock.h>

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::MatchesRegex;
using ::testing::UnorderedElementsAre;

TEST(Draw, IsAFunctionOfTaskAndSeeds) {
  EXPECT_EQ(Draw("kv", {1, 2}).uuid(), Draw("kv", {1, 2}).uuid());
  EXPECT_NE(Draw("kv", {1, 2}).uuid(), Draw("kv", {2, 1}).uuid());
  EXPECT_NE(Draw("kv", {1, 2}).uuid(), Draw("vt", {1, 2}).uuid());
}

TEST(Draw, TextsHaveTheirForms) {
  Draw draw("test", {0});
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(draw.uuid(), MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
                                          "[0-9a-f]{12}"));
    EXPECT_THAT(draw.number(7), MatchesRegex("[1-9][0-9]{6}"));
    EXPECT_THAT(draw.letters(5, 'A'), MatchesRegex("[A-Z]{5}"));
    EXPECT_THAT(draw.word_pair(), MatchesRegex("[a-z]+-[a-z]+"));
  }
}

TEST(Draw, DistinctTextsJoinThoseTaken) {
  std::set<std::string> taken{"0"};
  Draw draw("test", {0});
  const auto texts = distinct(9, taken, [&] { return std::to_string(draw.below(10)); });
  EXPECT_THAT(texts, UnorderedElementsAre("1", "2", "3", "4", "5", "6", "7", "8", "9"));
  EXPECT_EQ(taken.size(), 10);
}

TEST(Draw, WordPairsAllDiffer) {
  std::set<std::string> taken;
  Draw draw("test", {0});
  // Had a word been listed twice, there would be fewer pairs than are counted.
  const auto all = distinct(word_pairs(), taken, [&] { return draw.word_pair(); });
  EXPECT_EQ(std::ssize(all), word_pairs());
}

TEST(EvenDepths, ReachFromStartToEnd) {
  EXPECT_THAT(even_depths(5), ElementsAre(0, 0.25, 0.5, 0.75, 1));
  EXPECT_THAT(even_depths(1), ElementsAre(0.5));
}

}  // namespace
}  // namespace longspan
