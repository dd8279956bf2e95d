#include "trainer/eval/tasks/jsonl.h"

#include <gmock/gmock.h>

#include "tests/support/errors.h"
#include "tests/trainer/eval/tasks/task_fixtures.h"
#include "trainer/eval/tasks/item_file.h"

namespace longspan {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class Jsonl : public ::testing::Test {
 protected:
  Json keys(const std::string& file, const Json& more = Json::object()) {
    Json keys = {{"items", std::vector<std::string>{file}}};
    keys.update(more);
    return keys;
  }
  DrawnItem only(const std::string& name, const std::string& record, const std::string& format) {
    return read_item_file(folder_.write(name, record), format).at(0);
  }
  std::string refused(const std::string& record, const std::string& format) {
    return error_of([&] { only("items.jsonl", record, format); }, ExitCode::kData);
  }
  TaskFixture fixture_;
  TemporaryFolder folder_;
};

TEST_F(Jsonl, PlainRecordsBecomeItems) {
  const DrawnItem item = only(
      "items.jsonl",
      R"({"context": "The sky is green.", "question": "What colour is the sky?", "answers": "green"})",
      "plain");
  EXPECT_EQ(item.passage.instruction + item.passage.context + item.questions[0].text,
            "The sky is green.\n\nQuestion: What colour is the sky?\nAnswer:");
  EXPECT_THAT(item.questions[0].answers, ElementsAre("green"));
  EXPECT_EQ(item.questions[0].metric, "substring");
  EXPECT_EQ(item.questions[0].max_new_tokens, 32);
}

TEST_F(Jsonl, RecordsSayHowTheyAreScored) {
  const DrawnItem item = only("items.json", R"([{"context": "c", "question": "q", "answers": ["b"],
      "choices": ["a", "b", "c"], "max_new_tokens": 5, "subset": "s", "instruction": "i"}])",
                              "plain");
  const auto& question = item.questions[0];
  EXPECT_EQ(question.metric, "choice");
  EXPECT_THAT(question.distractors, ElementsAre("a", "c"));
  EXPECT_EQ(question.max_new_tokens, 5);
  EXPECT_EQ(question.subset, "s");
  EXPECT_EQ(item.passage.instruction, "i");
  const DrawnItem year = only(
      "year.jsonl", R"({"context": "c", "question": "q", "answers": [1925, "then"]})", "plain");
  EXPECT_THAT(year.questions[0].answers, ElementsAre("1925", "then"));
  EXPECT_EQ(only("f1.jsonl",
                 R"({"context": "c", "question": "q", "answers": ["b"], "metric": "f1"})", "plain")
                .questions[0]
                .metric,
            "f1");
}

TEST_F(Jsonl, NamesTheRecordThatIsWrong) {
  const std::string good = R"({"context": "c", "question": "q", "answers": ["a"]})"
                           "\n";
  EXPECT_THAT(refused(good + R"({"context": "c", "answers": []})", "plain"),
              HasSubstr("record 2.question: is missing"));
  EXPECT_THAT(refused(good + R"({"context": "c", "answers": []})", "plain"),
              HasSubstr("record 2.answers"));
  EXPECT_THAT(
      refused(R"({"context": "c", "question": "q", "answers": ["a"], "metric": "bleu"})", "plain"),
      HasSubstr("record 1.metric"));
  EXPECT_THAT(
      refused(R"({"context": "c", "question": "q", "answers": ["a"], "choices": ["b"]})", "plain"),
      HasSubstr("'a' is none of b"));
  EXPECT_THAT(refused(R"({"context": "c", "question": "q", "answers": ["a", true]})", "plain"),
              HasSubstr("record 1.answers: has something that is neither text nor number"));
  EXPECT_THAT(refused(good + "{", "plain"), HasSubstr("items.jsonl:2"));
  EXPECT_THAT(refused("[1]", "plain"), HasSubstr("record 1"));
  EXPECT_THAT(refused("\n", "plain"), HasSubstr("has no record"));
}

