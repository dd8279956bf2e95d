#include "trainer/eval/tasks/cloze.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tests/trainer/eval/tasks/task_fixtures.h"

namespace longspan {
namespace {

using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(LastWord, IsLongEnoughAndBeforeAMark) {
  const auto found = last_word("On the hill above the old town stands a tower.");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->before, "On the hill above the old town stands a");
  EXPECT_EQ(found->word, "tower");
  EXPECT_FALSE(last_word("On the hill above the old town stands a tower"));  // no mark
  EXPECT_FALSE(last_word("On the hill above the old town stands a cow."));   // three letters
  EXPECT_FALSE(last_word("On the hill stands a tower."));                    // six words
  EXPECT_FALSE(last_word("On the hill above the old town it was 1925."));    // no letters
  EXPECT_FALSE(last_word(""));
}

class Cloze : public ::testing::Test {
 protected:
  /// 40 sentences that end with five words in turn.
  Json text() {
    std::string text;
    for (int i = 0; i < 40; ++i) {
      const char* words[] = {"tower", "river", "forest", "garden", "window"};
      text += "Sentence number " + std::to_string(i) + " of them all is about the " + words[i % 5] +
              ". ";
    }
    return std::vector<std::string>{folder_.write("a.txt", text)};
  }
  TaskFixture fixture_;
  TemporaryFolder folder_;
};

TEST_F(Cloze, AsksForTheLastWordAmongOthersOfTheText) {
  const auto task = task_with<ClozeTask>({{"text", text()}, {"questions", 10}, {"context", 300}});
  const auto drawn = fixture_.items(task, {4096});
  ASSERT_EQ(drawn.size(), 10);
  for (const auto& [length, item] : drawn) {
    EXPECT_EQ(length, 300);
    const auto& question = item.questions.at(0);
    EXPECT_THAT(question.text, EndsWith(" of them all is about the"));
    EXPECT_EQ(question.distractors.size(), 3);
    EXPECT_THAT(question.distractors, Not(Contains(question.answers[0])));
    EXPECT_THAT(item.passage.context, EndsWith("."));
    const auto tokens = std::ssize(item.passage.context + question.text);
    EXPECT_LE(tokens, 300);
    EXPECT_GT(tokens, 200);
  }
}

TEST_F(Cloze, TheWordOfLeastLossIsTheChoice) {
  const auto task = task_with<ClozeTask>({{"text", text()}, {"questions", 10}, {"context", 300}});
  int asked = 0;
  const auto subject = fixture_.told(
      [&](const Passage&, const Question&) { return Answer{.rank = ++asked % 2 == 0 ? 1 : 2}; });
  const Json row = task.run(subject, {{4096}}).rows.at(0);
  EXPECT_EQ(row["n"], 10);
  EXPECT_EQ(row["correct"], 5);
  EXPECT_EQ(row["length"], 300);
}

TEST_F(Cloze, NeedsTextsAndRoom) {
  EXPECT_THAT(error_of([] { ClozeTask().check({}); }, ExitCode::kUsage), HasSubstr("--text FILE"));
  const auto task = task_with<ClozeTask>({{"text", text()}, {"context", 9000}});
  EXPECT_THAT(error_of([&] { fixture_.items(task, {4096}); }, ExitCode::kData),
              HasSubstr("has 9000 tokens before it"));
}

}  // namespace
}  // namespace longspan
