#include "src/attention/reading_windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

namespace longspan {
namespace {

/// How many tokens each window has, of a text read at once.
std::vector<int64_t> sizes(const WindowLengths& lengths, int64_t tokens) {
  std::vector<int64_t> counts;
  int64_t last = -1;
  for (const int64_t begin : ReadingWindows(lengths).read(tokens, tokens)) {
    if (begin != last) counts.push_back(0);
    ++counts.back();
    last = begin;
  }
  return counts;
}

// As long_llama's _handle_long_input cuts them (bfcb8d1).
TEST(ReadingWindows, CutFromTheBeginningAndKeepTheLastContextTogether) {
  using testing::ElementsAre;
  const WindowLengths lengths{.window = 32, .last_context = 12};
  EXPECT_THAT(sizes(lengths, 5), ElementsAre(5));
  EXPECT_THAT(sizes(lengths, 12), ElementsAre(12));
  EXPECT_THAT(sizes(lengths, 16), ElementsAre(4, 12));
  EXPECT_THAT(sizes(lengths, 44), ElementsAre(32, 12));
  EXPECT_THAT(sizes(lengths, 101), ElementsAre(32, 32, 25, 12));
}

TEST(ReadingWindows, HaveALastContextThatFits) {
  const auto fitted = [](int64_t window, int64_t last_context) {
    return WindowLengths{window, last_context}.fitted().last_context;
  };
  EXPECT_EQ(fitted(2048, 1024), 1024);
  EXPECT_EQ(fitted(1024, 1024), 1024);
  EXPECT_EQ(fitted(1000, 1024), 500);
  EXPECT_EQ(fitted(1, 1024), 1);
}

TEST(ReadingWindows, GoOnInTheOpenWindowUntilTheNextTokensDoNotFit) {
  ReadingWindows windows({.window = 32, .last_context = 12});
  windows.read(67, 67);  // 32, 23 and 12
  EXPECT_EQ(windows.open_begin(), 55);
  for (int64_t token = 67; token < 87; ++token) {
    EXPECT_THAT(windows.read(1, token + 1), testing::ElementsAre(55)) << token;
  }
  EXPECT_THAT(windows.read(1, 88), testing::ElementsAre(87));
  EXPECT_THAT(windows.read(1, 89), testing::ElementsAre(87));
  // 18 + 12 tokens more: the first fit, the last context does not.
  const auto begins = windows.read(30, 119);
  EXPECT_EQ(begins.front(), 87);
  EXPECT_EQ(begins[17], 87);
  EXPECT_EQ(begins[18], 87);
  EXPECT_EQ(windows.length(), 119);
}

TEST(ReadingWindows, AreTheSameInPartsOfWhatIsReadAtOnce) {
  const WindowLengths lengths{.window = 8, .last_context = 3};
  for (const int64_t part : {1, 2, 5, 8, 13}) {
    ReadingWindows whole(lengths), parts(lengths);
    whole.read(4, 4);
    parts.read(4, 4);
    const auto expected = whole.read(29, 33);
    std::vector<int64_t> begins;
    for (int64_t token = 4; token < 33; token += part) {
      const auto some = parts.read(std::min(part, 33 - token), 33);
      begins.insert(begins.end(), some.begin(), some.end());
    }
    EXPECT_EQ(begins, expected) << part;
    EXPECT_EQ(parts.open_begin(), whole.open_begin());
  }
}

}  // namespace
}  // namespace longspan