TEST_F(Jsonl, LongBenchHasItsPromptsAndScorers) {
  const DrawnItem trec = only("trec.json", R"([{"dataset": "trec_e", "context": "Question: a?",
      "input": "Question: b?\nType:", "answers": ["City"], "all_classes": ["City", "Country"]}])",
                              "longbench");
  EXPECT_EQ(trec.passage.instruction,
            "Please determine the type of the question below. Here are some examples of "
            "questions.\n\n");
  EXPECT_EQ(trec.questions[0].text, "\nQuestion: b?\nType:");
  EXPECT_EQ(trec.questions[0].max_new_tokens, 64);
  EXPECT_EQ(score_answer(trec.questions[0], {.text = " City\nCountry"}), 1);
  EXPECT_EQ(trec.questions[0].subset, "trec");

  const DrawnItem paragraph = only("p.json", R"([{"dataset": "passage_retrieval_en", "context": "c",
      "input": "abstract", "answers": ["Paragraph 15"]}])",
                                   "longbench");
  EXPECT_EQ(score_answer(paragraph.questions[0], {.text = " Paragraph 15"}), 1);
  EXPECT_THAT(refused(R"({"dataset": "lsht", "context": "c", "answers": ["a"]})", "longbench"),
              HasSubstr("'lsht' is not known here"));
}

TEST_F(Jsonl, LongBenchV2RanksTheLetters) {
  const DrawnItem item = only("v2.json", R"([{"question": "Which?", "choice_A": "one",
      "choice_B": "two", "choice_C": "three", "choice_D": "four", "answer": "C", "context": "text",
      "length": "short"}])",
                              "longbench_v2");
  const auto& question = item.questions[0];
  EXPECT_THAT(question.text, EndsWith("(D) four\n\nThe correct answer is ("));
  EXPECT_THAT(question.answers, ElementsAre("C"));
  EXPECT_THAT(question.distractors, ElementsAre("A", "B", "D"));
  EXPECT_EQ(question.answer_prefix, "");
}

TEST_F(Jsonl, BabiLongForgivesLabelsOfTheQuestion) {
  const auto items =
      read_item_file(folder_.write("qa1.json",
                                   R"([{"input": "Mary went home.", "target": "kitchen",
                         "question": "Where was Mary before the office?"},
                        {"input": "x", "question": "Where?", "target": "office"},
                        {"input": "x", "question": "Where?", "target": "garden"}])"),
                     "babilong");
  ASSERT_EQ(items.size(), 3);
  EXPECT_THAT(items[0].questions[0].references, ElementsAre("kitchen", "garden"));
  EXPECT_EQ(score_answer(items[0].questions[0], {.text = " The kitchen, before the office."}), 1);
  EXPECT_EQ(score_answer(items[1].questions[0], {.text = " office or garden"}), 0);
}

/// qa8: what someone carries.
TEST_F(Jsonl, BabiLongTakesSeveralLabels) {
  const auto items = read_item_file(folder_.write("qa8.json",
                                                  R"([{"input": "x", "target": "apple,milk",
                         "question": "What is Daniel carrying?"},
                        {"input": "x", "question": "What is Mary carrying?", "target": "apple"},
                        {"input": "x", "question": "What is John carrying?",
                         "target": "football,milk"}])"),
                                    "babilong");
  const Question& question = items[0].questions[0];
  EXPECT_THAT(question.references, ElementsAre("apple,milk", "football"));
  EXPECT_THAT(question.distractors, ElementsAre("apple", "football,milk"));
  EXPECT_EQ(score_answer(question, {.text = " apple, milk."}), 1);
  EXPECT_EQ(score_answer(question, {.text = " apple."}), 0);
  EXPECT_EQ(score_answer(items[1].questions[0], {.text = " apple."}), 1);
  EXPECT_EQ(score_answer(items[1].questions[0], {.text = " apple, milk."}), 0);
}

