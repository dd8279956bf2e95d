#include "trainer/eval/tasks/haystack.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tests/support/temporary_folder.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Haystack letters() {
  return {.unit = [](int64_t index) { return std::string(1, static_cast<char>('a' + index)); },
          .joiner = " "};
}

TEST(Haystack, HidesAtTheNearestGap) {
  EXPECT_EQ(hide(letters(), 4, {{"N", 0}}).text, "N a b c d");
  EXPECT_EQ(hide(letters(), 4, {{"N", 0.4}}).text, "a b N c d");
  EXPECT_EQ(hide(letters(), 4, {{"N", 1}}).text, "a b c d N");
  EXPECT_EQ(hide(letters(), 0, {{"N", 0.5}}).text, "N");
}

TEST(Haystack, SpansFollowWhatIsHidden) {
  const Stack stack = hide(letters(), 4, {{"second", 0.5}, {"first", 0.25}});
  EXPECT_EQ(stack.text, "a first b second c d");
  const auto at = [&](const Span& span) {
    return stack.text.substr(span.begin, span.end - span.begin);
  };
  EXPECT_EQ(at(stack.spans[0]), "second");
  EXPECT_EQ(at(stack.spans[1]), "first");
}

TEST(SentencesOf, EndAtMarksAndLines) {
  EXPECT_THAT(sentences_of("One is. Two  is!\nThree\r\n\n 3.14 is four? Five"),
              ElementsAre("One is.", "Two  is!", "Three", "3.14 is four?", "Five"));
}

TEST(Haystack, OfDocumentsGoesRoundAndRound) {
  TemporaryFolder folder;
  const std::string one = folder.write("a.txt", "One. Two."), other = folder.write("b.txt", "Ten.");
  const Haystack haystack = haystack_of({one, other}, "needle.text");
  EXPECT_EQ(hide(haystack, 4, {}).text, "One. Two. Ten. One.");
  EXPECT_EQ(hide(haystack_of({}, "needle.text"), 1, {}).text, noise_haystack().unit(0));
  const std::string none = folder.write("c.txt", " \n");
  EXPECT_THAT(error_of([&] { haystack_of({none}, "needle.text"); }, ExitCode::kData),
              HasSubstr("needle.text"));
}

}  // namespace
}  // namespace longspan
