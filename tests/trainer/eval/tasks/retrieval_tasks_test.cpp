#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/support/errors.h"
#include "tests/trainer/eval/tasks/task_fixtures.h"
#include "trainer/eval/tasks/key_value.h"
#include "trainer/eval/tasks/needle.h"
#include "trainer/eval/tasks/threading.h"

namespace longspan {
namespace {

using ::testing::Contains;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class RetrievalTasks : public ::testing::Test {
 protected:
  std::vector<std::pair<int64_t, DrawnItem>> needles(const Json& keys, int64_t length = 3000) {
    return fixture_.items(task_with<NeedleTask>(keys), {length});
  }
  TaskFixture fixture_;
};

TEST_F(RetrievalTasks, ManyKeysShareOneHaystack) {
  const auto drawn = needles({{"needles", 10}});
  ASSERT_EQ(drawn.size(), 1);
  const DrawnItem& item = drawn[0].second;
  EXPECT_EQ(item.passage.instruction,
            "A special magic number is hidden within the following text. Make sure to memorize it. "
            "I will quiz you about the number afterwards.\n");
  ASSERT_EQ(item.questions.size(), 10);
  std::set<std::string> values;
  for (size_t i = 0; i < 10; ++i) {
    const auto& question = item.questions[i];
    EXPECT_DOUBLE_EQ(*question.depth, static_cast<double>(i) / 9);
    const std::string& value = question.answers[0];
    EXPECT_EQ(value.size(), 7);
    EXPECT_EQ(occurrences(item.passage.context, value), 1);
    EXPECT_THAT(evidence_of(item, i), StartsWith("One of the special magic numbers for "));
    EXPECT_THAT(evidence_of(item, i), EndsWith(" is: " + value + "."));
    ASSERT_EQ(question.distractors.size(), 9);
    EXPECT_THAT(question.distractors, Not(Contains(value)));
    for (const auto& wrong : question.distractors) {
      EXPECT_EQ(occurrences(item.passage.context, wrong), 1);
    }
    values.insert(value);
  }
  EXPECT_EQ(values.size(), 10);
  const std::string& question = item.questions[3].text;
  EXPECT_THAT(question, StartsWith("\nWhat is the special magic number for "));
  EXPECT_THAT(question, EndsWith(" mentioned in the provided text is"));
}

TEST_F(RetrievalTasks, DepthMovesTheNeedle) {
  const DrawnItem item = needles({{"needles", 5}})[0].second;
  const auto size = static_cast<double>(item.passage.context.size());
  for (size_t i = 0; i < 5; ++i) {
    const auto at = static_cast<double>(item.questions[i].evidence[0].begin);
    EXPECT_NEAR(at / size, static_cast<double>(i) / 4, 0.08);
  }
}

TEST_F(RetrievalTasks, ItemsFillTheLengthAndNoMore) {
  for (const int64_t length : {2000, 5000}) {
    const DrawnItem item = needles({{"needles", 4}}, length)[0].second;
    const int64_t tokens = item_tokens(fixture_.subject(), item);
    EXPECT_LE(tokens, length);
    EXPECT_GT(tokens, length - 100);  // a line of noise has 91 bytes
  }
}

TEST_F(RetrievalTasks, SingleNeedlesStandAlone) {
  const auto drawn = needles({{"needles", 3}, {"mode", "single"}, {"trials", 2}});
  ASSERT_EQ(drawn.size(), 6);
  std::multiset<double> depths;
  for (const auto& [length, item] : drawn) {
    EXPECT_EQ(occurrences(item.passage.context, "special magic"), 1);
    ASSERT_EQ(item.questions.size(), 1);
    depths.insert(*item.questions[0].depth);
    for (const auto& wrong : item.questions[0].distractors) {
      EXPECT_EQ(occurrences(item.passage.context, wrong), 0);
    }
  }
  EXPECT_EQ(depths, (std::multiset<double>{0, 0, 0.5, 0.5, 1, 1}));
}

TEST_F(RetrievalTasks, ManyValuesAreAskedForAtOnce) {
  const DrawnItem item = needles({{"needles", 3}, {"mode", "multi_value"}})[0].second;
  ASSERT_EQ(item.questions.size(), 1);
  const auto& question = item.questions[0];
  ASSERT_EQ(question.references.size(), 3);
  const std::string& evidence = evidence_of(item, 0, 0);
  const std::string key = evidence.substr(0, evidence.find(" is: "));
  EXPECT_EQ(occurrences(item.passage.context, key), 3);
  EXPECT_THAT(question.text, StartsWith("\nWhat are all the special magic numbers for "));
  Answer answer{.text = question.references[0] + " and " + question.references[2]};
  EXPECT_DOUBLE_EQ(score_answer(question, answer), 2.0 / 3);
  EXPECT_EQ(question.depth, std::nullopt);
}

TEST_F(RetrievalTasks, ManyQueriesNameEachKey) {
  const DrawnItem item = needles({{"needles", 3}, {"mode", "multi_query"}})[0].second;
  const auto& question = item.questions.at(0);
  EXPECT_EQ(question.answers[0], question.references[0] + ", " + question.references[1] + ", and " +
                                     question.references[2]);
  std::set<std::string> keys;
  for (size_t i = 0; i < 3; ++i) {
    const std::string evidence = evidence_of(item, 0, i);
    const size_t begin = std::string("One of the special magic numbers for ").size();
    const std::string key = evidence.substr(begin, evidence.find(" is: ") - begin);
    EXPECT_EQ(occurrences(question.text, key), 2);
    keys.insert(key);
  }
  EXPECT_EQ(keys.size(), 3);
}

TEST_F(RetrievalTasks, DocumentsCanBeTheHay) {
  TemporaryFolder folder;
  const Json text = std::vector<std::string>{folder.write("a.txt", "A mill stood here. It fell.")};
  const DrawnItem item = needles({{"needles", 1}, {"text", text}})[0].second;
  EXPECT_THAT(item.passage.context, StartsWith("A mill stood here. It fell. A mill stood here."));
  EXPECT_THAT(item.passage.context, Not(HasSubstr("grass")));
}

/// Another text under the same name does not compare; another arm does.
TEST_F(RetrievalTasks, TheProtocolKnowsWhatWasAsked) {
  TemporaryFolder folder;
  const auto protocol = [&](const std::string& hay, const std::string& told = "") {
    const Json text = std::vector<std::string>{folder.write("a.txt", hay)};
    const auto task = task_with<NeedleTask>({{"needles", 1}, {"text", text}});
    const auto tell = [&](const Passage&, const Question&) { return Answer{.text = told}; };
    return task.run(fixture_.told(tell), {{800}}).protocol;
  };
  const Json first = protocol("A mill stood here. It fell.");
  EXPECT_EQ(protocol("A mill stood here. It fell.", "another answer"), first);
  const Json other = protocol("A mill stood there. It fell.");
  EXPECT_EQ(other["text"], first["text"]);
  EXPECT_NE(other["items_digest"], first["items_digest"]);
  EXPECT_EQ(other["scoring_digest"], first["scoring_digest"]);
}

TEST_F(RetrievalTasks, SeedsTrialsAndLengthsDiffer) {
  const auto first = [&](const Json& keys, int64_t length) {
    return needles(keys, length)[0].second.questions[0].answers[0];
  };
  EXPECT_EQ(first({}, 4000), first({}, 4000));
  EXPECT_NE(first({}, 4000), first({{"seed", 1}}, 4000));
  EXPECT_NE(first({}, 4000), first({}, 5000));
  const auto trials = needles({{"trials", 2}});
  EXPECT_NE(trials[0].second.questions[0].answers, trials[1].second.questions[0].answers);
}

TEST_F(RetrievalTasks, KeysStandInAnObjectOfPairs) {
  const auto drawn = fixture_.items(task_with<KeyValueTask>({{"questions", 3}}), {3000});
  ASSERT_EQ(drawn.size(), 1);
  const DrawnItem& item = drawn[0].second;
  const Json object = Json::parse(item.passage.context);
  EXPECT_GT(object.size(), 25);
  EXPECT_THAT(item.passage.context, HasSubstr("\",\n \""));
  for (size_t i = 0; i < 3; ++i) {
    const Question& question = item.questions[i];
    const std::string key = question.text.substr(8, 36);  // behind \n\nKey: "
    EXPECT_EQ(object.at(key), question.answers[0]);
    EXPECT_EQ(question.text, "\n\nKey: \"" + key + "\"\nCorresponding value:");
    EXPECT_EQ(evidence_of(item, i), "\"" + key + "\": \"" + question.answers[0] + "\"");
    EXPECT_EQ(question.distractors.size(), 2);
  }
  EXPECT_EQ(item.questions[0].evidence[0].begin, 1);
  EXPECT_LE(item_tokens(fixture_.subject(), item), 3000);
}

TEST_F(RetrievalTasks, ThreadsLeadToTheAnswer) {
  const auto drawn =
      fixture_.items(task_with<ThreadingTask>({{"hops", 3}, {"threads", 2}}), {4000});
  const DrawnItem& item = drawn.at(0).second;
  const Json object = Json::parse(item.passage.context);
  ASSERT_EQ(item.questions.size(), 2);
  for (const auto& question : item.questions) {
    std::string id = question.text.substr(8, 36);
    std::vector<std::string> passed;
    for (int hop = 0; hop < 3; ++hop) {
      id = object.at(id).get<std::string>();
      passed.push_back(id);
    }
    EXPECT_EQ(id, question.answers[0]);
    EXPECT_FALSE(object.contains(id));
    EXPECT_THAT(question.distractors, Contains(passed[0]));
    EXPECT_THAT(question.distractors, Contains(passed[1]));
    EXPECT_EQ(question.distractors.size(), 3);
    ASSERT_EQ(question.evidence.size(), 3);
    EXPECT_LT(question.evidence[0].begin, question.evidence[1].begin);
  }
}

TEST_F(RetrievalTasks, RefuseALengthWithoutRoom) {
  EXPECT_THAT(error_of([&] { needles({}, 300); }, ExitCode::kUsage),
              HasSubstr("needle: length 300 is too short"));
}

/// The real arm, on a random model: every answer is scored and ranked among ten.
TEST_F(RetrievalTasks, AreAskedOfAModel) {
  const auto task = task_with<NeedleTask>({{"needles", 3}});
  const TaskResult result = task.run(fixture_.subject(), {{800}});
  ASSERT_EQ(result.rows.size(), 3);
  for (const auto& row : result.rows) {
    EXPECT_GT(row["answer_nll"].get<double>(), 1);
    EXPECT_EQ(row["ranked"], 1);
    EXPECT_LE(row["tokens_read"], 800);
  }
  EXPECT_EQ(result.protocol["haystack"], "RULER's noise");
  EXPECT_EQ(task.run(fixture_.subject(), {{800}}).rows[0]["answer_nll"],
            result.rows[0]["answer_nll"]);
}

}  // namespace
}  // namespace longspan