TEST_F(Jsonl, InfiniteBenchIsKnownByTheNameOfTheFile) {
  const std::string record =
      R"({"context": "noise", "input": "What is the pass key?", "answer": ["71432"]})";
  const DrawnItem item = only("passkey.jsonl", record, "infinite_bench");
  EXPECT_THAT(item.passage.instruction, StartsWith("There is an important info"));
  EXPECT_EQ(item.questions[0].text, "\n\nWhat is the pass key?\n\nThe pass key is");
  EXPECT_EQ(score_answer(item.questions[0], {.text = " 71432."}), 1);
  EXPECT_THAT(refused(record, "infinite_bench"), HasSubstr("passkey.jsonl"));
}

TEST_F(Jsonl, InfiniteBenchScoresNumbersCallsAndOptions) {
  const DrawnItem largest = only("math_find.jsonl",
                                 R"({"context": "[3, 98.5, 7]", "answer": 98.5, )"
                                 R"("input": "One number. The largest number of the list is:"})",
                                 "infinite_bench");
  EXPECT_EQ(largest.passage.instruction, "What is the largest number in the following list?\n\n");
  EXPECT_EQ(largest.questions[0].text, "\n\nOne number. The largest number of the list is:");
  EXPECT_EQ(score_answer(largest.questions[0], {.text = " 98.5."}), 1);
  EXPECT_EQ(score_answer(largest.questions[0], {.text = " 98"}), 0);
  const DrawnItem values =
      only("math_calc.jsonl", R"({"context": "8 - 3 + 2", "input": "", "answer": [8, 5, 7]})",
           "infinite_bench");
  EXPECT_THAT(values.questions[0].answers, ElementsAre("[8, 5, 7]"));
  EXPECT_EQ(score_answer(values.questions[0], {.text = " [8, 5, 7]"}), 1);
  const DrawnItem call =
      only("code_run.jsonl",
           R"({"context": "code", "input": "The value of func_3(-5)? Be concise.", "answer": -8})",
           "infinite_bench");
  EXPECT_EQ(call.passage.instruction,
            "There is a function called func_3 in the following Python code.\n\n");
  EXPECT_EQ(call.questions[0].text,
            "\n\nPlease compute the exact value of func_3(-5). The value of func_3(-5) is");
  EXPECT_EQ(score_answer(call.questions[0], {.text = " -8."}), 1);
  const auto without_call = [&] {
    only("code_run.jsonl", R"({"context": "c", "input": "f(3)?", "answer": 1})", "infinite_bench");
  };
  EXPECT_THAT(error_of(without_call, ExitCode::kData),
              HasSubstr("input: 'f(3)?' names no call such as func_3(5)"));
  const DrawnItem code =
      only("code_debug.jsonl",
           R"({"context": "code", "input": "", "options": ["f", "g", "h"], "answer": ["g", "B"]})",
           "infinite_bench");
  EXPECT_EQ(code.questions[0].metric, "choice");
  EXPECT_EQ(code.questions[0].text, "\n\nOptions:\nA. f\nB. g\nC. h\n\nThe correct option is:");
  EXPECT_THAT(code.questions[0].answers, ElementsAre("B"));
  EXPECT_THAT(code.questions[0].distractors, ElementsAre("A", "C"));
  const DrawnItem book = only(
      "longbook_choice_eng.jsonl",
      R"({"context": "book", "input": "Who?", "options": ["Ann", "Bo"], "answer": ["Bo", "B"]})",
      "infinite_bench");
  EXPECT_EQ(book.questions[0].text,
            "\n\nQuestion: Who?\nA. Ann\nB. Bo\n\nThe letter of the correct answer is");
  const auto no_option = [&] {
    only("code_debug.jsonl",
         R"({"context": "c", "input": "", "options": ["f", "g"], "answer": ["h"]})",
         "infinite_bench");
  };
  EXPECT_THAT(error_of(no_option, ExitCode::kData), HasSubstr("answer: 'h' is none of f, g"));
}

