#include "trainer/eval/tasks/item_task.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/support/errors.h"
#include "tests/trainer/eval/tasks/task_fixtures.h"
#include "trainer/eval/tasks/needle.h"

namespace longspan {
namespace {

using ::testing::HasSubstr;

NeedleTask four_needles() { return task_with<NeedleTask>({{"needles", 4}, {"trials", 2}}); }

/// Right where the needle stands in the first half.
Answer half_right(const Passage& passage, const Question& question) {
  const bool is_first_half = question.evidence[0].begin < passage.context.size() / 2;
  return {.text = is_first_half ? " " + question.answers[0] + "." : " 0",
          .nll = is_first_half ? 0.5 : 1.5,
          .token_accuracy = is_first_half ? 1.0 : 0.25,
          .rank = is_first_half ? 1 : 3,
          .tokens_read = 400,
          .recall = is_first_half ? 1.0 : 0.0};
}

TEST(ItemTask, GivesARowForEachLengthAndDepth) {
  TaskFixture fixture;
  const TaskResult result = four_needles().run(fixture.told(half_right), {{1200, 2000}});
  ASSERT_EQ(result.rows.size(), 8);
  const Json& first = result.rows[0];
  EXPECT_EQ(first["length"], 1200);
  EXPECT_EQ(first["depth"], 0.0);
  EXPECT_EQ(first["n"], 2);
  EXPECT_EQ(first["correct"], 2);
  EXPECT_EQ(first["score"], 1.0);
  EXPECT_EQ(first["ranked"], 2);
  EXPECT_EQ(first["ranked_first"], 2);
  EXPECT_EQ(first["recall"], 1.0);
  EXPECT_EQ(first["answer_nll"], 0.5);
  EXPECT_EQ(first["scores"], Json({1.0, 1.0}));
  const Json& last = result.rows[7];
  EXPECT_EQ(last["length"], 2000);
  EXPECT_EQ(last["depth"], 1.0);
  EXPECT_EQ(last["correct"], 0);
  EXPECT_EQ(last["ranked_first"], 0);
  EXPECT_EQ(last["token_accuracy"], 0.25);
  // Two of two: Wilson 1927.
  EXPECT_NEAR(first["low"].get<double>(), 0.3424, 1e-4);
  EXPECT_NEAR(last["high"].get<double>(), 0.6576, 1e-4);
}

TEST(ItemTask, ShowsScoresEffectiveLengthAndMaps) {
  TaskFixture fixture;
  const NeedleTask task = four_needles();
  const auto rows = task.run(fixture.told(half_right), {{1200, 2000}}).rows;
  const auto others = task.run(fixture.told([](const Passage&, const Question& question) {
                            return Answer{.text = question.answers[0], .nll = 0.25};
                          }),
                               {{1200, 2000}})
                          .rows;
  std::string text;
  for (const auto& table : task.tables({{"half", rows}, {"all", others}}, 0)) {
    text += text_table(table);
  }
  EXPECT_THAT(text, HasSubstr("4/8 [0.22, 0.78]"));
  EXPECT_THAT(text, HasSubstr("8/8 [0.68, 1.00]"));
  EXPECT_THAT(text, HasSubstr("1.000 (62 %; 4/8 first)"));
  EXPECT_THAT(text, HasSubstr("+0.500 ± 0.189"));
  EXPECT_THAT(text, HasSubstr("-0.750 ± 0.289"));  // its loss: 0.25 and 1.25 less, twice each
  EXPECT_THAT(text, HasSubstr("Effective length"));
  const auto figures = task.figures({{"half", rows}});
  ASSERT_EQ(figures.size(), 1);
  EXPECT_THAT(figures[0].svg, HasSubstr("2/2"));
  EXPECT_THAT(
      figures[0].svg,
      HasSubstr("depth 0 %: score 1.00 of 2, 95 % interval 0.34 to 1.00, answer loss 0.500"));
}

TEST(ItemTask, ALossThatIsNotFiniteIsAnError) {
  TaskFixture fixture;
  const auto subject =
      fixture.told([](const Passage&, const Question&) { return Answer{.nll = NAN}; });
  EXPECT_THAT(error_of([&] { four_needles().run(subject, {{1200}}); }, ExitCode::kNonFinite),
              HasSubstr("needle: the loss at length 1200"));
}

TEST(ItemTask, ReadsItsRowsBack) {
  TaskFixture fixture;
  const Json rows = four_needles().run(fixture.told(half_right), {{1200}}).rows;
  Diagnostics diagnostics;
  four_needles().check_rows(rows, diagnostics);
  EXPECT_TRUE(diagnostics.empty());
  Json damaged = rows;
  damaged[1]["scores"] = Json::array({1.0});
  damaged[2]["score"] = 1.5;
  four_needles().check_rows(damaged, diagnostics);
  ASSERT_EQ(diagnostics.errors().size(), 2);
  EXPECT_THAT(diagnostics.errors()[0], HasSubstr("1.scores"));
  EXPECT_THAT(diagnostics.errors()[1], HasSubstr("2.score"));
}

/// {length, n} of each row.
std::vector<std::pair<int64_t, int64_t>> row_counts(const TaskResult& result) {
  std::vector<std::pair<int64_t, int64_t>> counts;
  for (const auto& row : result.rows) counts.emplace_back(row["length"], row["n"]);
  return counts;
}

TEST(ItemTask, AsksAShareOfItsHaystacksAndThenOfTheirQuestions) {
  TaskFixture fixture;
  const NeedleTask task = four_needles();  // two haystacks a length
  const auto drawn = task.draw(fixture.subject(), {{1200, 2000}});
  const auto subject = fixture.told(half_right);
  EXPECT_EQ(drawn->run(subject).protocol.count("share"), 0);
  drawn->keep(2000, 0.5);
  const TaskResult half = drawn->run(subject);
  EXPECT_EQ(half.protocol["share"], 0.5);
  EXPECT_EQ(
      row_counts(half),
      (std::vector<std::pair<int64_t, int64_t>>{
          {1200, 1}, {1200, 1}, {1200, 1}, {1200, 1}, {2000, 1}, {2000, 1}, {2000, 1}, {2000, 1}}));
  drawn->keep(1200, 0.25);
  const TaskResult quarter = drawn->run(subject);
  ASSERT_EQ(quarter.rows.size(), 2);
  EXPECT_EQ(quarter.rows[0]["depth"], half.rows[0]["depth"]);
  EXPECT_EQ(quarter.rows[1]["depth"], half.rows[2]["depth"]);
  drawn->keep(2000, 1);
  EXPECT_EQ(drawn->run(subject).rows.size(), 8);
}

TEST(Item, LengthCountsPassageQuestionAndAnswer) {
  TaskFixture fixture;
  DrawnItem item{.passage = {"abc", "defgh"}, .questions = {Question{}, Question{}}};
  item.questions[0] = {.text = "12", .answers = {"1234"}, .max_new_tokens = 3};
  item.questions[1] = {.text = "123", .answers = {"1"}, .max_new_tokens = 3};
  EXPECT_EQ(item_tokens(fixture.subject(), item), 8 + 2 + 5);
  item.questions[1].max_new_tokens = 10;
  EXPECT_EQ(item_tokens(fixture.subject(), item), 8 + 3 + 10);
  EvalSubject with_bos = fixture.subject();
  with_bos.bos_token_id = 1;
  EXPECT_EQ(item_tokens(with_bos, item), 22);
}

TEST(Item, LargestIsTheLastThatFits) {
  TaskFixture fixture;
  const auto build = [](int64_t size) {
    DrawnItem item{.passage = {"", std::string(7 * size, 'x')}, .questions = {Question{}}};
    item.questions[0] = {.text = "?", .answers = {"a"}, .max_new_tokens = 2};
    return item;
  };
  for (const int64_t length : {10, 16, 17, 100, 1003}) {
    const DrawnItem item = largest_item(fixture.subject(), length, 1, "test", build);
    EXPECT_EQ(std::ssize(item.passage.context), (length - 3) / 7 * 7) << length;
  }
  EXPECT_THAT(
      error_of([&] { largest_item(fixture.subject(), 9, 1, "test", build); }, ExitCode::kUsage),
      HasSubstr("test: length 9 is too short, its smallest item has 10 tokens"));
}

TEST(Item, ChoicesAreScoredByTheirRank) {
  Question question{.metric = "choice"};
  EXPECT_EQ(score_answer(question, {.rank = 1}), 1);
  EXPECT_EQ(score_answer(question, {.rank = 2}), 0);
}

TEST(Item, OnlyTheFirstLineCountsWhereMoreExamplesFollow) {
  Question question{.metric = "exact", .first_line_only = true};
  question.answers = {"cat"};
  EXPECT_EQ(score_answer(question, {.text = "\ncat\nQuestion: dog"}), 1);
  question.first_line_only = false;
  EXPECT_EQ(score_answer(question, {.text = "\ncat\nQuestion: dog"}), 0);
}

}  // namespace
}  // namespace longspan
