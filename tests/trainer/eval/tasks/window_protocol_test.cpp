#include "trainer/eval/tasks/window_protocol.h"

#include <gmock/gmock.h>

#include <set>

namespace longspan {
namespace {

using ::testing::ElementsAre;

using Windows = std::vector<ScoredWindow>;

Windows windows(std::string_view name, int64_t tokens, int64_t length, int64_t stride, bool bos) {
  return window_protocol(name).windows(tokens, length, stride, bos);
}

TEST(WindowProtocol, ChunksAreDisjoint) {
  EXPECT_THAT(windows("chunked", 10, 4, 1, false),
              ElementsAre(ScoredWindow{0, 4, 3}, ScoredWindow{4, 8, 3}, ScoredWindow{8, 10, 1}));
  EXPECT_THAT(windows("chunked", 10, 4, 1, true),
              ElementsAre(ScoredWindow{0, 3, 3}, ScoredWindow{3, 6, 3}, ScoredWindow{6, 9, 3},
                          ScoredWindow{9, 10, 1}));
  // One token with nothing before it is not scored.
  EXPECT_THAT(windows("chunked", 9, 4, 1, false),
              ElementsAre(ScoredWindow{0, 4, 3}, ScoredWindow{4, 8, 3}));
}

/// range(0, 20 - 8, 4) = 0, 4, 8 and its last popped.
TEST(WindowProtocol, LongLoraDropsTheLastStart) {
  EXPECT_THAT(windows("longlora", 20, 8, 4, false),
              ElementsAre(ScoredWindow{0, 8, 7}, ScoredWindow{4, 12, 7}));
  EXPECT_TRUE(windows("longlora", 12, 8, 4, false).empty());
}

TEST(WindowProtocol, SlidingWindowsScoreWhatIsNew) {
  for (const auto* name : {"yarn", "press"}) {
    EXPECT_THAT(windows(name, 15, 8, 3, false),
                ElementsAre(ScoredWindow{0, 8, 7}, ScoredWindow{3, 11, 3}, ScoredWindow{6, 14, 3},
                            ScoredWindow{9, 15, 1}));
    EXPECT_THAT(windows(name, 11, 8, 3, true),
                ElementsAre(ScoredWindow{0, 7, 7}, ScoredWindow{3, 10, 3}, ScoredWindow{6, 11, 1}));
    EXPECT_THAT(windows(name, 5, 8, 3, false), ElementsAre(ScoredWindow{0, 5, 4}));
  }
}

TEST(WindowProtocol, SlidingWindowsScoreEachTokenOnce) {
  for (const bool bos : {false, true}) {
    std::multiset<int64_t> scored;
    for (const auto& [begin, end, targets] : windows("press", 1000, 128, 48, bos)) {
      for (int64_t i = end - targets; i < end; ++i) scored.insert(i);
    }
    EXPECT_EQ(std::ssize(scored), bos ? 1000 : 999);
    EXPECT_EQ(std::set<int64_t>(scored.begin(), scored.end()).size(), scored.size());
  }
}

}  // namespace
}  // namespace longspan