TEST_F(Jsonl, EachItemGoesUnderTheLengthThatHoldsIt) {
  std::string records;
  for (const int size : {10, 150, 400}) {
    records += Json{{"context", std::string(size, 'x')},
                    {"question", "q"},
                    {"answers", "a"},
                    {"max_new_tokens", 10}}
                   .dump() +
               "\n";
  }
  const std::string file = folder_.write("items.jsonl", records);
  const auto task = task_with<JsonlTask>(keys(file));
  const auto drawn = fixture_.items(task, {100, 200});
  ASSERT_EQ(drawn.size(), 2);  // the third is too long and left out
  EXPECT_EQ(drawn[0].first, 100);
  EXPECT_EQ(drawn[1].first, 200);
  EXPECT_THAT(error_of([&] { fixture_.items(task, {20}); }, ExitCode::kData),
              HasSubstr("all 3 items have more than 20 tokens"));
  EXPECT_EQ(fixture_.items(task_with<JsonlTask>(keys(file, {{"limit", 1}})), {100, 200}).size(), 1);
}

/// Other items stand under other lengths: there is no length up to which the same are answered.
TEST_F(Jsonl, HasNoEffectiveLength) {
  Json rows;
  for (const int64_t length : {100, 200}) {
    RetrievalRow row{.length = length};
    row.add({.nll = 1}, 1);
    rows.push_back(row.write());
  }
  const std::vector<LabelledRows> models{{"base", rows}};
  EXPECT_TRUE(JsonlTask().effective_lengths(models).of_models.empty());
  for (const Table& table : JsonlTask().tables(models, 0)) {
    EXPECT_THAT(table.title, Not(HasSubstr("Effective length")));
  }
}

TEST_F(Jsonl, LongItemsCanLoseTheirMiddle) {
  const std::string context = some_text(300);
  const Json record = {
      {"context", context}, {"question", "q"}, {"answers", "a"}, {"max_new_tokens", 10}};
  const auto task = task_with<JsonlTask>(
      keys(folder_.write("items.jsonl", record.dump()), {{"too_long", "middle"}}));
  const auto drawn = fixture_.items(task, {100, 500});
  ASSERT_EQ(drawn.size(), 2);
  const std::string& cut = drawn[0].second.passage.context;
  // 100 tokens less 21 of "\n\nQuestion: q\nAnswer:" and 10 of the answer, in two halves.
  EXPECT_EQ(cut, context.substr(0, 34) + context.substr(300 - 34));
  EXPECT_EQ(drawn[1].second.passage.context, context);
}

/// Of a context of an odd number of bytes the two halves leave out one, which may be all that was
/// too much.
TEST_F(Jsonl, ItemsThatAreATokenTooLongLoseOne) {
  DrawnItem item{.passage = {"", some_text(301)}, .questions = {{.text = "q", .answers = {"a"}}}};
  const int64_t tokens = item_tokens(fixture_.subject(), item);
  const DrawnItem cut = cut_middle(fixture_.subject(), item, tokens - 1);
  EXPECT_EQ(cut.passage.context, some_text(301).erase(150, 1));
}

TEST_F(Jsonl, ScoresWhatAnArmAnswers) {
  const std::string file = folder_.write(
      "line.jsonl",
      R"({"context": "c", "question": "q", "answers": ["no", "Right."], "metric": "exact"})");
  const auto task = task_with<JsonlTask>(keys(file));
  const auto result = task.run(
      fixture_.told([](const Passage&, const Question&) { return Answer{.text = " right"}; }),
      {{200}});
  EXPECT_EQ(result.rows[0]["score"], 1.0);
  EXPECT_EQ(result.protocol["items"], Json(std::vector<std::string>{"line.jsonl"}));
  EXPECT_EQ(error_of([&] { JsonlTask().check({}); }, ExitCode::kUsage).substr(0, 6), "jsonl:");
}

}  // namespace
}  // namespace longspan
